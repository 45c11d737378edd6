/** What routers of Kubernetes objects do beside their contract, on a simulated API server. */
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPlayground } from '../../../playground/playground.ts';
import { type Cluster, createCluster } from '../../../src/adapters/kubernetes/cluster.ts';
import { createRouter } from '../../../src/adapters/traffic/index.ts';
import type { Fence } from '../../../src/app/ports/cluster.ts';
import { STABLE_ROUTE, type Target, type Traffic } from '../../../src/core/plan.ts';
import { type Json, openKube } from '../../cluster/kube.ts';
import { SYSTEMS } from '../../cluster/route-worlds.ts';
import { makeWorld, PREVIEW, silent, unmakeWorld, type World } from '../../cluster/world.ts';

const playground = await createPlayground({ readyAfterMs: 20, drainMs: 20, world: false });
const kube = openKube(playground.kubeconfig);
afterAll(async () => {
  await kube.close();
  await playground.stop();
});

const fence = (seq: number, epoch = 1, rollout = 'world-1'): Fence => ({ rollout, epoch, seq });
const DONE = { kind: 'done' };

let world: World;
let calls: string[];
let opened: Cluster[];
beforeEach(async () => {
  world = await makeWorld(kube, { route: false });
  calls = [];
  opened = [];
});
afterEach(async () => {
  for (const cluster of opened) await cluster.close();
  await unmakeWorld(kube, world);
});

/** A router of a replica of its own. */
function replica(traffic: Traffic) {
  const onRequest = (verb: string) => void calls.push(verb);
  const cluster = createCluster({ kubeconfig: playground.kubeconfig, log: silent, onRequest });
  opened.push(cluster);
  return createRouter(traffic.router, { cluster, log: silent });
}

/** The system's objects and its target. */
async function given(
  system: (typeof SYSTEMS)['ingress-nginx' | 'istio' | 'smi' | 'smi, made when missing'],
  change = (body: Json) => body,
) {
  const { namespace } = world.target;
  for (const [path, body] of Object.entries(system.given(namespace)))
    await kube.call('POST', path, change(structuredClone(body)));
  const target: Target = { ...world.target, traffic: system.traffic(namespace) };
  return { target, claimed: system.claimed(namespace), router: replica(target.traffic) };
}

const NGINX = 'nginx.ingress.kubernetes.io';
const CLASS = 'kubernetes.io/ingress.class';

