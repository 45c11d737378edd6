import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPlayground } from '../../../playground/playground.ts';
import { type Cluster, createCluster } from '../../../src/adapters/kubernetes/cluster.ts';
import { createGatewayApiRouter } from '../../../src/adapters/traffic/gateway-api.ts';
import { lookAtRoutes } from '../../../src/adapters/traffic/gateway-preflight.ts';
import { openKube } from '../../cluster/kube.ts';
import { makeWorld, silent, unmakeWorld, type World, weight } from '../../cluster/world.ts';
import { gatewayApiSuite } from './gateway-api.suite.ts';

const playground = await createPlayground({ readyAfterMs: 20, drainMs: 20, world: false });
const kube = openKube(playground.kubeconfig);
afterAll(async () => {
  await kube.close();
  await playground.stop();
});

gatewayApiSuite(playground.kubeconfig, kube);

describe('HTTPRoutes on other clusters', () => {
  let world: World;
  let cluster: Cluster;
  beforeEach(async () => {
    world = await makeWorld(kube);
    cluster = createCluster({ kubeconfig: playground.kubeconfig, log: silent });
  });
  afterEach(async () => {
    playground.api.serve('gateway.networking.k8s.io', undefined);
    await cluster.close();
    await unmakeWorld(kube, world);
  });

  it('are warned about where they keep sessions, which do not follow weights', async () => {
    const object = await kube.get(world.paths.route);
    const look = async () => (await lookAtRoutes(cluster, world.target, [object], [])).warnings;
    expect(await look()).toEqual([]);
    // A field of the experimental channel: most API servers drop it.
    object.spec.rules[0].sessionPersistence = { type: 'Cookie', sessionName: 'world' };
    expect(await look()).toEqual([expect.stringMatching(/HTTPRoute .* keeps sessions/)]);
  });

  it('are written in v1beta1 where nothing newer is served', async () => {
    playground.api.serve('gateway.networking.k8s.io', ['v1beta1']);
    const router = createGatewayApiRouter({ cluster, log: silent });
    const fence = (seq: number) => ({ rollout: 'world-1', epoch: 1, seq });
    expect(await router.preflight(world.target, [])).toMatchObject({ ok: true });
    expect(await router.claim(world.target, fence(1))).toMatchObject({ kind: 'done' });
    expect(await router.setRoute(world.target, weight(10), fence(2), false)).toEqual({ kind: 'done' });
    expect(await router.getRoute(world.target)).toMatchObject({ route: weight(10) });
  });

  it('are refused where the Gateway API is not installed, with the remedy', async () => {
    playground.api.serve('gateway.networking.k8s.io', []);
    expect(await createGatewayApiRouter({ cluster, log: silent }).preflight(world.target, [])).toMatchObject({
      ok: false,
      refusals: [expect.stringMatching(/has no HTTPRoute .* install its definition/)],
    });
  });

  it('are refused where Linkerd would follow a ServiceProfile of their parent instead', async () => {
    const { namespace } = world.target;
    await kube.merge(world.paths.route, {
      spec: { parentRefs: [{ group: '', kind: 'Service', name: 'world', port: 80 }] },
    });
    const router = createGatewayApiRouter({ cluster, log: silent });
    expect(await router.preflight(world.target, [])).toMatchObject({ ok: true });
    await kube.call('POST', `/apis/linkerd.io/v1alpha2/namespaces/${namespace}/serviceprofiles`, {
      apiVersion: 'linkerd.io/v1alpha2',
      kind: 'ServiceProfile',
      metadata: { name: `world.${namespace}.svc.cluster.local` },
      spec: { routes: [] },
    });
    expect(await router.preflight(world.target, [])).toMatchObject({
      ok: false,
      refusals: [expect.stringMatching(/without effect.*ServiceProfile .*world.*Delete/)],
    });
  });

  it('are refused where their sides would be without the TLS that a policy gives to the service', async () => {
    const policies = `/apis/gateway.networking.k8s.io/v1/namespaces/${world.target.namespace}/backendtlspolicies`;
    const attached = (...names: readonly string[]) => ({
      targetRefs: names.map((name) => ({ group: '', kind: 'Service', name })),
      validation: { hostname: 'world.example.com', wellKnownCACertificates: 'System' },
    });
    await kube.call('POST', policies, {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'BackendTLSPolicy',
      metadata: { name: 'world' },
      spec: attached('world', 'world-stable'),
    });
    const router = createGatewayApiRouter({ cluster, log: silent });
    expect(await router.preflight(world.target, [])).toMatchObject({
      ok: false,
      refusals: [
        expect.stringMatching(/BackendTLSPolicy .*world holds for world and not for world-canary.*targetRefs/),
      ],
    });
    const sides = { name: 'sides' };
    const besides = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'BackendTLSPolicy', metadata: sides };
    await kube.call('POST', policies, { ...besides, spec: attached('world-canary') });
    expect(await router.preflight(world.target, [])).toMatchObject({ ok: true });
    await kube.call('DELETE', `${policies}/sides`);
    // Who may not look, or has no such kind, is not asked for either.
    playground.api.rights.deny({ verb: 'list', resource: 'backendtlspolicies' });
    const blind = createCluster({ kubeconfig: playground.kubeconfig, log: silent });
    expect(await createGatewayApiRouter({ cluster: blind, log: silent }).preflight(world.target, [])).toMatchObject({
      ok: true,
    });
    await blind.close();
    playground.api.rights.allowEverything();
    await kube.merge(`${policies}/world`, { spec: attached('world', 'world-stable', 'world-canary') });
    expect(await router.preflight(world.target, [])).toMatchObject({ ok: true });
  });
});
