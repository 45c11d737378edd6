/** Versions beside each other, where what routes them is more than one rule of one object. */
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPlayground } from '../../../playground/playground.ts';
import { type Cluster, createCluster } from '../../../src/adapters/kubernetes/cluster.ts';
import { createVersioned } from '../../../src/adapters/kubernetes/versioned.ts';
import { createRouter } from '../../../src/adapters/traffic/index.ts';
import { createBlindAbort } from '../../../src/app/blind.ts';
import type { Fence } from '../../../src/app/ports/cluster.ts';
import type { TrafficRouter, Wanted } from '../../../src/app/ports/router.ts';
import type { Target } from '../../../src/core/plan.ts';
import { versionName } from '../../../src/core/versions.ts';
import { type Json, openKube } from '../../cluster/kube.ts';
import { IMAGE, makeWorld, silent, unmakeWorld, type World, weight } from '../../cluster/world.ts';

const playground = await createPlayground({ readyAfterMs: 20, drainMs: 20, world: false });
const kube = openKube(playground.kubeconfig);
afterAll(async () => {
  await kube.close();
  await playground.stop();
});

const ID = 'world-aaaaaa';
const fence = (seq: number, epoch = 1): Fence => ({ rollout: ID, epoch, seq });
const DONE = { kind: 'done' };
const matches = (value: string) => [{ path: { type: 'PathPrefix', value } }];
const marks = (rollout: string, more: Record<string, string> = {}) =>
  Object.fromEntries(
    Object.entries({ rollout, epoch: '1', seq: '1', phase: 'active', ...more }).map(([key, value]) => [
      `sluice.dev/${key}`,
      value,
    ]),
  );

let world: World;
let cluster: Cluster;
beforeEach(async () => {
  world = await makeWorld(kube, { version: 'v1' });
  cluster = createCluster({ kubeconfig: playground.kubeconfig, log: silent });
});
afterEach(async () => {
  await cluster.close();
  await unmakeWorld(kube, world);
});

const copy = (path: string) => path.slice(0, path.lastIndexOf('/'));
/** Another Deployment as that of v1, under its own name and labels. */
async function deployment(version: string, image: string, more: Json = {}) {
  const { metadata: _, status: __, ...object } = await kube.get(world.paths.deployment);
  const text = JSON.stringify(object).replaceAll('"version":"v1"', `"version":"${version}"`);
  const { spec, ...rest } = JSON.parse(text);
  spec.template.spec.containers[0].image = image;
  await kube.call('POST', copy(world.paths.deployment), {
    ...rest,
    spec,
    metadata: { name: `world-${version}`, ...more },
  });
}

it('a version whose name another one has already, by the same hash, is refused', async () => {
  const [first, second] = ['featUrEbranchPREView', 'FeATUrEbrAnchPreVIeW'];
  const name = versionName('world', first);
  expect(versionName('world', second)).toBe(name);
  await deployment(name.slice('world-'.length), IMAGE.replace('{version}', first));
  const { namespace } = world.target;
  const target: Target = {
    ...world.target,
    workload: 'versioned',
    traffic: { router: 'gateway-api', routes: [`${namespace}/world`] },
  };
  const router = createRouter('gateway-api', { cluster, log: silent });
  expect(await router.locate?.(target, { version: first }, IMAGE)).toMatchObject({ ok: true });
  expect(await router.locate?.(target, { version: second }, IMAGE)).toEqual({
    ok: false,
    refusal: `Deployment ${namespace}/${name} is version ${first}, and version ${second} would have the same name: build it under another one.`,
  });
});

it.each([
  ['sleeps', 0, [{ object: 'Deployment world-v2', held: expect.stringMatching(/^scaled up from 0/), back: '' }]],
  ['runs', 2, [{ object: 'Deployment world-v2', held: expect.stringMatching(/^scaled up as it needs/), back: '' }]],
  ['is not there', null, []],
])('what a plan says of a version that %s, before it is touched', async (_, replicas, foreseen) => {
  if (replicas !== null) {
    await deployment('v2', IMAGE.replace('{version}', 'v2'));
    await kube.merge(world.paths.deployment.replace(/v1$/, 'v2'), { spec: { replicas } });
  }
  const versioned = { base: 'world', canary: 'world-v2' };
  const target: Target = { ...world.target, workload: 'versioned', deployment: 'world-v1', versioned };
  expect(await createVersioned({ cluster, log: silent }).foresee?.(target)).toEqual(foreseen);
  expect(await createRouter('gateway-api', { cluster, log: silent }).foresee?.(target, [weight(100)])).toMatchObject([
    { settled: expect.arrayContaining(['spec.rules[0].backendRefs[0]: gone']) },
  ]);
});