describe('ingress-nginx', () => {
  it('brings host, TLS and class of its Ingress up to date with each rollout', async () => {
    const { target, claimed, router } = await given(SYSTEMS['ingress-nginx'], (body) => {
      body.metadata.annotations[CLASS] = 'old';
      delete body.spec.ingressClassName;
      return body;
    });
    expect(await router.claim(target, fence(1))).toMatchObject(DONE);
    expect((await kube.get(claimed)).metadata.annotations[CLASS]).toBe('old');
    await router.release(target, fence(2));
    await kube.merge(claimed, { metadata: { annotations: { [`${NGINX}/affinity-canary-behavior`]: 'sticky' } } });
    await kube.merge(claimed.replace(/-canary$/, ''), {
      metadata: { annotations: { [CLASS]: null } },
      spec: { ingressClassName: 'new', tls: [{ hosts: ['new.example.com'], secretName: 'new' }] },
    });
    const other = replica(target.traffic);
    expect(await other.claim(target, fence(1, 2, 'world-2'))).toMatchObject(DONE);
    const { metadata, spec } = await kube.get(claimed);
    expect(spec).toMatchObject({ ingressClassName: 'new', tls: [{ secretName: 'new' }] });
    expect(metadata.annotations).toMatchObject({
      [`${NGINX}/canary`]: 'true',
      [`${NGINX}/canary-weight`]: '0',
      [`${NGINX}/affinity-canary-behavior`]: 'sticky',
    });
    expect(metadata.annotations[CLASS]).toBeUndefined();
  });

  it.each<[string, (stable: string, canary: string) => Promise<unknown>, RegExp]>([
    [
      'the host',
      (stable) => kube.merge(stable, { spec: { tls: [{ hosts: ['new.example.com'], secretName: 'new' }] } }),
      /any more: spec\.tls: .*new\.example\.com.* Re-apply/,
    ],
    [
      'the class of old',
      (stable) => kube.merge(stable, { metadata: { annotations: { [CLASS]: 'new' } } }),
      /any more: annotations\["kubernetes\.io\/ingress\.class"\]: "old" → "new"\. Re-apply/,
    ],
    [
      'the class of old, which is gone,',
      (stable) => kube.merge(stable, { metadata: { annotations: { [CLASS]: null } } }),
      /any more: annotations\["kubernetes\.io\/ingress\.class"\]: gone\. Re-apply/,
    ],
    [
      'a journal that an older Sluice wrote',
      (_, canary) => kube.merge(canary, { metadata: { annotations: { 'sluice.dev/restore': '{"made":"old"}' } } }),
      /any more: nobody knows any more what it was made of\. Re-apply/,
    ],
  ])('moves no weight on after a change of its Ingress: %s is asked about before', async (_, change, words) => {
    const { target, claimed, router } = await given(SYSTEMS['ingress-nginx'], (body) => {
      body.metadata.annotations[CLASS] = 'old';
      delete body.spec.ingressClassName;
      return body;
    });
    expect(await router.claim(target, fence(1))).toMatchObject(DONE);
    const to = (weight: number) => ({ ...STABLE_ROUTE, weight });
    expect(await router.setRoute(target, to(10), fence(2), false)).toEqual(DONE);
    calls.length = 0;
    expect(await router.setRoute(target, to(20), fence(3), false)).toEqual(DONE);
    expect(calls).toEqual(['patch']);
    await change(claimed.replace(/-canary$/, ''), claimed);
    const other = replica(target.traffic);
    expect(await other.setRoute(target, to(50), fence(4), false)).toMatchObject({
      kind: 'drifted',
      drift: { difference: expect.stringMatching(words), weight: null },
    });
    expect((await kube.get(claimed)).metadata.annotations[`${NGINX}/canary-weight`]).toBe('20');
    expect(await other.setRoute(target, to(50), fence(5), true)).toEqual(DONE);
    expect(await other.drift(target, to(50), fence(5))).toBeNull();
  });

  it('makes its Ingress again where somebody took it away between rollouts', async () => {
    const { target, claimed, router } = await given(SYSTEMS['ingress-nginx']);
    await router.claim(target, fence(1));
    await router.release(target, fence(2));
    await kube.call('DELETE', claimed);
    const next = fence(1, 2, 'world-2');
    expect(await router.preflight(target)).toMatchObject({ ok: true });
    expect(await router.claim(target, next)).toMatchObject(DONE);
    expect((await kube.get(claimed)).metadata.annotations).toMatchObject({ [`${NGINX}/canary`]: 'true' });
  });

  it('does not take an Ingress of that name that somebody made since the look', async () => {
    const { target, claimed, router } = await given(SYSTEMS['ingress-nginx']);
    expect(await router.preflight(target)).toMatchObject({ ok: true });
    const stable = await kube.get(claimed.replace(/-canary$/, ''));
    const own = { ...stable, metadata: { name: 'world-canary' } };
    await kube.call('POST', claimed.replace(/\/[^/]*$/, ''), own);
    expect(await router.claim(target, fence(1))).toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(/not made by Sluice: delete it/),
    });
    // The abort that follows, and a write that somebody asks for: a foreign Ingress is no canary because of them.
    expect(await router.reset(target, fence(2, 2), {}, true)).toEqual(DONE);
    const route = { ...STABLE_ROUTE, weight: 10 };
    expect(await router.setRoute(target, route, fence(3, 2), true)).toMatchObject({ kind: 'refused' });
    expect((await kube.get(claimed)).metadata.annotations ?? {}).toEqual({});
  });

  it('counts its weights in percent: another total is a foreign edit', async () => {
    const { target, claimed, router } = await given(SYSTEMS['ingress-nginx']);
    await router.claim(target, fence(1));
    const route = { ...STABLE_ROUTE, weight: 100 };
    await router.setRoute(target, route, fence(2), false);
    await kube.merge(claimed, { metadata: { annotations: { [`${NGINX}/canary-weight-total`]: '1000' } } });
    expect(await replica(target.traffic).drift(target, route, fence(2))).toMatchObject({
      difference: expect.stringMatching(/canary-weight-total is "1000"/),
    });
    expect(await router.reset(target, fence(3, 2), {}, true)).toEqual(DONE);
    expect((await kube.get(claimed)).metadata.annotations).not.toHaveProperty([`${NGINX}/canary-weight-total`]);
  });

  it('refuses a Deployment that stops all its pods to change them: without them nobody answers for the canary', async () => {
    const { target, router } = await given(SYSTEMS['ingress-nginx']);
    await kube.merge(world.paths.deployment, { spec: { strategy: { type: 'Recreate', rollingUpdate: null } } });
    expect(await router.preflight(target)).toMatchObject({
      ok: false,
      refusals: [expect.stringMatching(/Recreate.*RollingUpdate/)],
    });
  });

  it.each<[string, object, readonly RegExp[]]>([
    ['one pod that may be unavailable', { replicas: 1, maxSurge: 1, maxUnavailable: 1 }, [/without a pod.*503/]],
    ['all pods at once', { replicas: 2, maxSurge: 0, maxUnavailable: '100%' }, [/without a pod.*maxUnavailable 100%/]],
    ['one pod as Kubernetes has it by itself', { replicas: 1, maxSurge: '25%', maxUnavailable: '25%' }, []],
    ['one of two pods', { replicas: 2, maxSurge: 0, maxUnavailable: '30%' }, []],
    ['one pod and a surge', { replicas: 1, maxSurge: 1, maxUnavailable: 0 }, []],
  ])('warns where stable may be left without pods: %s', async (_, { replicas, ...rollingUpdate }: Json, said) => {
    const { target, router } = await given(SYSTEMS['ingress-nginx']);
    await kube.merge(world.paths.deployment, { spec: { replicas, strategy: { rollingUpdate } } });
    expect(await router.preflight(target)).toMatchObject({
      ok: true,
      warnings: said.map((text) => expect.stringMatching(text)),
    });
  });

  it.each<[string, (spec: Json) => Json, readonly string[]]>([
    ['by the same port, so that they share it', (spec) => spec, ['share its weight']],
    ['by another name of the port, so that they do not', (spec) => portOf(spec, { number: 80 }), ['without a canary']],
    ['of another class, so that they do not', (spec) => ({ ...spec, ingressClassName: 'else' }), ['without a canary']],
    [
      'for whatever no path fits',
      ({ ingressClassName }) => ({ ingressClassName, defaultBackend: backend({ name: 'http' }) }),
      ['share its weight'],
    ],
    ['no, it is about another Kubernetes Service', (spec) => ({ ...spec, rules: [toOther(spec)] }), []],
  ])('warns of other Ingresses of the service: %s', async (_, change, said) => {
    const { namespace } = world.target;
    await given(SYSTEMS['ingress-nginx'], (body) => {
      const spec = change(body.spec);
      const rules = spec.rules?.map((rule: Json) => ({ ...rule, host: 'admin.example.com' }));
      return { ...body, metadata: { name: 'admin' }, spec: { ...spec, ...(rules && { rules }) } };
    });
    const { target, router } = await given(SYSTEMS['ingress-nginx']);
    expect(await router.preflight(target)).toMatchObject({
      ok: true,
      warnings: said.map((words) => expect.stringMatching(`Ingress ${namespace}/admin sends to world too: .*${words}`)),
    });
    expect(calls).not.toContain('list');
  });
  const backend = (port: Json) => ({ service: { name: 'world', port } });
  const portOf = ({ rules: [rule], ...spec }: Json, port: Json): Json => ({
    ...spec,
    rules: [{ ...rule, http: { paths: [{ ...rule.http.paths[0], backend: backend(port) }] } }],
  });
  const toOther = ({ rules: [rule] }: Json): Json => ({ ...rule, http: { paths: [rule.http.paths[1]] } });

  it('warns where sessions stay with the canary after an abort', async () => {
    const { target, claimed, router } = await given(SYSTEMS['ingress-nginx'], (body) => {
      body.metadata.annotations[`${NGINX}/affinity`] = 'cookie';
      return body;
    });
    expect(await router.preflight(target)).toMatchObject({ ok: true, warnings: [expect.stringMatching(/affinity/)] });
    await router.claim(target, fence(1));
    await router.release(target, fence(2));
    await kube.merge(claimed, { metadata: { annotations: { [`${NGINX}/affinity-canary-behavior`]: 'legacy' } } });
    expect(await replica(target.traffic).preflight(target)).toMatchObject({ ok: true, warnings: [] });
  });
});

