import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import { NAMESPACE, type TwoVersions, twoVersions } from './two-versions.ts';

let world: TwoVersions;
let other: TwoVersions;
const OTHER_PREFIX = 'ingress.example.com';
beforeAll(async () => {
  [world, other] = await Promise.all([twoVersions(), twoVersions({ annotationPrefix: OTHER_PREFIX })]);
});
afterAll(() => Promise.all([world.playground.stop(), other.playground.stop()]));
afterEach(() => world.clear(kinds.ingresses, kinds.httpRoutes));

const PREFIX = 'nginx.ingress.kubernetes.io';
const host = 'world.example';

function specOf(service: string, path: object = {}, more: object = {}) {
  const backend = { service: { name: service, port: { name: 'http' } } };
  const paths = [{ path: '/', pathType: 'Prefix', backend, ...path }];
  return { ingressClassName: 'nginx', rules: [{ host, http: { paths } }], ...more };
}

function main(path: object = {}, more: object = {}): void {
  world.put(kinds.ingresses, 'world', specOf('world-stable', path, more));
}

function canary(
  annotations: Record<string, string>,
  path: object = {},
  service = 'world-canary',
  name = 'world-canary',
): void {
  const prefixed = Object.entries({ canary: 'true', ...annotations }).map(([key, value]) => [
    `${PREFIX}/${key}`,
    value,
  ]);
  world.put(kinds.ingresses, name, specOf(service, path), { annotations: Object.fromEntries(prefixed) });
}

const send = (requests: number, headers: Record<string, string> = {}, more: object = {}) =>
  world.count(requests, { host, headers, ...more });

describe('an Ingress', () => {
  it.each([
    ['its host and path', {}, {}, {}, { v1: 2 }],
    ['no other host', {}, {}, { host: 'other.example' }, { 404: 2 }],
    ['whole parts of a path', { path: '/api' }, {}, { path: '/apis' }, { 404: 2 }],
    ['paths below a prefix', { path: '/api' }, {}, { path: '/api/x' }, { v1: 2 }],
    ['only the exact path', { path: '/api', pathType: 'Exact' }, {}, { path: '/api/x' }, { 404: 2 }],
    ['nothing when it is of another class', {}, { ingressClassName: 'other' }, {}, { 404: 2 }],
  ])('takes %s', async (_, path, more, asked, counts) => {
    main(path, more);
    expect(await send(2, {}, asked)).toEqual(counts);
  });

  it('is found by a wildcard, after the exact host', async () => {
    main();
    const rules = [{ ...specOf('world-canary').rules[0], host: '*.example' }];
    world.put(kinds.ingresses, 'wildcard', specOf('world-canary', {}, { rules }));
    expect(await send(1)).toEqual({ v1: 1 });
    expect(await send(1, {}, { host: 'any.example' })).toEqual({ v2: 1 });
  });

  it('comes after HTTPRoutes', async () => {
    main();
    world.put(kinds.gateways, 'public', { gatewayClassName: 'proxy', listeners: [] });
    const rules = [{ backendRefs: [{ name: 'world-canary', port: 80 }] }];
    world.put(kinds.httpRoutes, 'world', { parentRefs: [{ name: 'public' }], hostnames: [host], rules });
    expect(await send(1)).toEqual({ v2: 1 });
  });
});

