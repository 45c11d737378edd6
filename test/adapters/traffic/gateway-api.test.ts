import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPlayground } from '../../../playground/playground.ts';
import { type Cluster, createCluster } from '../../../src/adapters/kubernetes/cluster.ts';
import { createGatewayApiRouter } from '../../../src/adapters/traffic/gateway-api.ts';
import { overtakers } from '../../../src/adapters/traffic/gateway-others.ts';
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

let world: World;
let cluster: Cluster;
/** A world of its own, and a client, for each test of the block. */
function useWorld(): void {
  beforeEach(async () => {
    world = await makeWorld(kube);
    cluster = createCluster({ kubeconfig: playground.kubeconfig, log: silent });
  });
  afterEach(async () => {
    await cluster.close();
    await unmakeWorld(kube, world);
  });
}

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
    await kube.merge(`${policies}/world`, { spec: attached('world', 'world-stable', 'world-canary') });
    expect(await router.preflight(world.target, [])).toMatchObject({ ok: true });
  });

  it('are warned about where nobody can say what policies give to the service, unless there is no such kind', async () => {
    playground.api.rights.deny({ verb: 'list', resource: 'backendtlspolicies' });
    const look = (cluster: Cluster) => createGatewayApiRouter({ cluster, log: silent }).preflight(world.target, []);
    expect(await look(cluster)).toMatchObject({
      ok: true,
      warnings: [
        expect.stringMatching(
          /^The bot may not list backendtlspolicies in namespace \S+, so it cannot see which pods are asked by TLS: add to its Role: - \{.*verbs: \[list\] \}$/,
        ),
      ],
    });
    expect(await look({ ...cluster, serves: async () => false })).toMatchObject({ ok: true, warnings: [] });
    playground.api.rights.allowEverything();
  });
});

describe('HTTPRoutes beside those of the rollout', () => {
  useWorld();

  const path = (value: string) => ({ path: { type: 'PathPrefix', value } });
  const besides = async (to: Json, matched = '/admin') => {
    const { apiVersion, spec } = await kube.get(world.paths.route);
    const rules = [{ matches: [path(matched)], backendRefs: [{ port: 80, ...to }] }];
    await kube.call('POST', world.paths.route.slice(0, world.paths.route.lastIndexOf('/')), {
      apiVersion,
      kind: 'HTTPRoute',
      metadata: { name: 'other' },
      spec: { ...spec, rules },
    });
  };
  const looked = async (target = world.target) => {
    const found = await createGatewayApiRouter({ cluster, log: silent }).preflight(target, []);
    return found.ok ? found.warnings : found.refusals;
  };

  it('are warned about where they send to the same Kubernetes Service, since no weight is for them', async () => {
    await besides({ name: 'world' });
    expect(await looked()).toEqual([
      expect.stringMatching(/^HTTPRoute \S+\/other sends to world too.* at the promotion.*traffic\.routes/),
    ]);
    const { namespace } = world.target;
    const both = { router: 'gateway-api' as const, routes: [`${namespace}/world`, `${namespace}/other`] };
    expect(await looked({ ...world.target, traffic: both })).toEqual([]);
  });

  it.each<[string, Json]>([
    ['to another Kubernetes Service', { name: 'else' }],
    ['to one of another namespace with the same name', { name: 'world', namespace: 'else' }],
    ['nothing to it', { name: 'world', weight: 0 }],
  ])('are nothing to warn about where they send %s', async (_, to) => {
    await besides(to);
    expect(await looked()).toEqual([]);
  });

  it.each<[string, (spec: Json) => Json, boolean]>([
    ['that matches the same', (spec) => spec, true],
    [
      'that matches the same, in other words',
      (spec) => ({ ...spec, rules: [{ backendRefs: spec.rules[0].backendRefs }] }),
      true,
    ],
    [
      'that is of one listener of the parent',
      (spec) => ({ ...spec, parentRefs: [{ ...spec.parentRefs[0], sectionName: 'web' }] }),
      true,
    ],
    ['for another host', (spec) => ({ ...spec, hostnames: ['other.example.com'] }), false],
    ['of another parent', (spec) => ({ ...spec, parentRefs: [{ name: 'inner' }] }), false],
    ['for another path', (spec) => ({ ...spec, rules: [{ ...spec.rules[0], matches: [path('/admin')] }] }), false],
  ])('an older one %s', async (_, change, isTold) => {
    const route = await kube.get(world.paths.route);
    const spec = { ...route.spec, rules: [{ matches: [path('/')], backendRefs: [{ name: 'else', port: 80 }] }] };
    const other = { ...route, metadata: { ...route.metadata, name: 'other' }, spec: change(spec) };
    const of = (created: string, object: Json) => ({
      ...object,
      metadata: { ...object.metadata, creationTimestamp: created },
    });
    const said = /^HTTPRoute \S+\/other is older .*matches the same requests \(\/\).*HTTPRoute \S+\/world/;
    const older = overtakers([of('2026-01-02T00:00:00Z', route)], [of('2026-01-01T00:00:00Z', other)], () => true);
    expect(older).toEqual(isTold ? [expect.stringMatching(said)] : []);
    expect(overtakers([of('2026-01-01T00:00:00Z', route)], [of('2026-01-02T00:00:00Z', other)], () => true)).toEqual(
      [],
    );
  });

  it('an older one is found among those of the namespace', async () => {
    await besides({ name: 'else' }, '/');
    const route = await kube.get(world.paths.route);
    const young = { ...route, metadata: { ...route.metadata, creationTimestamp: '2999-01-01T00:00:00Z' } };
    expect(await lookAtRoutes(cluster, world.target, [young], [])).toMatchObject({
      refusals: [],
      warnings: [expect.stringMatching(/^HTTPRoute \S+\/other is older/)],
    });
  });

  it('one as old goes by its name', async () => {
    const route = await kube.get(world.paths.route);
    const named = (name: string) => ({ ...route, metadata: { ...route.metadata, name } });
    expect(overtakers([route], [named('a')], () => true)).toHaveLength(1);
    expect(overtakers([route], [named('z')], () => true)).toEqual([]);
  });
});

describe('a preview beside the other rules of a route', () => {
  useWorld();

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