describe('an abort by a replica that has just started', () => {
  it.each(['ingress-nginx', 'smi'] as const)('asks for nothing but the object (%s)', async (name) => {
    const { target, router } = await given(SYSTEMS[name]);
    await router.claim(target, fence(1));
    await router.setRoute(target, { ...STABLE_ROUTE, weight: 50 }, fence(2), false);
    const cold = replica(target.traffic);
    calls.length = 0;
    expect(await cold.reset(target, fence(3, 2), {}, true)).toEqual(DONE);
    expect(calls.filter((verb) => verb === 'watch')).toEqual([]);
    expect(calls.filter((verb) => verb === 'patch')).toHaveLength(1);
  });
});

describe('istio', () => {
  const named = (target: Target, ...http: string[]): Target => ({
    ...target,
    traffic: { router: 'istio', virtualService: `${target.namespace}/world`, http },
  });

  it('names the VirtualService that a route is delegated to, and routes that one', async () => {
    await given(SYSTEMS.istio, (body) => ({
      ...body,
      metadata: { name: 'entrance' },
      spec: { hosts: ['world.example'], http: [{ name: 'main', delegate: { name: 'world' } }] },
    }));
    const { target, router } = await given(SYSTEMS.istio, (body) => {
      const { hosts: _, ...spec } = body.spec;
      return { ...body, spec };
    });
    const entrance: Traffic = { router: 'istio', virtualService: `${target.namespace}/entrance`, http: [] };
    expect(await router.preflight({ ...target, traffic: entrance })).toMatchObject({
      refusals: [expect.stringContaining('it delegates to world. Name that one in traffic.virtualService')],
    });
    expect(await router.preflight(target)).toMatchObject({ ok: true });
  });

  it('refuses a named route that does not send to the service', async () => {
    const { target, router } = await given(SYSTEMS.istio);
    expect(await router.preflight(named(target, 'api', 'other'))).toMatchObject({
      ok: false,
      refusals: [expect.stringMatching(/route other /)],
    });
  });

  it('leaves a route that is not named to whoever splits it', async () => {
    const { target, router } = await given(SYSTEMS.istio, (body) => {
      body.spec.http[0].route = [
        { destination: { host: 'world' }, weight: 50 },
        { destination: { host: 'other' }, weight: 50 },
      ];
      return body;
    });
    expect(await router.preflight(target)).toMatchObject({ ok: false });
    expect(await router.preflight(named(target, 'api'))).toMatchObject({ ok: true });
  });

  it('routes by name where another route sends to another Kubernetes Service of the same pods', async () => {
    const { spec } = await kube.get(world.paths.service);
    const admin = { selector: spec.selector, ports: [{ name: 'http', port: 81, targetPort: 7778 }] };
    await kube.call('POST', world.paths.service.replace(/\/world$/, ''), {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'admin' },
      spec: admin,
    });
    const { target, router } = await given(SYSTEMS.istio, (body) => {
      body.spec.http[0].route = [{ destination: { host: 'admin' } }];
      return body;
    });
    expect(await router.preflight(named(target, 'api'))).toMatchObject({ ok: true });
  });

  it.each([
    ['its tcp routes', { http: [], tcp: [{ route: [{ destination: { host: 'world' } }] }] }, /HTTP routes only/],
    ['its subset', { http: [{ route: [{ destination: { host: 'world', subset: 'v1' } }] }] }, /subset/],
  ])('says why it cannot route %s', async (_, spec, why) => {
    const { target, router } = await given(SYSTEMS.istio, (body) => ({ ...body, spec: { hosts: ['world'], ...spec } }));
    expect(await router.preflight(target)).toMatchObject({ ok: false, refusals: [expect.stringMatching(why)] });
  });

  it('refuses a route with the name of its own previews, which would be taken for one', async () => {
    const { target, router } = await given(SYSTEMS.istio, (body) => {
      body.spec.http[1].name = 'sluice-preview';
      return body;
    });
    expect(await router.preflight(target)).toMatchObject({
      ok: false,
      refusals: [expect.stringMatching(/route sluice-preview .* give it another one/)],
    });
  });

  it('warns of routes beside the HTTP ones, which go on to stable alone', async () => {
    const { target, router } = await given(SYSTEMS.istio, (body) => {
      body.spec.tls = [{ match: [{ sniHosts: ['world'] }], route: [{ destination: { host: 'world' } }] }];
      return body;
    });
    expect(await router.preflight(target)).toMatchObject({
      ok: true,
      warnings: [expect.stringMatching(/tls routes send to world/)],
    });
  });

  const copying = { mirror: { host: 'audit' }, mirrorPercentage: { value: 100 } };
  it.each<[string, Json, number | null, object]>([
    ['refuses a step that copies', copying, 50, { ok: false, refusals: [expect.stringMatching(/route api copies/)] }],
    [
      'refuses a step that copies, beside a list of copies,',
      { mirrors: [{ destination: { host: 'audit' } }] },
      50,
      { ok: false, refusals: [expect.stringMatching(/route api copies/)] },
    ],
    ['warns', copying, null, { ok: true, warnings: [expect.stringMatching(/route api copies/)] }],
    ['says nothing', {}, 50, { ok: true, warnings: [] }],
  ])('%s where a route copies to somewhere already: %j, wanted %j', async (_, copies, mirror, seen) => {
    const { target, router } = await given(SYSTEMS.istio, (body) => {
      Object.assign(body.spec.http[1], copies);
      return body;
    });
    const wanted = [STABLE_ROUTE, { ...STABLE_ROUTE, mirror }];
    expect(await router.preflight(target, wanted)).toMatchObject(seen);
    // What is accepted can be written, and what is refused cannot.
    await router.claim(target, fence(1));
    const { kind } = await router.setRoute(target, { ...STABLE_ROUTE, mirror }, fence(2), false);
    expect(kind).toBe('ok' in seen && seen.ok ? 'done' : 'refused');
  });

  it('warns of other VirtualServices whose users would meet the new version without a canary', async () => {
    const { namespace } = world.target;
    const beside = (name: string, spec: Json) => given({ ...SYSTEMS.istio, given: (ns) => renamed(ns, name, spec) });
    const renamed = (ns: string, name: string, spec: Json): Json =>
      Object.fromEntries(
        Object.entries(SYSTEMS.istio.given(ns)).map(([path, body]) => [path, { ...body, metadata: { name }, spec }]),
      );
    const route = (host: string) => [{ destination: { host } }];
    await beside('admin', { hosts: ['admin.example'], http: [{ route: route('other') }, { route: route('world') }] });
    await beside('sockets', { hosts: ['world'], tcp: [{ route: route(`world.${namespace}.svc.cluster.local`) }] });
    await beside('elsewhere', { hosts: ['else'], http: [{ route: route('world.else') }] });
    const { target, router } = await given(SYSTEMS.istio);
    const looked = await router.preflight(target);
    expect(looked).toMatchObject({
      ok: true,
      warnings: [
        expect.stringMatching(`VirtualService ${namespace}/admin, VirtualService ${namespace}/sockets .*world`),
      ],
    });
    expect(calls.filter((verb) => verb === 'list')).toHaveLength(1);
  });

  const rule = async (host: string, trafficPolicy: Json, namespace = world.target.namespace) =>
    kube.call('POST', `/apis/networking.istio.io/v1/namespaces/${namespace}/destinationrules`, {
      apiVersion: 'networking.istio.io/v1',
      kind: 'DestinationRule',
      metadata: { name: host.split('.')[0] },
      spec: { host, trafficPolicy },
    });

  it.each<[string, Json, object]>([
    [
      'refuses',
      { tls: { mode: 'SIMPLE' } },
      { ok: false, refusals: [expect.stringMatching(/world and not for world-stable and world-canary.*TLS/)] },
    ],
    [
      'refuses, for one port of it,',
      { portLevelSettings: [{ port: { number: 80 }, tls: { mode: 'SIMPLE' } }] },
      { ok: false, refusals: [expect.stringMatching(/world and not for world-stable and world-canary.*TLS/)] },
    ],
    [
      'warns, where proxies have certificates by themselves, of',
      { tls: { mode: 'ISTIO_MUTUAL' } },
      {
        ok: true,
        warnings: [expect.stringMatching(/world and not for world-stable and world-canary.*policy is missing/)],
      },
    ],
    [
      'warns of',
      { portLevelSettings: [{ port: { number: 80 }, loadBalancer: { simple: 'RANDOM' } }] },
      {
        ok: true,
        warnings: [expect.stringMatching(/world and not for world-stable and world-canary.*policy is missing/)],
      },
    ],
    [
      'warns of',
      { connectionPool: { http: { maxRetries: 1 } } },
      {
        ok: true,
        warnings: [expect.stringMatching(/world and not for world-stable and world-canary.*policy is missing/)],
      },
    ],
  ])('%s a policy of the service that its two sides would be without', async (_, policy, seen) => {
    const { target, router } = await given(SYSTEMS.istio);
    await rule('world', policy);
    expect(await router.preflight(target)).toMatchObject(seen);
    await rule('world-stable', policy);
    await rule('world-canary', policy);
    expect(await router.preflight(target)).toMatchObject({ ok: true, warnings: [] });
  });
});

