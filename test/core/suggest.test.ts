import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { edits, nearest } from '../../src/core/suggest.ts';

describe('the nearest known name', () => {
  it.each([
    ['two letters swapped', 'wrold', ['hello', 'world'], 'world'],
    ['a letter missing', 'cnary', ['careful', 'canary'], 'canary'],
    ['a letter too many', 'worlds', ['hello', 'world'], 'world'],
    ['two mistakes', 'wurlt', ['hello', 'world'], 'world'],
    ['an abbreviation', 'can', ['careful', 'canary'], 'canary'],
    ['the shortest that is abbreviated', 'v1', ['v1.10', 'v1.2', 'v2'], 'v1.2'],
    ['another version', 'v9', ['v2'], 'v2'],
    ['upper case', 'WORLD', ['word', 'world'], 'world'],
    ['the known name itself before its neighbours', 'world', ['worlds', 'world'], 'world'],
    ['three mistakes are not near', 'wuuut', ['world'], null],
    ['short words that share nothing are not near', 'ab', ['xy'], null],
    ['a single letter abbreviates too much', 'w', ['world'], null],
    ['nothing typed', '', ['world'], null],
    ['nothing known', 'world', [], null],
  ])('%s: %s of %j is %s', (_, given, known, near) => {
    expect(nearest(given, known)).toBe(near);
  });

  it('answers at once for a text of any length', () => {
    expect(nearest('x'.repeat(1_000_000), ['world'])).toBe(null);
  });
});

describe('the distance of two words', () => {
  const word = fc.string({ maxLength: 12 });

  it('is the same both ways, zero for equal words only, and at most the longer length', () => {
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(edits(a, b)).toBe(edits(b, a));
        expect(edits(a, b) === 0).toBe(a === b);
        expect(edits(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });

  it('counts one changed letter as one', () => {
    fc.assert(
      fc.property(word, fc.nat(12), (text, index) => {
        const at = Math.min(index, text.length);
        expect(edits(text, `${text.slice(0, at)}\u0394${text.slice(at)}`)).toBe(1);
      }),
    );
  });
});
