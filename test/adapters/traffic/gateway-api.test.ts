import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPlayground } from '../../../playground/playground.ts';
import { type Cluster, createCluster } from '../../../src/adapters/kubernetes/cluster.ts';
import { createGatewayApiRouter } from '../../../src/adapters/traffic/gateway-api.ts';
import { lookAtRoutes } from '../../../src/adapters/traffic/gateway-preflight.ts';
import type { Route } from '../../../src/core/plan.ts';
import { type Json, openKube } from '../../cluster/kube.ts';
import { makeWorld, PREVIEW, silent, unmakeWorld, type World, weight } from '../../cluster/world.ts';
import { gatewayApiSuite } from './gateway-api.suite.ts';

const playground = await createPlayground({ readyAfterMs: 20, drainMs: 20, world: false });
const kube = openKube(playground.kubeconfig);
afterAll(async () => {
  await kube.close();
  await playground.stop();
});

gatewayApiSuite(playground.kubeconfig, kube);

const REFUSED = expect.stringMatching(/HTTPRoute .*world .*Accepted is False: NotAllowedByListeners/);

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

  it.each<[string, Json, object]>([
    [
      'refused where they are refused already, in the words of the controller',
      {},
      { refusals: [REFUSED], warnings: [] },
    ],
    [
      'not refused for what was said of them before their last edit',
      { observedGeneration: 0 },
      { refusals: [], warnings: [] },
    ],
    [
      'only warned about where the controller does not say of which edit it speaks',
      { observedGeneration: undefined },
      { refusals: [], warnings: [REFUSED] },
    ],
    ['not refused while the controller is thinking', { reason: 'Pending' }, { refusals: [], warnings: [] }],
  ])('are %s', async (_, change, said) => {
    const object = await kube.get(world.paths.route);
    const { generation: observedGeneration } = object.metadata;
    const condition = {
      type: 'Accepted',
      status: 'False',
      reason: 'NotAllowedByListeners',
      observedGeneration,
      ...change,
    };
    const [parentRef] = object.spec.parentRefs;
    const status = { parents: [{ parentRef, controllerName: 'c', conditions: [condition] }] };
    expect(await lookAtRoutes(cluster, world.target, [{ ...object, status }], [])).toMatchObject(said);
  });

  it('are warned about where a GitOps tool would take each write back', async () => {
    await kube.merge(world.paths.route, { metadata: { annotations: { 'argocd.argoproj.io/tracking-id': 'world' } } });
    expect(await createGatewayApiRouter({ cluster, log: silent }).preflight(world.target, [])).toMatchObject({
      ok: true,
      warnings: [expect.stringMatching(/^Argo CD keeps HTTPRoute .*world as it is in Git/)],
    });
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

describe('a preview beside the other rules of a route', () => {
  let world: World;
  let cluster: Cluster;
  beforeEach(async () => {
    world = await makeWorld(kube);
    cluster = createCluster({ kubeconfig: playground.kubeconfig, log: silent });
  });
  afterEach(async () => {
    await cluster.close();
    await unmakeWorld(kube, world);
  });

  const path = { type: 'PathPrefix', value: '/' };
  const header = (name: string, value: string, type = 'Exact') => ({ type, name, value });
  const rule = (name: string, ...matches: Json[]) => ({
    matches: matches.map((match) => ({ path, ...match })),
    backendRefs: [{ group: '', kind: 'Service', name, port: 80, weight: 1 }],
  });
  const ALWAYS = { headers: [header('x-canary', 'always')] };
  const TENANT = { headers: [header('x-tenant', 'a')] };
  const DEBUG = { queryParams: [header('debug', '1')] };
  const look = async (rules: readonly Json[], wanted: readonly Route[] = [PREVIEW]) => {
    const object = await kube.get(world.paths.route);
    return lookAtRoutes(cluster, world.target, [{ ...object, spec: { ...object.spec, rules } }], wanted);
  };

  it.each<[string, readonly Json[]]>([
    ['of another rule of the service', [rule('world', ALWAYS), rule('world', {})]],
    ['of the rule itself', [rule('world', ALWAYS)]],
    [
      'of a rule of others, which would go first',
      [rule('other', ALWAYS, { path: { ...path, value: '/x' } }), rule('world', {})],
    ],
    [
      'of a rule of others, whose header is written otherwise',
      [rule('other', { headers: [{ name: 'X-Canary', value: 'always' }] }), rule('world', {})],
    ],
    [
      'of a rule of others with the headers in another order',
      [rule('other', { headers: [header('x-canary', 'always'), header('X-Tenant', 'a')] }), rule('world', TENANT)],
    ],
    [
      'of a rule of others that says path and type by leaving them out',
      [{ ...rule('other'), matches: [{ headers: [{ name: 'x-canary', value: 'always' }] }] }, rule('world', {})],
    ],
    [
      'of a rule of others with another end of the same path',
      [
        rule('other', { path: { ...path, value: '/x/' }, ...ALWAYS }),
        rule('world', { path: { ...path, value: '/x' } }),
      ],
    ],
    [
      'of a rule of others, whose second match of the header nobody looks at',
      [rule('other', { headers: [header('x-canary', 'always'), header('X-CANARY', 'no')] }), rule('world', {})],
    ],
  ])('is refused where its matches would be those %s, since then nobody could tell them apart', async (_, rules) => {
    expect(await look(rules)).toMatchObject({
      refusals: [
        expect.stringMatching(/HTTPRoute .*world: rule 1 \(\/(x\/)?\) matches x-canary: always already.*Take/),
      ],
    });
    expect(await look(rules, [weight(10)])).toMatchObject({ refusals: [] });
  });

  it.each<[string, readonly Json[], Route, readonly RegExp[]]>([
    ['has a query parameter', [rule('world', {}), rule('other', DEBUG)], PREVIEW, [/rule 2 \(\/\) to other/]],
    ['has as many headers and stands behind', [rule('world', {}), rule('other', TENANT)], PREVIEW, [/rule 2/]],
    ['has as many headers and stands before', [rule('other', TENANT), rule('world', {})], PREVIEW, []],
    [
      'has as many headers and a query parameter',
      [rule('world', {}), rule('other', { ...TENANT, ...DEBUG })],
      PREVIEW,
      [],
    ],
    [
      'wants another value of the header',
      [rule('world', {}), rule('other', { headers: [header('X-Canary', 'no')] })],
      PREVIEW,
      [],
    ],
    [
      'wants the value in another case',
      [rule('other', { headers: [header('x-canary', 'Always')] }), rule('world', {})],
      PREVIEW,
      [],
    ],
    ['has another path', [rule('world', {}), rule('other', { path: { ...path, value: '/x' }, ...DEBUG })], PREVIEW, []],
    ['is for a method', [rule('world', {}), rule('other', { method: 'POST', ...DEBUG })], PREVIEW, []],
    ['had less precedence before', [rule('world', TENANT), rule('other', {})], PREVIEW, []],
    ['is not asked for a share', [rule('world', {}), rule('other', DEBUG)], weight(10), []],
  ])(
    'is warned about where it takes requests from a rule of others, and only there: one that %s',
    async (_, rules, wanted, said) => {
      expect(await look(rules, [wanted])).toMatchObject({
        refusals: [],
        warnings: said.map((one) => expect.stringMatching(one)),
      });
    },
  );

  it('is refused where the matches of all rules would be more than a route may have', async () => {
    const many = (count: number) => Array.from({ length: count }, (_, n) => ({ path: { ...path, value: `/${n}` } }));
    expect(await look([rule('world', ...many(64))])).toMatchObject({ refusals: [] });
    const rules = [rule('world', ...many(64)), rule('other', {})];
    expect(await look(rules)).toMatchObject({ refusals: [expect.stringMatching(/no room for preview .*128 matches/)] });
    expect(await look(rules, [weight(10)])).toMatchObject({ refusals: [], warnings: [] });
  });
});
