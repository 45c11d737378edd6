/**
 * The VirtualServices of KubeSphere's releases (pkg/controller/virtualservice and the templates of its Strategy): one host, and
 * a subset for each version. At rest one of them has everything; while its own release runs, Sluice does not cut in.
 */
import { afterAll, expect, it } from 'vitest';
import { createPlayground } from '../../../playground/playground.ts';
import { createCluster } from '../../../src/adapters/kubernetes/cluster.ts';
import { createRouter } from '../../../src/adapters/traffic/index.ts';
import { type Route, STABLE_ROUTE, type Target } from '../../../src/core/plan.ts';
import { type Json, openKube } from '../../cluster/kube.ts';
import { SYSTEMS } from '../../cluster/route-worlds.ts';
import { makeWorld, silent, unmakeWorld } from '../../cluster/world.ts';

const SYSTEM = SYSTEMS['istio, by subsets'];
const playground = await createPlayground({ readyAfterMs: 20, drainMs: 20, world: false });
const kube = openKube(playground.kubeconfig);
afterAll(async () => {
  await kube.close();
  await playground.stop();
});

const port = { number: 80 };
const to = (subset: string) => ({ host: 'world', subset, port });
const all = (subset: string) => [{ destination: to(subset), weight: 100 }];
const rest = { name: 'sluice rolls out', route: { ...STABLE_ROUTE, weight: 10 } };
const copies = { name: 'sluice copies', route: { ...STABLE_ROUTE, mirror: 50 } };
const written = (weight: number) => [
  { destination: to('v1'), weight: 100 - weight },
  { destination: to('world-canary'), weight },
];

type Row = readonly [shape: string, http: Json[], wanted: { name: string; route: Route }, RegExp | Json[]];
it.each<Row>([
  ['one version has all', [{ route: all('v1') }], rest, [{ route: written(10) }]],
  [
    'one version has all',
    [{ route: all('v1') }],
    copies,
    [{ route: written(0), mirror: to('world-canary'), mirrorPercentage: { value: 50 } }],
  ],
  [
    'its blue-green release has taken over the other version',
    [{ route: all('v2') }],
    rest,
    /no pod of Deployment world is in its subset v2.*name the other Deployment/,
  ],
  [
    'its canary release runs',
    [
      {
        route: [
          { destination: to('v1'), weight: 80 },
          { destination: to('v2'), weight: 20 },
        ],
      },
    ],
    rest,
    /shares these routes with other destinations/,
  ],
  [
    'its canary release by content runs',
    [{ match: [{ headers: { 'x-user': { regex: 'users' } } }], route: all('v2') }, { route: all('v1') }],
    rest,
    /several subsets .*\(v2, v1\).*traffic\.http/,
  ],
  [
    'its traffic mirroring runs',
    [{ route: all('v1'), mirror: to('v2') }],
    rest,
    [{ route: written(10), mirror: to('v2') }],
  ],
  [
    'its traffic mirroring runs',
    [{ route: all('v1'), mirror: to('v2') }],
    copies,
    /copies requests already.*take its mirror out/,
  ],
])('%s: %j, and %j', async (_, http, { route }, seen) => {
  const world = await makeWorld(kube, { route: false, labels: SYSTEM.labels });
  const { namespace } = world.target;
  const cluster = createCluster({ kubeconfig: playground.kubeconfig, log: silent });
  const collection = (plural: string) => `/apis/networking.istio.io/v1/namespaces/${namespace}/${plural}`;
  const make = (kind: string, spec: Json) =>
    kube.call('POST', collection(`${kind.toLowerCase()}s`), {
      apiVersion: 'networking.istio.io/v1',
      kind,
      metadata: { name: 'world', labels: { app: 'world', 'app.kubernetes.io/name': 'hello' } },
      spec,
    });
  const subsets = ['v1', 'v2'].map((version) => ({ name: version, labels: { version } }));
  await make('VirtualService', { hosts: ['world'], http });
  await make('DestinationRule', { host: 'world', subsets });
  const target: Target = { ...world.target, traffic: SYSTEM.traffic(namespace) };
  const router = createRouter('istio', { cluster, log: silent });
  const looked = await router.preflight(target, [route]);
  if (seen instanceof RegExp) {
    expect(looked).toMatchObject({ ok: false, refusals: [expect.stringMatching(seen)] });
  } else {
    expect(looked).toMatchObject({ ok: true });
    const read = async () => (await kube.get(`${collection('virtualservices')}/world`)).spec.http;
    await router.claim(target, { rollout: 'world-1', epoch: 1, seq: 1 });
    await router.setRoute(target, route, { rollout: 'world-1', epoch: 1, seq: 2 }, false);
    expect(await read()).toEqual(seen);
    await router.reset(target, { rollout: 'world-1', epoch: 1, seq: 3 }, {}, false);
    expect(await read()).toEqual(http);
  }
  await cluster.close();
  await unmakeWorld(kube, world);
});
