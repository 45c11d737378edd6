import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import { NAMESPACE, type TwoVersions, twoVersions } from './two-versions.ts';

let world: TwoVersions;
beforeAll(async () => {
  world = await twoVersions();
});
afterAll(() => world.playground.stop());
afterEach(() => world.clear(kinds.virtualServices, kinds.destinationRules));

const through = 'mesh' as const;
const host = `world.${NAMESPACE}`;
const send = (requests: number, headers: Record<string, string> = {}, more: object = {}) =>
  world.count(requests, { through, host, headers, ...more });

const virtual = (http: readonly object[], more: object = {}) =>
  world.put(kinds.virtualServices, 'world', { hosts: ['world'], http, ...more });
const to = (service: string, weight: number) => ({ destination: { host: service }, weight });
const subset = (name: string, weight: number) => ({ destination: { host: 'world', subset: name }, weight });
const weighted = (stable: number, canary: number) => ({
  route: [to('world-stable', stable), to('world-canary', canary)],
});
const stable = { route: [{ destination: { host: 'world-stable' } }] };
const canary = { route: [{ destination: { host: `world-canary.${NAMESPACE}.svc.cluster.local` } }] };

function subsets(): void {
  world.put(kinds.destinationRules, 'world', {
    host: 'world',
    subsets: ['stable', 'canary'].map((track) => ({ name: track, labels: { track } })),
  });
}

describe('a VirtualService', () => {
  it('shares by weight between hosts', async () => {
    virtual([weighted(80, 20)]);
    expect(await send(20)).toEqual({ v1: 16, v2: 4 });
  });

  it('shares by weight between subsets of one host', async () => {
    subsets();
    virtual([{ route: [subset('stable', 80), subset('canary', 20)] }]);
    expect(await send(20)).toEqual({ v1: 16, v2: 4 });
  });

  it('serves nobody from a subset that is not defined', async () => {
    virtual([{ route: [subset('stable', 50), subset('canary', 50)] }]);
    expect(await send(4)).toEqual({ 503: 4 });
  });

  it.each([
    ['an exact header', { headers: { 'x-canary': { exact: 'always' } } }, { 'x-canary': 'always' }, {}, true],
    ['another header', { headers: { 'x-canary': { exact: 'always' } } }, { 'x-canary': 'never' }, {}, false],
    ['a missing header', { headers: { 'x-canary': { exact: 'always' } } }, {}, {}, false],
    ['the start of a header', { headers: { 'x-canary': { prefix: 'al' } } }, { 'x-canary': 'always' }, {}, true],
    ['a pattern of the whole header', { headers: { a: { regex: 'b.*' } } }, { a: 'bcd' }, {}, true],
    ['a pattern of a part of the header', { headers: { a: { regex: 'b' } } }, { a: 'bcd' }, {}, false],
    ['a header that is there', { headers: { a: {} } }, { a: 'any' }, {}, true],
    ['a header that is not wanted', { withoutHeaders: { a: { exact: 'b' } } }, { a: 'b' }, {}, false],
    [
      'a cookie among others',
      { headers: { cookie: { regex: '^(.*?;)?\\s*(canary=always)(;.*)?$' } } },
      { cookie: 'a=b; canary=always; c=d' },
      {},
      true,
    ],
    [
      'no such cookie',
      { headers: { cookie: { regex: '^(.*?;)?\\s*(canary=always)(;.*)?$' } } },
      { cookie: 'canary=never' },
      {},
      false,
    ],
    ['the start of the path', { uri: { prefix: '/api' } }, {}, { path: '/api/x' }, true],
    ['another method', { method: { exact: 'POST' } }, {}, {}, false],
    ['a query', { queryParams: { q: { exact: '1' } } }, {}, { path: '/?q=1' }, true],
    ['another port', { port: 81 }, {}, {}, false],
  ])('finds the canary by %s', async (_, match, headers, more, found) => {
    virtual([{ name: 'preview', match: [match], ...canary }, stable]);
    expect(await send(3, headers, more)).toEqual({ [found ? 'v2' : 'v1']: 3 });
  });

  it('is a 404 for what no route matches', async () => {
    virtual([{ match: [{ uri: { prefix: '/api' } }], ...stable }]);
    expect(await send(2)).toEqual({ 404: 2 });
  });

  it('means nothing within the mesh when it is of a gateway only', async () => {
    virtual([canary], { gateways: ['public'] });
    expect(await send(8)).toEqual({ v1: 6, v2: 2 });
  });

  it('delegates a path to another one', async () => {
    world.put(kinds.virtualServices, 'delegate', { http: [canary] });
    virtual([{ match: [{ uri: { prefix: '/api' } }], delegate: { name: 'delegate' } }, stable]);
    expect(await send(2, {}, { path: '/api' })).toEqual({ v2: 2 });
    expect(await send(2)).toEqual({ v1: 2 });
  });

  it.each([
    ['all requests when it names no percentage', {}, 20, 20],
    ['some of them', { mirrorPercentage: { value: 50 } }, 3, 17],
    ['none of them', { mirrorPercentage: { value: 0 } }, 0, 0],
  ])('mirrors %s, and no answer is another one', async (_, percentage, least, most) => {
    const before = await world.served('canary');
    virtual([{ ...stable, mirror: { host: 'world-canary' }, ...percentage }]);
    expect(await send(20)).toEqual({ v1: 20 });
    // A copy may be answered later than the request.
    await new Promise((resolve) => setTimeout(resolve, 50));
    const copies = (await world.served('canary')) - before;
    expect(copies).toBeGreaterThanOrEqual(least);
    expect(copies).toBeLessThanOrEqual(most);
  });

  it('mirrors to several, and answers when one of them is not there', async () => {
    subsets();
    const mirrors = [{ destination: { host: 'nobody' } }, { destination: { host: 'world', subset: 'canary' } }];
    virtual([{ ...stable, mirrors }]);
    world.playground.mesh.forgetPicks();
    expect(await send(5)).toEqual({ v1: 5 });
    expect(world.playground.mesh.picks()).toEqual({
      [host]: { 'world-stable': 5, 'mirror nobody': 5, 'mirror world/canary': 5 },
    });
  });
});

describe('the metrics of Istio', () => {
  it('count by workload', async () => {
    virtual([canary]);
    await send(5);
    world.playground.scrape();
    const [series] = world.playground.prometheus.database.select([
      { label: '__name__', operator: '=', value: 'istio_requests_total' },
      { label: 'destination_workload', operator: '=', value: 'world-canary' },
      { label: 'destination_workload_namespace', operator: '=', value: NAMESPACE },
      { label: 'response_code', operator: '=', value: '200' },
    ]);
    expect(series?.labels).toMatchObject({ reporter: 'destination' });
    expect(series?.points.at(-1)?.value).toBeGreaterThanOrEqual(5);
  });
});
