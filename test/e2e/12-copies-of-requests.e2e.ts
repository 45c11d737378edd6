/** Copies of requests: the canary counts them, and nobody but the canary ever sees what became of them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createCluster } from '../../src/adapters/kubernetes/cluster.ts';
import { createTwin } from '../../src/adapters/kubernetes/twin.ts';
import { createGatewayApiRouter } from '../../src/adapters/traffic/gateway-api.ts';
import type { Target } from '../../src/core/plan.ts';
import { planFor, silent } from '../cluster/world.ts';
import { readManifests } from './support/account.ts';
import { createUsers } from './support/load.ts';
import { deploy, expectBackToStable, expectOneResult } from './support/rollout.ts';
import { expectDrawn, expectUnnoticed } from './support/shares.ts';
import { useStage } from './support/stage.ts';
import { GATEWAY, ISTIO, SERVICE_PARENT } from './support/systems.ts';
import { until } from './support/wait.ts';
import { createWorld, type World } from './support/world.ts';

const PERCENT = 20;

/** Requests by host and destination. */
const Picks = z.record(z.string(), z.record(z.string(), z.number())).catch({});
const Sum = z.object({
  data: z.object({ result: z.array(z.object({ value: z.tuple([z.number(), z.coerce.number()]) })) }),
});

/** What the proxy says that it copied, and what the canary's pods say that they were asked. */
async function copiesIn({ name, namespace, system }: World) {
  const query = `sum(response_total{namespace="${namespace}",deployment="${name}-canary"})`;
  const [made, counted] = await Promise.all([
    fetch(`${process.env.MESH_URL}/_picks`),
    fetch(`${process.env.PROMETHEUS_URL}/api/v1/query?query=${encodeURIComponent(query)}`),
  ]);
  const picks = Picks.parse(await made.json())[system.host(name, namespace)];
  const { data } = Sum.parse(await counted.json());
  return { made: picks?.[`mirror ${name}-canary`] ?? 0, counted: data.result[0]?.value[1] ?? 0 };
}

/** All requests are answered by stable, and the canary is asked for the copies of a share of them and for nothing else. */
const expectCopies = (world: World) =>
  expectDrawn(PERCENT, async () => {
    const before = await copiesIn(world);
    const { sent, failed, byStatus, byVersion } = await world.users.send(300);
    expect({ failed, byStatus, byVersion }).toEqual({ failed: [], byStatus: { 200: sent }, byVersion: { v1: sent } });
    const { made } = await until('Prometheus has counted each copy once', async () => {
      const copies = await copiesIn(world);
      return copies.made > before.made && copies.counted === copies.made && copies;
    });
    return { sent, hits: made - before.made };
  });

describe('a VirtualService', () => {
  const stage = useStage({ system: ISTIO });

  it('copies to a version that fails: the copies alone abort it, and users see none of its answers', async () => {
    const { world } = stage();
    const load = world.users.stream(100);
    const rollout = await deploy(stage(), 'world v2-err20 copies');
    const result = await rollout.ended(/world v2-err20 is aborted/);
    expect(JSON.stringify(result)).toMatch(/success rate/);
    await expectBackToStable(rollout);
    await expectUnnoticed(load);
    expect(load.count.byVersion).toEqual({ v1: load.count.sent });
  });

  it('counts mirrored requests at the canary, which goes live after that, while nobody notices', async () => {
    const { world } = stage();
    const rollout = await deploy(stage(), 'world v2 copies');
    await rollout.gate(1);
    await expectCopies(world);
    const load = world.users.stream(100);
    for (const n of [1, 2, 3, 4]) await rollout.approve(n);
    await rollout.ended(/world v2 is live/, 60_000);
    await expectUnnoticed(load);
    expect(rollout.complaints()).toEqual([]);
    expect((await world.getRoute()).spec).toEqual(world.before.route);
    await expectOneResult(rollout);
  });
});