describe('istio, with the VirtualService in another namespace', () => {
  const TLS = { trafficPolicy: { tls: { mode: 'SIMPLE' } } };
  const READ = { verb: 'list', resource: 'destinationrules' } as const;
  let edge: World;
  beforeEach(async () => {
    edge = await makeWorld(kube, { route: false });
  });
  afterEach(async () => {
    playground.api.rights.allowEverything();
    await unmakeWorld(kube, edge);
  });
  const rule = (namespace: string, name: string, spec: Json = TLS) =>
    kube.call('POST', `/apis/networking.istio.io/v1/namespaces/${namespace}/destinationrules`, {
      apiVersion: 'networking.istio.io/v1',
      kind: 'DestinationRule',
      metadata: { name },
      spec: { host: `${name}.${world.target.namespace}.svc.cluster.local`, ...spec },
    });
  const abroad = async () => {
    const [home, away] = [world.target.namespace, edge.target.namespace];
    const http = [{ route: [{ destination: { host: `world.${home}.svc.cluster.local` } }] }];
    for (const [path, body] of Object.entries(SYSTEMS.istio.given(away)))
      await kube.call('POST', path, { ...(body as object), spec: { hosts: ['world.example'], http } });
    const target: Target = { ...world.target, traffic: SYSTEMS.istio.traffic(away) };
    return { home, away, target, router: replica(target.traffic) };
  };
  const sides = async (namespace: string) => {
    for (const side of ['world-stable', 'world-canary']) await rule(namespace, side);
  };

  it('refuses a rule with TLS for its clients, until one of theirs or of the service holds for the two sides', async () => {
    const { home, away, target, router } = await abroad();
    await rule(away, 'world');
    const refusals = [expect.stringMatching(`DestinationRule ${away}/world .*world-stable and world-canary.*TLS`)];
    expect(await router.preflight(target)).toMatchObject({ ok: false, refusals });
    await sides(home);
    expect(await router.preflight(target)).toMatchObject({ ok: true, warnings: [] });
  });

  it('does not take theirs for those of clients beside the service', async () => {
    const { home, away, target, router } = await abroad();
    await rule(home, 'world');
    await sides(away);
    const refusals = [expect.stringMatching(`DestinationRule ${home}/world .*TLS`)];
    expect(await router.preflight(target)).toMatchObject({ ok: false, refusals });
  });

  it('warns where it may not look beside the service', async () => {
    const { home, target, router } = await abroad();
    playground.api.rights.deny({ ...READ, namespace: home });
    const warnings = [expect.stringMatching(`in namespace ${home} may .*allow list on destinationrules`)];
    expect(await router.preflight(target)).toMatchObject({ ok: true, warnings });
  });
});

