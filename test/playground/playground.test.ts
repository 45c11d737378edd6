import { stat } from 'node:fs/promises';
import { AppsV1Api, CustomObjectsApi, KubeConfig, Watch } from '@kubernetes/client-node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import type { HttpRoute, NewObject } from '../../playground/api-server/objects.ts';
import { createPlayground, type Playground } from '../../playground/playground.ts';
import type { Load } from '../../playground/traffic/load.ts';
import { HOST, NAMESPACE } from '../../playground/world.ts';

let playground: Playground;
let load: Load | undefined;

beforeEach(async () => {
  playground = await createPlayground({ readyAfterMs: 10, drainMs: 100, propagationMs: 10 });
  await until(() => playground.store.get(kinds.deployments, NAMESPACE, 'world')?.status?.availableReplicas === 2);
});
afterEach(async () => {
  await load?.stop();
  load = undefined;
  await playground.stop();
});

function until(check: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!check()) return;
      stop();
      resolve();
    };
    const stop = playground.store.subscribe(look);
    look();
  });
}

/** Counts from now until `count` more pods have answered, so that what was on its way before does not matter. */
async function answered(count: number) {
  load ??= playground.load({ host: HOST, perSecond: 400 });
  load.reset();
  const total = () => Object.values(load?.counts().versions ?? {}).reduce((sum, { answers }) => sum + answers, 0);
  await expect.poll(total, { interval: 10, timeout: 8000 }).toBeGreaterThanOrEqual(count);
  return load.counts();
}

async function request(headers: Record<string, string> = {}) {
  const { request: send } = await import('undici');
  const {
    statusCode,
    headers: answer,
    body,
  } = await send(`${playground.proxyUrl}/`, { headers: { host: HOST, ...headers } });
  await body.dump();
  return { status: statusCode, version: answer['x-version'] };
}

/** A second Deployment and Kubernetes Service, as Sluice makes for a canary. */
async function createCanary(version: string): Promise<void> {
  const { store } = playground;
  const { metadata, ...stable } = store.demand(kinds.deployments, NAMESPACE, 'world');
  const labels = { app: 'world-canary' };
  const containers = stable.spec.template.spec.containers.map((container) => ({
    ...container,
    image: `world:${version}`,
  }));
  const template = { metadata: { labels }, spec: { ...stable.spec.template.spec, containers } };
  const name = { name: 'world-canary', namespace: NAMESPACE };
  store.create(kinds.deployments, {
    ...stable,
    metadata: name,
    spec: { ...stable.spec, selector: { matchLabels: labels }, template },
  });
  store.create(kinds.services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: name,
    spec: { selector: labels, ports: [{ name: 'http', port: 80, targetPort: 7778 }] },
  });
  const ready = () =>
    store
      .list(kinds.endpointSlices, NAMESPACE)
      .find(({ metadata: { name: slice } }) => slice.startsWith('world-canary'));
  await until(() => (ready()?.endpoints ?? []).filter(({ conditions }) => conditions.ready).length === 2);
}

/** Writes the rules, and waits until the proxy follows them. */
async function route(rules: HttpRoute['spec']['rules'] | readonly object[]): Promise<void> {
  const { metadata, ...old } = playground.store.demand(kinds.httpRoutes, NAMESPACE, 'world');
  const next = { ...old, metadata, spec: { ...old.spec, rules } } as NewObject;
  playground.store.update(kinds.httpRoutes, next, 'main');
  await new Promise((resolve) => setTimeout(resolve, 50));
}

const weights = (canary: number) => [
  { name: 'world', port: 80, weight: 100 - canary },
  { name: 'world-canary', port: 80, weight: canary },
];