describe('several HTTPRoutes', () => {
  let router: TrafficRouter;
  let configured: Target;
  let target: Target;
  const routes = () => ['world', 'second'].map((name) => world.paths.route.replace(/world$/, name));
  const sends = async () =>
    Promise.all(
      routes().map(async (path) =>
        (await kube.get(path)).spec.rules.flatMap(({ backendRefs }: Json) => backendRefs.map(({ name }: Json) => name)),
      ),
    );
  beforeEach(async () => {
    const { metadata, status: _, ...route } = await kube.get(world.paths.route);
    await kube.call('POST', copy(world.paths.route), { ...route, metadata: { name: 'second' } });
    const { namespace } = world.target;
    configured = {
      ...world.target,
      workload: 'versioned',
      deployment: 'world',
      traffic: { router: 'gateway-api', routes: [`${namespace}/world`, `${namespace}/second`] },
    };
    router = createRouter('gateway-api', { cluster, log: silent });
    const found = await router.locate?.(configured, { version: 'v2' });
    if (!found?.ok) throw new Error(found?.refusal);
    target = found.target;
    expect((await router.claim(target, fence(1))).kind).toBe('done');
    expect(await router.setRoute(target, weight(100), fence(2), false)).toEqual(DONE);
  });
  /** The second was not written any more. */
  const halfSettled = async () => {
    const [, second = ''] = routes();
    const { metadata, spec } = await kube.get(second);
    expect(await router.settle?.(target, fence(3), {}, false)).toEqual(DONE);
    await kube.merge(second, { metadata: { annotations: metadata.annotations }, spec });
    await expect.poll(() => router.getRoute(target)).not.toHaveProperty('settled');
  };

  it('are no promotion while one is not settled: an abort without Redis gives all of them back', async () => {
    await halfSettled();
    const workload = createVersioned({ cluster, log: silent });
    const abort = createBlindAbort({ routerOf: () => router, workloadOf: () => workload });
    expect(await abort(configured, ID, 'U1(bo)@now')).toEqual({ kind: 'done' });
    expect(await sends()).toEqual([['world-v1'], ['world-v1']]);
  });

  it('are promoted where all are settled, which no abort undoes', async () => {
    await router.settle?.(target, fence(3), {}, false);
    await expect.poll(() => router.getRoute(target)).toMatchObject({ settled: true, route: { weight: 100 } });
    expect((await router.blindAbort(target, ID, 'U1')).kind).toBe('refused');
    expect(await sends()).toEqual([['world-v2'], ['world-v2']]);
  });
});

describe('a VirtualService', () => {
  const to = (host: string) => [{ destination: { host } }];
  it.each<[string, readonly string[], Json, RegExp | null]>([
    ['all of whose routes are split', [], { http: [{ name: 'a', route: to('world-v1') }] }, null],
    [
      'with a route that is not named and keeps v1',
      ['a'],
      {
        http: [
          { name: 'a', route: to('world-v1') },
          { name: 'b', route: to('world-v1') },
        ],
      },
      /its route b, which traffic.http does not name, sends to world-v1 too.*workload twin/,
    ],
    [
      'with a tls route that keeps v1',
      [],
      { http: [{ route: to('world-v1') }], tls: [{ match: [{ sniHosts: ['world'] }], route: to('world-v1') }] },
      /its tls routes send to world-v1 too/,
    ],
    [
      'with a tcp route to something else',
      [],
      { http: [{ route: to('world-v1') }], tcp: [{ route: to('other') }] },
      null,
    ],
  ])('%s', async (_, http, spec, said) => {
    const { namespace } = world.target;
    await kube.call('POST', `/apis/networking.istio.io/v1/namespaces/${namespace}/virtualservices`, {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: 'world' },
      spec: { hosts: ['world'], ...spec },
    });
    const router = createRouter('istio', { cluster, log: silent });
    const target: Target = {
      ...world.target,
      workload: 'versioned',
      deployment: 'world-v1',
      versioned: { base: 'world', canary: 'world-v2' },
      traffic: { router: 'istio', virtualService: `${namespace}/world`, http },
    };
    expect(await router.preflight(target)).toMatchObject(
      said ? { ok: false, refusals: [expect.stringMatching(said)] } : { ok: true },
    );
  });
});