describe('an HTTPRoute that a mesh follows', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld(undefined, 'world', SERVICE_PARENT);
  });
  afterAll(() => world.remove());

  // No mesh says that it copies, so Sluice refuses to be asked: what it would write is written past its preflight.
  it('counts mirrored requests at the canary, and never changes an answer', async () => {
    const { namespace } = world;
    const target: Target = {
      service: 'world',
      namespace,
      deployment: 'world',
      container: 'world',
      workload: 'twin',
      traffic: { router: 'gateway-api', routes: [`${namespace}/world`] },
    };
    const cluster = createCluster({ kubeconfig: process.env.KUBECONFIG ?? '', log: silent });
    const router = createGatewayApiRouter({ cluster, log: silent });
    const workload = createTwin({ cluster, log: silent });
    const fence = (seq: number) => ({ rollout: 'world-1', epoch: 1, seq });
    expect((await router.claim(target, fence(1))).kind).toBe('done');
    expect(await workload.claim(target, fence(1))).toEqual({ kind: 'done' });
    expect(await workload.createCanary(planFor(target, 'v2'), fence(2))).toEqual({ kind: 'done' });
    const isReady = async () => (await workload.canaryState(target, PERCENT, fence(2))).kind === 'ready';
    await until('the canary is Ready', isReady);
    const route = { weight: 0, preview: null, mirror: PERCENT };
    expect(await router.setRoute(target, route, fence(3), false)).toEqual({ kind: 'done' });
    await expectCopies(world);
    await cluster.close();
  });
});

describe('an HTTPRoute of a Gateway whose controller does not say that it copies', () => {
  const stage = useStage({ system: GATEWAY });
  const name = `e2e-mirror-${process.pid}`;
  const roles = '/apis/rbac.authorization.k8s.io/v1';
  const plurals = ['clusterroles', 'clusterrolebindings'];

  it('is refused when it is typed, first for want of rights, then by name of the GatewayClass', async () => {
    const { slack, world, history } = stage();
    await slack.deploy('ana', 'world v2 copies');
    await slack.said(/may not get Gateway.*manifests\/routers\/gateway-api-mirror/s, { to: 'ana' });
    const [role, binding] = readManifests('test/e2e/support/rights/gateway-api-mirror');
    const metadata = { name };
    await world.kube.create(`${roles}/clusterroles`, { ...role, metadata });
    await world.kube.create(`${roles}/clusterrolebindings`, {
      ...binding,
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
      subjects: [{ kind: 'ServiceAccount', name: 'sluice', namespace: world.namespace }],
    });
    await slack.deploy('ana', 'world v2 copies');
    await slack.said(/GatewayClass proxy does not list HTTPRouteRequestMirror/, { to: 'ana' });
    expect(history.weights()).toEqual([0]);
    expect(await world.leftovers()).toEqual([]);
  });
  afterAll(async () => {
    for (const plural of plurals) await stage().world.kube.delete(`${roles}/${plural}/${name}`);
  });

  it('is right to be refused: the controller confirms such a route, and then fails every request', async () => {
    const { kube, paths, namespace } = stage().world;
    const host = `copies.${namespace}.test`;
    const backendRef = { name: 'world', port: 80 };
    const filters = [{ type: 'RequestMirror', requestMirror: { backendRef } }];
    await kube.create(paths.route, {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name: 'copies' },
      spec: {
        parentRefs: [{ name: 'public', namespace: 'default' }],
        hostnames: [host],
        rules: [{ backendRefs: [backendRef], filters }],
      },
    });
    const users = createUsers(process.env.PROXY_URL ?? '', host);
    await until('the proxy serves the route', async () => (await users.send(1)).byStatus[500] === 1);
    expect((await users.send(40)).byStatus).toEqual({ 500: 40 });
    const { status } = await kube.get<{ status: { parents: readonly { conditions: readonly Condition[] }[] } }>(
      `${paths.route}/copies`,
    );
    const said = status.parents.flatMap(({ conditions }) => conditions.map(({ type, status }) => `${type} ${status}`));
    expect(said).toEqual(expect.arrayContaining(['Accepted True', 'ResolvedRefs True']));
    await users.close();
  });
});

type Condition = { readonly type: string; readonly status: string };