describe('the cluster', () => {
  it('is reached with client-node by a kubeconfig that only its owner reads', async () => {
    expect((await stat(playground.kubeconfig)).mode & 0o777).toBe(0o600);
    const config = new KubeConfig();
    config.loadFromFile(playground.kubeconfig);
    const deployment = await config
      .makeApiClient(AppsV1Api)
      .readNamespacedDeployment({ name: 'world', namespace: NAMESPACE });
    expect(deployment.status?.availableReplicas).toBe(2);
    const body = [{ op: 'add', path: '/metadata/annotations', value: { a: '1' } }];
    const object = {
      group: 'gateway.networking.k8s.io',
      version: 'v1',
      plural: 'httproutes',
      namespace: NAMESPACE,
      name: 'world',
    };
    const patched = await config.makeApiClient(CustomObjectsApi).patchNamespacedCustomObject({ ...object, body });
    expect(patched).toMatchObject({ metadata: { annotations: { a: '1' } } });

    const seen = await new Promise((resolve, reject) => {
      const watch = new Watch(config).watch(
        `/api/v1/namespaces/${NAMESPACE}/services`,
        {},
        (type, { metadata }) => {
          resolve(`${type} ${metadata.name}`);
          watch.then((controller) => controller.abort(), reject);
        },
        () => {},
      );
    });
    expect(seen).toBe('ADDED world');
  });

  it('confirms the route', () => {
    const { metadata, status } = playground.store.demand(kinds.httpRoutes, NAMESPACE, 'world');
    expect(status?.parents[0]?.conditions).toContainEqual(
      expect.objectContaining({ type: 'ResolvedRefs', status: 'True', observedGeneration: metadata.generation }),
    );
  });
});

describe('traffic', () => {
  it('follows the weights of the route', async () => {
    await createCanary('v2');
    await route([{ backendRefs: weights(25) }]);
    const { versions, broken, gatewayErrors } = await answered(800);
    const share = (versions.v2?.answers ?? 0) / ((versions.v1?.answers ?? 0) + (versions.v2?.answers ?? 0));
    expect(share).toBeCloseTo(0.25, 1);
    expect({ broken, gatewayErrors }).toEqual({ broken: 0, gatewayErrors: 0 });
  });

  it('follows a header before the weights', async () => {
    await createCanary('v2');
    const headers = [{ name: 'x-canary', value: 'always' }];
    await route([
      { matches: [{ headers }], backendRefs: [{ name: 'world-canary', port: 80 }] },
      { backendRefs: weights(0) },
    ]);
    expect(await request()).toEqual({ status: 200, version: 'v1' });
    expect(await request({ 'x-canary': 'always' })).toEqual({ status: 200, version: 'v2' });
  });

  it('is mirrored without an answer of its own', async () => {
    await createCanary('v2');
    const mirror = { type: 'RequestMirror', requestMirror: { backendRef: { name: 'world-canary', port: 80 } } };
    await route([{ filters: [mirror], backendRefs: [{ name: 'world', port: 80 }] }]);
    expect(Object.keys((await answered(50)).versions)).toEqual(['v1']);
    playground.scrape();
    const seen = playground.prometheus.database.select([
      { label: '__name__', operator: '=', value: 'response_total' },
      { label: 'deployment', operator: '=', value: 'world-canary' },
    ]);
    expect(seen.flatMap(({ points }) => points.at(-1)?.value ?? 0).reduce((a, b) => a + b, 0)).toBeGreaterThan(20);
  });

  it.each([
    ['500 where the Kubernetes Service is missing', { name: 'nobody', port: 80 }, 500],
    ['500 where its port is missing', { name: 'world', port: 81 }, 500],
    ['503 where it has no endpoints', { name: 'empty', port: 80 }, 503],
    ['503 where nothing has a weight', { name: 'world', port: 80, weight: 0 }, 503],
  ])('gets a %s', async (_, backend, status) => {
    const spec = { selector: { app: 'empty' }, ports: [{ port: 80 }] };
    const metadata = { name: 'empty', namespace: NAMESPACE };
    playground.store.create(kinds.services, { apiVersion: 'v1', kind: 'Service', metadata, spec });
    await route([{ backendRefs: [backend] }]);
    expect(await request()).toEqual({ status, version: undefined });
  });

  it('gets a 500 altogether where a mirror cannot be served', async () => {
    const requestMirror = { backendRef: { name: 'nobody', port: 80 }, percent: 0 };
    await route([{ filters: [{ type: 'RequestMirror', requestMirror }], backendRefs: [{ name: 'world', port: 80 }] }]);
    expect(await request()).toEqual({ status: 500, version: undefined });
  });

  it('gets a 404 for a host that no route has', async () => {
    expect(await request({ host: 'other.example' })).toMatchObject({ status: 404 });
  });

  it('loses no request while a Deployment rolls', async () => {
    await answered(50);
    const { metadata, ...deployment } = playground.store.demand(kinds.deployments, NAMESPACE, 'world');
    const containers = deployment.spec.template.spec.containers.map((container) => ({
      ...container,
      image: 'world:v2',
    }));
    const template = { ...deployment.spec.template, spec: { containers } };
    playground.store.update(
      kinds.deployments,
      { ...deployment, metadata, spec: { ...deployment.spec, template } },
      'main',
    );
    await expect.poll(() => load?.counts().versions.v2?.answers ?? 0, { timeout: 5000 }).toBeGreaterThan(50);
    expect(load?.counts()).toMatchObject({ broken: 0, gatewayErrors: 0 });
  });
});