describe('the two versions of a rollout', () => {
  let router: TrafficRouter;
  const configured = (): Target => ({ ...world.target, workload: 'versioned', deployment: 'world' });
  beforeEach(() => {
    router = createRouter('gateway-api', { cluster, log: silent });
  });
  const located = async (wanted: Wanted, image?: string) => {
    // Whose copies are newer than what the test has written.
    const fresh = createCluster({ kubeconfig: playground.kubeconfig, log: silent });
    const other = createRouter('gateway-api', { cluster: fresh, log: silent });
    const found = await other.locate?.(configured(), wanted, image).finally(() => fresh.close());
    return found?.ok ? [found.target.deployment, found.target.versioned?.canary] : found?.refusal;
  };
  /** v1 is claimed, and v2 gets everything. */
  async function routed() {
    const found = await router.locate?.(configured(), { version: 'v2' });
    if (!found?.ok) throw new Error(found?.refusal);
    await router.claim(found.target, fence(1));
    await router.setRoute(found.target, weight(50), fence(2), false);
    return found.target;
  }
  const made = () => deployment('v2', IMAGE.replace('{version}', 'v2'), { annotations: marks(ID) });

  it('are told by the route, where stable is released already and the canary carries an older note', async () => {
    await routed();
    await deployment('v2', IMAGE.replace('{version}', 'v2'), { annotations: marks(ID, { replicas: '3' }) });
    await kube.merge(world.paths.deployment, { metadata: { annotations: marks(ID, { phase: 'done' }) } });
    expect(await located({ rollout: ID })).toEqual(['world-v1', 'world-v2']);
  });

  it("are told by the route, where stable's marks were stripped", async () => {
    await routed();
    await made();
    expect(await located({ rollout: ID })).toEqual(['world-v1', 'world-v2']);
  });

  it('do not include what another rule sends to', async () => {
    const { spec } = await kube.get(world.paths.route);
    const backendRefs = [{ name: 'world-static', port: 80 }];
    const rules = [{ matches: matches('/static'), backendRefs }, ...spec.rules];
    await kube.merge(world.paths.route, { spec: { rules } });
    const target = await routed();
    await kube.merge(world.paths.route, { spec: { rules } });
    expect(await located({ rollout: ID })).toEqual(['world-v1', 'world-unknown']);
    expect(target.versioned?.canary).toBe('world-v2');
  });

  it('are told by a Kubernetes Service that was made, should the Deployment be gone', async () => {
    await routed();
    await kube.call('POST', copy(world.paths.service), {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'world-v2', annotations: marks(ID) },
      spec: { selector: { app: 'world', version: 'v2' }, ports: [{ port: 80 }] },
    });
    const { spec } = await kube.get(world.paths.route);
    const rules = spec.rules.map((rule: Json) => ({ ...rule, backendRefs: [{ name: 'world-v1', port: 80 }] }));
    await kube.merge(world.paths.route, { spec: { rules } });
    expect(await located({ rollout: ID })).toEqual(['world-v1', 'world-v2']);
  });

  it('may have an image of another shape, where it is the only one', async () => {
    expect(await located({ version: 'v2' }, 'registry.example.com/world:{version}')).toEqual(['world-v1', 'world-v2']);
  });

  it('are versions by their image: a Deployment whose name only begins alike is none', async () => {
    await deployment('admin', 'buoyantio/admin:7');
    const { spec } = await kube.get(world.paths.route);
    const rules = [{ matches: matches('/admin'), backendRefs: [{ name: 'world-admin', port: 80 }] }, ...spec.rules];
    await kube.merge(world.paths.route, { spec: { rules } });
    expect(await located({ version: 'v2' }, IMAGE)).toEqual(['world-v1', 'world-v2']);
    expect(await located(null, IMAGE)).toEqual(['world-v1', 'world-next']);
  });
});
