/** A preview as a match on one header, and back. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchOf, previewOf } from '../../../src/adapters/traffic/previews.ts';

describe('a cookie as a match on the header Cookie', () => {
  const match = matchOf({ cookie: 'canary', value: 'always' });
  const meets = (header: string) => 'regex' in match && new RegExp(match.regex).test(header);

  it.each(['canary=always', 'a=b; canary=always', 'canary=always; a=b', 'a=b;canary=always;c=d'])(
    'meets %s',
    (header) => expect(meets(header)).toBe(true),
  );

  it.each(['', 'canary=alwaysnot', 'xcanary=always', 'canary=never', 'a=canary=always', 'a="b canary=always"'])(
    'does not meet %j',
    (header) => expect(meets(header)).toBe(false),
  );

  it('takes the characters of a value as they are', () => {
    const dotted = matchOf({ cookie: 'a.b', value: 'c*d' });
    expect('regex' in dotted && new RegExp(dotted.regex).test('a.b=c*d')).toBe(true);
    expect('regex' in dotted && new RegExp(dotted.regex).test('axb=cccd')).toBe(false);
  });
});

it('every preview is read back as it was', () => {
  const token = fc.stringMatching(/^[\w!#$%&'*+.^`|~-]+$/);
  const value = fc.stringMatching(/^[\w!#$%&'()*+./:<=>?@[\]^`{|}~-]+$/);
  const preview = fc.oneof(
    fc.record({ header: token, value }),
    fc.record({ header: token, pattern: value }),
    fc.record({ cookie: token, value }),
  );
  fc.assert(fc.property(preview, (one) => void expect(previewOf(matchOf(one))).toEqual(one)));
});

it('a pattern of one’s own for cookies stays a pattern', () => {
  const own = { header: 'Cookie', pattern: 'canary=.*' };
  expect(previewOf(matchOf(own))).toEqual(own);
});