describe('smi', () => {
  const renamed = async () => {
    const service = await kube.get(world.paths.service);
    await kube.call('DELETE', world.paths.service);
    const { selector, ports } = service.spec;
    await kube.call('POST', world.paths.service.replace(/\/world$/, ''), {
      ...service,
      metadata: { name: 'world-web' },
      spec: { selector, ports },
    });
  };

  it('says what to do about a split that a renamed Kubernetes Service left over', async () => {
    const { target, router } = await given(SYSTEMS.smi);
    await renamed();
    expect(await router.preflight(target)).toMatchObject({
      ok: false,
      refusals: [expect.stringMatching(/\(world-web\): it splits Kubernetes Service world\. Delete the split/)],
    });
  });

  it('takes its own split along to a renamed Kubernetes Service', async () => {
    const { target, claimed } = await given(SYSTEMS['smi, made when missing']);
    const { namespace } = target;
    // Left over in spite of its owner: an older one, or deleted with --cascade=orphan.
    await kube.call('POST', claimed.replace(/\/world$/, ''), {
      apiVersion: 'split.smi-spec.io/v1alpha2',
      kind: 'TrafficSplit',
      metadata: { name: 'world', namespace, labels: { 'app.kubernetes.io/managed-by': 'sluice' } },
      spec: { service: 'world', backends: [{ service: 'world', weight: 100 }] },
    });
    await renamed();
    const router = replica(target.traffic);
    expect(await router.preflight(target)).toMatchObject({ ok: true });
    expect(await router.claim(target, fence(1))).toMatchObject(DONE);
    expect((await kube.get(claimed)).spec).toEqual({
      service: 'world-web',
      backends: [{ service: 'world-web', weight: 100 }],
    });
  });

  it.each([
    [
      [
        { service: 'world', weight: 90 },
        { service: 'fault', weight: 10 },
      ],
    ],
    [[{ service: 'maintenance', weight: 1 }]],
  ])('refuses a split that sends to others than the service: %j', async (backends) => {
    const { target, router } = await given(SYSTEMS.smi, (body) => ({ ...body, spec: { ...body.spec, backends } }));
    expect(await router.preflight(target)).toMatchObject({
      ok: false,
      refusals: [expect.stringMatching(/what is stable there is unclear/)],
    });
  });

  const profile = (metadata: Json = {}, spec: Json = {}) => {
    const { namespace } = world.target;
    const name = `world.${namespace}.svc.cluster.local`;
    const body = { apiVersion: 'linkerd.io/v1alpha2', kind: 'ServiceProfile', metadata: { name, ...metadata }, spec };
    return kube.call('POST', `/apis/linkerd.io/v1alpha2/namespaces/${namespace}/serviceprofiles`, body);
  };
  const route = (parent: string) =>
    kube.call('POST', `/apis/gateway.networking.k8s.io/v1/namespaces/${world.target.namespace}/httproutes`, {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name: parent },
      spec: { parentRefs: [{ group: '', kind: 'Service', name: parent, port: 80 }], rules: [{}] },
    });

  it.each<[string, () => Promise<unknown>, object]>([
    [
      'refuses a split that linkerd-smi is told to leave alone: all weights would be without effect',
      () => profile({ annotations: { 'smi.linkerd.io/skip': 'true' } }),
      { ok: false, refusals: [expect.stringMatching(/ServiceProfile .*world.* smi\.linkerd\.io\/skip.*Take/)] },
    ],
    [
      'refuses one beside an HTTPRoute of the same Kubernetes Service, which would lose its effect',
      () => route('world'),
      { ok: false, refusals: [expect.stringMatching(/HTTPRoute .*world .*Delete .*gateway-api/)] },
    ],
    ['takes no notice of an HTTPRoute of another', () => route('other'), { ok: true, warnings: [] }],
    [
      'warns of routes in the ServiceProfile that carries the weights',
      () => profile({}, { routes: [{ name: '/', condition: { pathRegex: '/' } }] }),
      { ok: true, warnings: [expect.stringMatching(/has routes of its own/)] },
    ],
  ])('%s', async (_, make, seen) => {
    const { target, router } = await given(SYSTEMS.smi);
    await make();
    expect(await router.preflight(target)).toMatchObject(seen);
  });

  it.each([
    ['serviceprofiles', /ServiceProfile .*allow list on serviceprofiles of linkerd\.io/],
    ['httproutes', /HTTPRoute .*allow list on httproutes of gateway\.networking\.k8s\.io/],
  ])('warns where it may not look at %s', async (resource, said) => {
    const { target } = await given(SYSTEMS.smi);
    playground.api.rights.deny({ verb: 'list', resource });
    try {
      expect(await replica(target.traffic).preflight(target)).toMatchObject({
        ok: true,
        warnings: [expect.stringMatching(said)],
      });
    } finally {
      playground.api.rights.allowEverything();
    }
  });

  it('accepts one whose other backends have no weight', async () => {
    const backends = [
      { service: 'world', weight: 1 },
      { service: 'fault', weight: 0 },
    ];
    const { target, router } = await given(SYSTEMS.smi, (body) => ({ ...body, spec: { ...body.spec, backends } }));
    expect(await router.preflight(target)).toMatchObject({ ok: true });
  });
});

it('refuses a preview where a route has no room for its rules', async () => {
  const rules = Array.from({ length: 9 }, (_, n) => ({
    matches: [{ path: { type: 'PathPrefix', value: `/${n}` } }],
    backendRefs: [{ name: 'world', port: 80 }],
  }));
  const full = await makeWorld(kube, { rules });
  const router = replica(full.target.traffic);
  expect(await router.preflight(full.target, [STABLE_ROUTE])).toMatchObject({ ok: true });
  expect(await router.preflight(full.target, [PREVIEW])).toMatchObject({
    ok: false,
    refusals: [expect.stringMatching(/no room for preview/)],
  });
  await unmakeWorld(kube, full);
});
