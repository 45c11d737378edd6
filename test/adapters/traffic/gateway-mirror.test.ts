/** Whether copies may be asked of those who carry an HTTPRoute: known before anything is touched. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { Json } from '../../../playground/api-server/json.ts';
import { kinds } from '../../../playground/api-server/kinds.ts';
import { createPlayground } from '../../../playground/playground.ts';
import { createCluster } from '../../../src/adapters/kubernetes/cluster.ts';
import { createGatewayApiRouter } from '../../../src/adapters/traffic/gateway-api.ts';
import { STABLE_ROUTE, type Target } from '../../../src/core/plan.ts';
import { openKube } from '../../cluster/kube.ts';
import { silent } from '../../cluster/world.ts';

const target: Target = {
  service: 'world',
  namespace: 'hello',
  deployment: 'world',
  container: 'world',
  workload: 'twin',
  traffic: { router: 'gateway-api', routes: ['hello/world'] },
};
const CLASS = '/apis/gateway.networking.k8s.io/v1/gatewayclasses/proxy';
const ROUTE = '/apis/gateway.networking.k8s.io/v1/namespaces/hello/httproutes/world';
const COPIES = 'HTTPRouteRequestMirror';
const SHARE = 'HTTPRouteRequestPercentageMirror';
const SEVERAL = 'HTTPRouteRequestMultipleMirrors';

const playground = await createPlayground({ readyAfterMs: 20, drainMs: 20 });
const kube = openKube(playground.kubeconfig);
afterAll(async () => {
  await kube.close();
  await playground.stop();
});

const features = (...names: readonly Json[]) => {
  const found = playground.store.get(kinds.gatewayClasses, '', 'proxy');
  if (!found) throw new Error('the world has a GatewayClass');
  playground.store.update(kinds.gatewayClasses, { ...found, status: { supportedFeatures: names } }, 'status');
};
const named = (...names: readonly string[]) => names.map((name) => ({ name }));

/** What a strategy with these copies is told. */
async function told(...mirrors: readonly number[]): Promise<readonly string[]> {
  const cluster = createCluster({ kubeconfig: playground.kubeconfig, log: silent });
  try {
    const routes = mirrors.map((mirror) => ({ ...STABLE_ROUTE, mirror }));
    const looked = await createGatewayApiRouter({ cluster, log: silent }).preflight(target, routes);
    return looked.ok ? [] : looked.refusals;
  } finally {
    await cluster.close();
  }
}

beforeEach(() => {
  features(...named(COPIES, SHARE));
  playground.api.rights.allowEverything();
});

describe('a Gateway', () => {
  it.each([
    ['whose class copies shares', named(COPIES, SHARE), [20]],
    ['whose class says so by names alone', [COPIES, SHARE], [20]],
    ['whose class copies all or nothing, and all is asked', named(COPIES), [100]],
    ['whose class copies nothing, and nothing is asked', [], []],
  ])('%s may be asked', async (_, list, mirrors) => {
    features(...list);
    expect(await told(...mirrors)).toEqual([]);
  });

  it.each([
    ['copies nothing', [], [20], `${COPIES} and ${SHARE}`],
    ['copies all or nothing, and a share is asked', named(COPIES), [100, 20], SHARE],
  ])('whose class %s may not: the class and what it lacks are named', async (_, list, mirrors, lacks) => {
    features(...list);
    expect(await told(...mirrors)).toEqual([
      `Mirroring through HTTPRoute hello/world: GatewayClass proxy does not list ${lacks} in status.supportedFeatures, so its controller may fail the requests; leave mirror out.`,
    ]);
  });

  it.each([
    ['gatewayclasses', 'GatewayClass proxy'],
    ['gateways', 'Gateway default/public'],
  ])('that cannot be looked at, since the bot may not get %s: the remedy is told', async (resource, object) => {
    playground.api.rights.deny({ verb: 'get', resource });
    expect(await told(20)).toEqual([
      `Mirroring through HTTPRoute hello/world: the bot may not get ${object}, which says whether requests can be copied: apply manifests/routers/gateway-api-mirror, or leave mirror out.`,
    ]);
    expect(await told()).toEqual([]);
  });
});

it('a rule that copies to somebody else already is not mirrored, unless the class makes several copies', async () => {
  const { spec } = await kube.get(ROUTE);
  const filters = [{ type: 'RequestMirror', requestMirror: { backendRef: { name: 'audit', port: 80 } } }];
  await kube.merge(ROUTE, { spec: { rules: spec.rules.map((rule: object) => ({ ...rule, filters })) } });
  expect(await told(20)).toEqual([
    `Mirroring through HTTPRoute hello/world, which copies requests already: GatewayClass proxy does not list ${SEVERAL} in status.supportedFeatures, so its controller may fail the requests; leave mirror out.`,
  ]);
  expect(await told()).toEqual([]);
  features(...named(COPIES, SHARE, SEVERAL));
  expect(await told(20)).toEqual([]);
  await kube.merge(ROUTE, { spec });
});

it.each([
  ['a Gateway that is not there', { name: 'gone' }, 'Gateway hello/gone does not exist: correct the name.'],
  [
    'a Kubernetes Service',
    { group: '', kind: 'Service', name: 'world', port: 80 },
    'its parent is a Kubernetes Service, and no mesh says whether it copies requests; leave mirror out.',
  ],
])('a route of %s is not mirrored', async (_, parent, why) => {
  await kube.merge(ROUTE, { spec: { parentRefs: [parent] } });
  expect(await told(20)).toEqual([`Mirroring through HTTPRoute hello/world: ${why}`]);
});

it('the class is where the tests think it is', async () => {
  expect((await kube.get(CLASS)).metadata.name).toBe('proxy');
});
