/** A service `world` in a namespace of its own: Deployment, Kubernetes Service and HTTPRoute, as its owners made them. */
import { randomBytes } from 'node:crypto';
import type { Cluster } from '../../src/adapters/kubernetes/cluster.ts';
import { nameOf } from '../../src/adapters/kubernetes/kinds.ts';
import type { Log } from '../../src/app/ports/log.ts';
import type { Plan, Route, Step, Target } from '../../src/core/plan.ts';
import type { Json, Kube } from './kube.ts';

export const silent: Log = {
  child: () => silent,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** Nobody answers here: for what must not ask. */
export const deadCluster: Cluster = {
  get: () => Promise.reject(new Error('no cluster')),
  list: () => Promise.reject(new Error('no cluster')),
  create: () => Promise.reject(new Error('no cluster')),
  patch: () => Promise.reject(new Error('no cluster')),
  tryOut: () => Promise.reject(new Error('no cluster')),
  remove: () => Promise.reject(new Error('no cluster')),
  missingRights: () => Promise.reject(new Error('no cluster')),
  versions: () => Promise.reject(new Error('no cluster')),
  serves: () => Promise.reject(new Error('no cluster')),
  view: () => {
    throw new Error('no cluster');
  },
  peek: () => null,
  onChange: () => () => undefined,
  close: () => Promise.resolve(),
};

export type World = {
  readonly target: Target;
  readonly paths: Record<'deployment' | 'service' | 'route' | 'canary', string>;
};

export const IMAGE = 'buoyantio/world:{version}';
export const imageOf = (version: string) => IMAGE.replace('{version}', version);

/**
 * `rules`: of the HTTPRoute; default one for `/` that sends to `world`; `route`: whether there is one; `labels`: what the
 * Deployment selects by besides `app`; `version`: Deployment and Kubernetes Service are called after it, and select by it;
 * `services`: of somebody else.
 */
export async function makeWorld(
  kube: Kube,
  {
    replicas = 3,
    rules,
    route = true,
    version,
    labels = version === undefined ? {} : { version },
    services = [],
  }: {
    replicas?: number;
    rules?: Json[];
    route?: boolean;
    version?: string;
    labels?: Json;
    services?: readonly string[];
  } = {},
): Promise<World> {
  const namespace = `hello-${randomBytes(4).toString('hex')}`;
  const name = version === undefined ? 'world' : `world-${version}`;
  const metadata = { name, labels: { team: 'hello' } };
  const at = {
    deployments: `/apis/apps/v1/namespaces/${namespace}/deployments`,
    services: `/api/v1/namespaces/${namespace}/services`,
    routes: `/apis/gateway.networking.k8s.io/v1/namespaces/${namespace}/httproutes`,
  };
  await kube.call('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  await kube.call('POST', at.deployments, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: {
      replicas,
      selector: { matchLabels: { app: 'world', ...labels } },
      template: {
        metadata: { labels: { app: 'world', team: 'hello', ...labels } },
        spec: {
          containers: [{ name: 'world', image: imageOf('v1'), ports: [{ containerPort: 7778 }] }],
          topologySpreadConstraints: [
            {
              maxSkew: 1,
              topologyKey: 'kubernetes.io/hostname',
              whenUnsatisfiable: 'ScheduleAnyway',
              labelSelector: { matchLabels: { app: 'world' } },
            },
          ],
        },
      },
    },
  });
  for (const foreign of services) {
    await kube.call('POST', at.services, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: foreign, namespace },
      spec: { selector: { app: foreign }, ports: [{ name: 'http', port: 80 }] },
    });
  }
  await kube.call('POST', at.services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: {
      selector: { app: 'world', ...(version !== undefined && { version }) },
      ports: [{ name: 'http', port: 80, targetPort: 7778 }],
    },
  });
  const httpRoute = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { ...metadata, name: 'world' },
    spec: {
      parentRefs: [{ name: 'public', namespace: 'default' }],
      hostnames: [`${namespace}.example.com`],
      rules: rules ?? [{ backendRefs: [{ name, port: 80 }] }],
    },
  };
  if (route) await kube.call('POST', at.routes, httpRoute);
  return {
    target: {
      service: 'world',
      namespace,
      deployment: 'world',
      container: 'world',
      workload: 'twin',
      traffic: { router: 'gateway-api', routes: [`${namespace}/world`] },
    },
    paths: {
      deployment: `${at.deployments}/${name}`,
      service: `${at.services}/${name}`,
      route: `${at.routes}/world`,
      canary: `${at.deployments}/world-canary`,
    },
  };
}

export const unmakeWorld = (kube: Kube, { target }: World) =>
  kube.call('DELETE', `/api/v1/namespaces/${target.namespace}`);

/** What people may edit in an object, without Sluice's marks, by the name that the object has in sentences. */
export function named({ kind, metadata, spec }: Json): [string, Json] {
  const { name, namespace, labels = {} } = metadata;
  const annotations = Object.entries(metadata.annotations ?? {}).filter(([key]) => !key.startsWith('sluice.dev/'));
  return [
    nameOf({ kind }, { namespace, name }),
    { metadata: { labels, annotations: Object.fromEntries(annotations) }, spec },
  ];
}

export const weight = (percent: number): Route => ({ weight: percent, preview: null, mirror: null });
export const PREVIEW: Route = { weight: 0, preview: { header: 'x-canary', value: 'always' }, mirror: null };

const step = (route: Route): Step => ({ route, test: false, bakeMs: 0, gate: null });

export function planFor(target: Target, version: string, changes: Partial<Plan> = {}): Plan {
  return {
    kind: 'deploy',
    env: 'test',
    target,
    version,
    from: 'v1',
    image: imageOf(version),
    template: null,
    strategy: 'canary',
    steps: [PREVIEW, weight(10), weight(50), weight(100)].map(step),
    checks: [],
    tests: [],
    access: { deploy: [], approve: [], abort: [], onCall: [], approvals: 1, fourEyes: false },
    requester: { kind: 'system' },
    reason: null,
    channel: 'C1',
    coolDownMs: 0,
    readyTimeoutMs: 60_000,
    promoteTimeoutMs: 60_000,
    warnings: [],
    ...changes,
  };
}

/** Looks again until it holds; for what controllers do in their own time. */
export async function until<T>(look: () => Promise<T | null | undefined | false>, limitMs = 20_000): Promise<T> {
  const end = Date.now() + limitMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