describe('a canary Ingress', () => {
  it.each([
    ['gets its weight', { 'canary-weight': '20' }, { v1: 16, v2: 4 }],
    ['gets its weight of a total', { 'canary-weight': '50', 'canary-weight-total': '200' }, { v1: 15, v2: 5 }],
    ['takes a total below 100 for 100', { 'canary-weight': '10', 'canary-weight-total': '20' }, { v1: 18, v2: 2 }],
    ['gets all at the full weight', { 'canary-weight': '100' }, { v2: 20 }],
    ['rests at weight 0', { 'canary-weight': '0' }, { v1: 20 }],
    ['rests without weight', {}, { v1: 20 }],
    ['with a weight that is no number gets nothing', { 'canary-weight': 'many' }, { v1: 20 }],
  ])('%s', async (_, annotations, counts) => {
    main();
    canary(annotations);
    expect(await send(20)).toEqual(counts);
  });

  const byHeader = { 'canary-by-header': 'X-Canary' };
  const byCookie = { 'canary-by-cookie': 'canary' };
  it.each([
    ['always by header', byHeader, { 'x-canary': 'always' }, 'v2'],
    ['never by header, whatever the weight', { ...byHeader, 'canary-weight': '100' }, { 'x-canary': 'never' }, 'v1'],
    ['by weight when the header says neither', { ...byHeader, 'canary-weight': '100' }, { 'x-canary': 'what' }, 'v2'],
    ['by the value of the header', { ...byHeader, 'canary-by-header-value': 'me' }, { 'x-canary': 'me' }, 'v2'],
    [
      'not by always when there is a value',
      { ...byHeader, 'canary-by-header-value': 'me' },
      { 'x-canary': 'always' },
      'v1',
    ],
    [
      'by a pattern of the header',
      { ...byHeader, 'canary-by-header-pattern': '^(me|you)$' },
      { 'x-canary': 'you' },
      'v2',
    ],
    ['not by another pattern', { ...byHeader, 'canary-by-header-pattern': '^(me|you)$' }, { 'x-canary': 'they' }, 'v1'],
    ['not by a broken pattern', { ...byHeader, 'canary-by-header-pattern': '(' }, { 'x-canary': '(' }, 'v1'],
    ['always by cookie', byCookie, { cookie: 'a=b; canary=always' }, 'v2'],
    ['never by cookie, whatever the weight', { ...byCookie, 'canary-weight': '100' }, { cookie: 'canary=never' }, 'v1'],
    ['by header before cookie', { ...byHeader, ...byCookie }, { 'x-canary': 'never', cookie: 'canary=always' }, 'v1'],
    [
      'by cookie when the header has another value',
      { ...byHeader, 'canary-by-header-value': 'me', ...byCookie },
      { 'x-canary': 'you', cookie: 'canary=always' },
      'v2',
    ],
  ])('is found %s', async (_, annotations, headers, version) => {
    main();
    canary(annotations);
    expect(await send(3, headers)).toEqual({ [version]: 3 });
  });

  it('is met by header amid weighted requests without a skew of the weight', async () => {
    main();
    canary({ ...byHeader, 'canary-weight': '25' });
    const counts: string[] = [];
    for (let round = 0; round < 8; round += 1) {
      counts.push(...Object.keys(await send(1)));
      expect(await send(1, { 'x-canary': 'always' })).toEqual({ v2: 1 });
    }
    expect(counts.filter((version) => version === 'v2')).toHaveLength(2);
  });

  const all = { 'canary-weight': '100' };
  const ignored: [why: string, hasMain: boolean, canaries: Parameters<typeof canary>[], counts: object][] = [
    ['without a main Ingress', false, [[all]], { 404: 3 }],
    ['with another path', true, [[all, { path: '/x' }]], { v1: 3 }],
    ['with another kind of path', true, [[all, { pathType: 'Exact' }]], { v1: 3 }],
    ['with the Kubernetes Service of the main one', true, [[all, {}, 'world-stable']], { v1: 3 }],
    ['with a Kubernetes Service that is not there', true, [[all, {}, 'nobody']], { v1: 3 }],
    [
      'after another one of its path',
      true,
      [
        [{}, {}, 'world-canary', 'a'],
        [all, {}, 'world-canary', 'b'],
      ],
      { v1: 3 },
    ],
  ];
  it.each(ignored)('is ignored %s', async (_, hasMain, canaries, counts) => {
    if (hasMain) main();
    for (const one of canaries) canary(...one);
    expect(await send(3)).toEqual(counts);
  });

  it('is out of reach while the main one has no endpoints', async () => {
    const backend = { service: { name: 'nobody', port: { number: 80 } } };
    main({ backend });
    canary({ 'canary-weight': '100' });
    expect(await send(3)).toEqual({ 503: 3 });
  });

  it('is marked with another prefix where the controller has one', async () => {
    other.put(kinds.ingresses, 'world', specOf('world-stable'));
    const mark = (prefix: string) => ({ [`${prefix}/canary`]: 'true', [`${prefix}/canary-weight`]: '100' });
    const spec = specOf('world-canary');
    other.put(kinds.ingresses, 'world-canary', spec, { annotations: mark(OTHER_PREFIX) });
    expect(await other.count(3, { host })).toEqual({ v2: 3 });
  });
});

describe('the webhook of ingress-nginx', () => {
  it('refuses a second Ingress of a host and path, unless it is a canary', async () => {
    const strict = await twoVersions({ ingressWebhook: true });
    const mark = (value: string) => ({ annotations: { [`${PREFIX}/canary`]: value } });
    strict.put(kinds.ingresses, 'world', specOf('world-stable'));
    strict.put(kinds.ingresses, 'world', specOf('world-canary'));
    strict.put(kinds.ingresses, 'world-canary', specOf('world-canary'), mark('true'));
    const unmark = () => strict.put(kinds.ingresses, 'world-canary', specOf('world-canary'), mark('false'));
    expect(unmark).toThrow(/host "world.example" and path "\/" is already defined in ingress hello\/world/);
    await strict.playground.stop();
  });
});

describe('the load', () => {
  it('goes through the proxy or the mesh, with headers of its own, and counts by version', async () => {
    main();
    canary({ 'canary-by-cookie': 'canary' });
    const outside = world.playground.load({ host, perSecond: 300, headers: { cookie: 'canary=always' } });
    const within = world.playground.load({ through: 'mesh', host: `world.${NAMESPACE}`, perSecond: 300 });
    const lost = world.playground.load({ host: 'nobody.example', perSecond: 300 });
    await expect.poll(() => within.counts().versions.v2?.answers ?? 0).toBeGreaterThan(10);
    const counts = await Promise.all([outside.stop(), within.stop(), lost.stop()]);
    expect(counts.map(({ versions }) => Object.keys(versions).sort())).toEqual([['v2'], ['v1', 'v2'], []]);
    expect(counts.map(({ broken }) => broken)).toEqual([0, 0, 0]);
    expect(counts.map(({ gatewayErrors }) => gatewayErrors > 0)).toEqual([false, false, true]);
  });
});

describe('an HTTPRoute of a Gateway', () => {
  it('mirrors a share by percent, and no answer is another one', async () => {
    world.put(kinds.gateways, 'public', { gatewayClassName: 'proxy', listeners: [] });
    const requestMirror = { backendRef: { name: 'world-canary', port: 80 }, percent: 50 };
    const rules = [
      { filters: [{ type: 'RequestMirror', requestMirror }], backendRefs: [{ name: 'world-stable', port: 80 }] },
    ];
    world.put(kinds.httpRoutes, 'world', { parentRefs: [{ name: 'public' }], hostnames: [host], rules });
    const before = await world.served('canary');
    expect(await send(30)).toEqual({ v1: 30 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    const copies = (await world.served('canary')) - before;
    expect(copies).toBeGreaterThanOrEqual(4);
    expect(copies).toBeLessThanOrEqual(26);
  });
});