describe('a pod', () => {
  const probe = () => {
    const [pod] = playground.store.list(kinds.pods, NAMESPACE);
    return fetch(playground.reach(`http://${pod?.status?.podIP}:7778/healthz`));
  };

  it('answers at its own address', async () => {
    const answer = await probe();
    expect(answer.headers.get('x-version')).toBe('v1');
    expect(await answer.json()).toMatchObject({ version: 'v1', path: '/healthz', status: 200 });
  });

  it.each([
    ['fails as often as its tag says', 'v2-err20', 0.1, 0.3],
    ['does not fail', 'v2', 0, 0],
  ])('%s: %s', async (_, version, least, most) => {
    await createCanary(version);
    await route([{ backendRefs: [{ name: 'world-canary', port: 80 }] }]);
    const { answers = 0, failures = 0 } = (await answered(400)).versions[version] ?? {};
    expect(failures / answers).toBeGreaterThanOrEqual(least);
    expect(failures / answers).toBeLessThanOrEqual(most);
  });

  it('is as slow as its tag says', async () => {
    await createCanary('v2-slow800');
    await route([{ backendRefs: [{ name: 'world-canary', port: 80 }] }]);
    const began = performance.now();
    await request();
    expect(performance.now() - began).toBeGreaterThan(790);
  });
});

describe('metrics', () => {
  it('show what pods and gateway did, by Deployment and Kubernetes Service', async () => {
    await answered(300);
    playground.scrape();
    const ask = async (query: string) => {
      const response = await fetch(`${playground.prometheusUrl}/api/v1/query?query=${encodeURIComponent(query)}`);
      const { data } = (await response.json()) as { data: { result: { value: [number, string] }[] } };
      return Number(data.result[0]?.value[1]);
    };
    const linkerd =
      '{namespace="hello",deployment="world",direction="inbound",classification="success",status_code="200"}';
    expect(await ask(`sum(increase(response_total${linkerd}[10s]))`)).toBeGreaterThan(100);
    expect(await ask('histogram_quantile(0.5, sum by (le) (rate(response_latency_ms_bucket[10s])))')).toBeGreaterThan(
      1,
    );
    const service = 'service=~"httproute-hello-world-.*-svc-hello-world-[0-9]+@kubernetesgateway"';
    expect(await ask(`sum(increase(traefik_service_requests_total{${service},code="200"}[10s]))`)).toBeGreaterThan(100);
  });
});

describe('the world', () => {
  it.each([
    'gateway-api',
    'gateway-api/service',
    'smi',
    'istio',
    'istio/subsets',
    'ingress-nginx',
    'kubernetes',
  ] as const)('is reached where its users go: %s', async (traffic) => {
    const own = await createPlayground({ readyAfterMs: 1, propagationMs: 0, world: { traffic } });
    await expect.poll(async () => (await own.ask(own.entry)).version).toBe('v1');
    await own.stop();
  });
});
