import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import { NAMESPACE, type TwoVersions, twoVersions } from './two-versions.ts';

let world: TwoVersions;
beforeAll(async () => {
  world = await twoVersions();
});
afterAll(() => world.playground.stop());

const moving = [
  kinds.trafficSplits,
  kinds.serviceProfiles,
  kinds.httpRoutes,
  kinds.virtualServices,
  kinds.destinationRules,
];
afterEach(() => {
  world.clear(...moving);
  world.playground.mesh.forgetPicks();
});

const through = 'mesh' as const;
const host = `world.${NAMESPACE}`;
const send = (requests: number, headers: Record<string, string> = {}, more: object = {}) =>
  world.count(requests, { through, host, headers, ...more });

function split(weights: readonly [unknown, unknown], version = 'v1alpha2', canary = 'world-canary'): void {
  const backends = [
    { service: 'world-stable', weight: weights[0] },
    { service: canary, weight: weights[1] },
  ];
  const apiVersion = `split.smi-spec.io/${version}`;
  world.put(kinds.trafficSplits, 'world', { service: 'world', backends }, { apiVersion });
}

function profile(dstOverrides: readonly object[]): void {
  world.put(kinds.serviceProfiles, `world.${NAMESPACE}.svc.cluster.local`, { dstOverrides });
}

function routes(...rules: readonly object[]): void {
  world.put(kinds.httpRoutes, 'world', {
    parentRefs: [{ group: '', kind: 'Service', name: 'world', port: 80 }],
    rules,
  });
}

const backends = (stable: number, canary: number) => [
  { name: 'world-stable', port: 80, weight: stable },
  { name: 'world-canary', port: 80, weight: canary },
];

describe('a request of a meshed client', () => {
  it('goes to the pods that the Kubernetes Service selects, in turn', async () => {
    expect(await send(20)).toEqual({ v1: 15, v2: 5 });
  });

  it('goes by name and namespace only', async () => {
    expect(await world.playground.ask({ through, host: `world.${NAMESPACE}.svc.cluster.local` })).toMatchObject({
      status: 200,
    });
    expect(await world.playground.ask({ through, host: 'world' })).toEqual({ status: 503, version: null });
    expect(await world.playground.ask({ through, host: `nobody.${NAMESPACE}` })).toEqual({
      status: 503,
      version: null,
    });
  });

  it('follows a selector that is switched', async () => {
    world.service('switched', { app: 'world', track: 'stable' });
    await world.ready('switched', 3);
    const ask = () => world.playground.ask({ through, host: `switched.${NAMESPACE}` });
    expect((await ask()).version).toBe('v1');
    const service = world.store.demand(kinds.services, NAMESPACE, 'switched');
    const selector = { app: 'world', track: 'canary' };
    world.store.update(kinds.services, { ...service, spec: { ...service.spec, selector } }, 'main');
    await world.ready('switched', 1);
    expect((await ask()).version).toBe('v2');
  });

  it('is counted by Host and destination', async () => {
    split([90, 10]);
    await send(10);
    const answer = await fetch(`${world.playground.meshUrl}/_picks`);
    expect(await answer.json()).toEqual({ [host]: { 'world-stable': 9, 'world-canary': 1 } });
    await fetch(`${world.playground.meshUrl}/_picks`, { method: 'DELETE' });
    expect(world.playground.mesh.picks()).toEqual({});
  });
});

describe('a TrafficSplit', () => {
  it.each([
    ['shares by weight', [90, 10], 'v1alpha2', { v1: 18, v2: 2 }],
    ['shares by weights of any sum', [1, 3], 'v1alpha4', { v1: 5, v2: 15 }],
    ['sends all to stable', [100, 0], 'v1alpha3', { v1: 20 }],
    ['sends all to the canary', [0, 100], 'v1alpha2', { v2: 20 }],
    ['understands quantities', ['500m', '1500m'], 'v1alpha1', { v1: 5, v2: 15 }],
    ['without any weight serves nobody', [0, 0], 'v1alpha2', { 503: 20 }],
  ] as const)('%s', async (_, weights, version, counts) => {
    split(weights, version);
    expect(await send(20)).toEqual(counts);
  });

  it('silently leaves out a backend that has another port than the apex', async () => {
    world.service('elsewhere', { app: 'world', track: 'canary' }, 8080);
    split([50, 50], 'v1alpha2', 'elsewhere');
    expect(await send(10)).toEqual({ v1: 10 });
  });

  it('yields to an HTTPRoute, and that to a ServiceProfile', async () => {
    split([0, 100]);
    routes({ backendRefs: backends(100, 0) });
    expect(await send(4)).toEqual({ v1: 4 });
    profile([]);
    expect(await send(4)).toEqual({ v2: 4 });
    profile([{ authority: `world-stable.${NAMESPACE}.svc.cluster.local:80`, weight: 1 }]);
    expect(await send(4)).toEqual({ v1: 4 });
  });
});

