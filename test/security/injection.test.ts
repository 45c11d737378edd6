/** What people and operators write stays what it is: a name in a query, a key in a path, a word in a message. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pointer, readMarks } from '../../src/adapters/kubernetes/marks.ts';
import { queriesOf } from '../../src/adapters/prometheus/queries.ts';
import { contextOf } from '../../src/adapters/slack/form.ts';
import { clickOf } from '../../src/adapters/slack/payloads.ts';
import { parseCommand } from '../../src/core/command.ts';
import { parseConfig } from '../../src/core/parse-config.ts';
import { plan, successRate } from '../adapters/slack/support.ts';

describe('a JSON Pointer', () => {
  /** RFC 6901, section 4. */
  const read = (path: string) =>
    path
      .slice(1)
      .split('/')
      .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));

  it('leads to exactly the parts that it was made of', () => {
    const part = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom('~', '/', '0', '1', 'a') }));
    fc.assert(
      fc.property(fc.array(part, { minLength: 1 }), (parts) => {
        expect(read(pointer(...parts))).toEqual(parts);
      }),
    );
  });

  it('of an annotation is one step deep', () => {
    expect(pointer('metadata', 'annotations', 'sluice.dev/epoch')).toBe('/metadata/annotations/sluice.dev~1epoch');
  });
});

describe('a query', () => {
  const hostile = [
    'a"} or vector(1)#',
    'a\\',
    'a\\"} or vector(1)#',
    'a\n} or vector(1)',
    'a{{window}}',
    '.*',
    'a"}[1m])) or up{job=~".*',
  ];

  /** What stands inside the quoted strings, and the query with each of them emptied. */
  function apart(query: string) {
    const strings: string[] = [];
    const shape = query.replace(/"((?:[^"\\\n]|\\.)*)"/g, (_, inside: string) => {
      strings.push(inside.replace(/\\n/g, '\n').replace(/\\(.)/g, '$1'));
      return '""';
    });
    return { strings, shape };
  }

  it.each(hostile)('has the same shape whatever the names are: %j', (name) => {
    const { target } = plan();
    const harmless = queriesOf(target, successRate, 'canary', 60_000);
    const built = queriesOf({ ...target, namespace: name, deployment: name }, successRate, 'canary', 60_000);
    for (const part of ['value', 'count'] as const) {
      expect(apart(built[part] ?? '').shape).toBe(apart(harmless[part] ?? '').shape);
      expect(apart(built[part] ?? '').strings).toContain(name);
    }
  });

  it('keeps its shape for any name', () => {
    const { target } = plan();
    const { shape } = apart(queriesOf(target, successRate, 'stable', 60_000).value);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        const { value } = queriesOf({ ...target, namespace: name, deployment: name }, successRate, 'stable', 60_000);
        expect(apart(value).shape).toBe(shape);
      }),
    );
  });

  it.each(hostile)('is never asked of such a name: sluice.yaml refuses %j', (name) => {
    const access = { deploy: 'U1', approve: 'U2' };
    const traffic = { router: 'gateway-api', route: 'r' };
    const service = { namespace: name, deployment: name, image: 'i:{version}', traffic, access };
    const parsed = parseConfig({ slack: { channel: 'c' }, services: { world: service } });
    expect(parsed).toMatchObject({ ok: false });
  });
});

describe('a prototype', () => {
  const poison = '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}';
  const object = { name: 'a', namespace: 'n', uid: 'u', resourceVersion: '1' };
  const clean = () => expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);

  it.each([
    ['a button', () => clickOf('abort', poison)],
    ['a form', () => contextOf(poison)],
    ['marks', () => readMarks({ metadata: { ...object, annotations: JSON.parse(poison) } })],
  ])('in %s is nothing', (_, parse) => {
    expect(parse()).toBeNull();
    clean();
  });

  it('in sluice.yaml is no key and no name', () => {
    for (const place of ['', 'services', 'strategies', 'slack']) {
      const file = { slack: { channel: 'c' }, services: {} };
      const raw = place === '' ? { ...file, ...JSON.parse(poison) } : { ...file, [place]: JSON.parse(poison) };
      expect(parseConfig(raw), place).toMatchObject({ ok: false });
    }
    clean();
  });

  it.each(['constructor', 'toString', 'hasOwnProperty', 'valueof', '__proto__'])('is no service: %s', (name) => {
    const parsed = parseConfig({ slack: { channel: 'c' }, services: {} });
    if (!parsed.ok) throw new Error(parsed.errors.join());
    expect(name in parsed.config.services).toBe(false);
    expect(parseCommand(`${name} v2`)).toMatchObject({ ok: true, command: { service: name } });
  });
});