describe('an HTTPRoute whose parent is a Kubernetes Service', () => {
  it('shares by weight', async () => {
    routes({ backendRefs: backends(75, 25) });
    expect(await send(20)).toEqual({ v1: 15, v2: 5 });
  });

  it('shows the canary by header, or by a pattern in the cookie', async () => {
    const byHeader = { matches: [{ headers: [{ name: 'x-canary', value: 'always' }] }] };
    const pattern = { type: 'RegularExpression', name: 'Cookie', value: '^(.*?;)?\\s*canary=always\\s*(;.*)?$' };
    const canary = { backendRefs: backends(0, 1) };
    routes(
      { ...byHeader, ...canary },
      { matches: [{ headers: [pattern] }], ...canary },
      { backendRefs: backends(1, 0) },
    );
    expect(await send(5, { 'x-canary': 'always' })).toEqual({ v2: 5 });
    expect(await send(5, { cookie: 'a=b; canary=always' })).toEqual({ v2: 5 });
    expect(await send(5, { 'x-canary': 'never', cookie: 'canary=never' })).toEqual({ v1: 5 });
  });

  it('is a 404 for what no rule matches', async () => {
    routes({ matches: [{ path: { value: '/x' } }], backendRefs: backends(1, 0) });
    expect(await send(2)).toEqual({ 404: 2 });
    expect(await send(2, {}, { path: '/x/y' })).toEqual({ v1: 2 });
  });

  it('holds for its port only', async () => {
    const parentRefs = [{ group: '', kind: 'Service', name: 'world', port: 81 }];
    world.put(kinds.httpRoutes, 'world', { parentRefs, rules: [{ backendRefs: backends(0, 1) }] });
    expect(await send(4)).toEqual({ v1: 3, v2: 1 });
  });

  it('gets a status without generation, with the group and namespace of its parent filled in', async () => {
    routes({ backendRefs: backends(1, 0) });
    const status = () => world.store.demand(kinds.httpRoutes, NAMESPACE, 'world').status;
    await expect.poll(status).toBeDefined();
    expect(status()?.parents).toEqual([
      {
        controllerName: 'linkerd.io/policy-controller',
        parentRef: { group: 'core', kind: 'Service', name: 'world', namespace: NAMESPACE, port: 80 },
        conditions: ['Accepted', 'ResolvedRefs'].map((type) => ({
          type,
          status: 'True',
          reason: type,
          message: '',
          lastTransitionTime: expect.any(String),
        })),
      },
    ]);
    routes({ backendRefs: [{ name: 'nobody', port: 80 }] });
    await expect
      .poll(() => status()?.parents[0]?.conditions)
      .toContainEqual(expect.objectContaining({ type: 'ResolvedRefs', status: 'False', reason: 'BackendNotFound' }));
  });
});

describe('the adaptor of linkerd-smi', () => {
  it('writes a split into the ServiceProfile of its apex, empties it with the split, and leaves one alone that says so', async () => {
    const own = await twoVersions({ linkerdSmi: true });
    const name = `world.${NAMESPACE}.svc.cluster.local`;
    const overrides = () => own.store.get(kinds.serviceProfiles, NAMESPACE, name)?.spec.dstOverrides;
    const put = (weight: number) => {
      const backends = [
        { service: 'world-stable', weight: 100 - weight },
        { service: 'world-canary', weight },
      ];
      own.put(kinds.trafficSplits, 'world', { service: 'world', backends });
    };
    put(100);
    await expect.poll(overrides).toEqual([
      { authority: `world-stable.${NAMESPACE}.svc.cluster.local`, weight: 0 },
      { authority: `world-canary.${NAMESPACE}.svc.cluster.local`, weight: 100 },
    ]);
    expect(await own.count(3, { through, host })).toEqual({ v2: 3 });
    own.clear(kinds.trafficSplits);
    await expect.poll(overrides).toEqual([]);
    own.put(kinds.serviceProfiles, name, { dstOverrides: [] }, { annotations: { 'smi.linkerd.io/skip': 'true' } });
    put(50);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(overrides()).toEqual([]);
    await own.playground.stop();
  });
});
