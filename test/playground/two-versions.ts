/** A playground where `world` runs in two versions: v1 behind `world-stable`, v2 behind `world-canary`, both behind `world`. */
import { kinds } from '../../playground/api-server/kinds.ts';
import type { NewObject } from '../../playground/api-server/objects.ts';
import { createPlayground, type PlaygroundOptions } from '../../playground/playground.ts';

export const NAMESPACE = 'hello';
const STABLE_PODS = 3;

type Pair = { readonly version: string; readonly track: 'stable' | 'canary'; readonly replicas: number };

export type TwoVersions = Awaited<ReturnType<typeof twoVersions>>;

export async function twoVersions(options: PlaygroundOptions = {}) {
  const playground = await createPlayground({ readyAfterMs: 1, propagationMs: 0, world: false, ...options });
  const { store } = playground;
  store.create(kinds.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
  store.create(kinds.ingressClasses, {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IngressClass',
    metadata: { name: 'nginx' },
    spec: { controller: 'k8s.io/ingress-nginx' },
  });
  service('world', { app: 'world' });
  run({ version: 'v1', track: 'stable', replicas: STABLE_PODS });
  run({ version: 'v2', track: 'canary', replicas: 1 });
  await ready('world', STABLE_PODS + 1);
  await ready('world-stable', STABLE_PODS);
  await ready('world-canary', 1);

  function service(name: string, selector: Record<string, string>, port = 80): void {
    const spec = { selector, ports: [{ name: 'http', port, targetPort: 7778 }] };
    store.create(kinds.services, { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: NAMESPACE }, spec });
  }

  function run({ version, track, replicas }: Pair): void {
    const name = `world-${track}`;
    const labels = { app: 'world', track };
    const containers = [{ name: 'world', image: `world:${version}`, ports: [{ containerPort: 7778 }] }];
    const template = { metadata: { labels }, spec: { containers } };
    store.create(kinds.deployments, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace: NAMESPACE },
      spec: { replicas, selector: { matchLabels: labels }, template },
    });
    service(name, labels);
  }

  /** Resolves when so many pods are Ready behind a Kubernetes Service. */
  function ready(name: string, count: number): Promise<void> {
    const isReady = () =>
      store
        .list(kinds.endpointSlices, NAMESPACE)
        .filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === name)
        .flatMap(({ endpoints }) => endpoints ?? [])
        .filter(({ conditions }) => conditions.ready).length === count;
    if (isReady()) return Promise.resolve();
    return new Promise((resolve) => {
      const stop = store.subscribe(() => {
        if (!isReady()) return;
        stop();
        resolve();
      });
    });
  }

  return {
    playground,
    store,
    service,
    ready,

    /** Writes an object of a kind into the namespace, in place of the one of its name. */
    put(
      kind: (typeof kinds)[keyof typeof kinds],
      name: string,
      spec: object,
      more: { annotations?: object; apiVersion?: string } = {},
    ) {
      const metadata = { name, namespace: NAMESPACE, ...(more.annotations && { annotations: more.annotations }) };
      const apiVersion = more.apiVersion ?? `${kind.group}/${kind.version}`;
      const object = { apiVersion, kind: kind.kind, metadata, spec } as NewObject;
      if (store.get(kind, NAMESPACE, name)) store.update(kind, object, 'main');
      else store.create(kind, object);
    },

    /** Takes all objects of these kinds away. */
    clear(...some: readonly (typeof kinds)[keyof typeof kinds][]) {
      for (const kind of some) {
        for (const { metadata } of store.list(kind, NAMESPACE)) store.remove(kind, NAMESPACE, metadata.name);
      }
    },

    /** Sends so many requests, one after the other, and counts their answers: by version, or by status where no pod answered. */
    async count(requests: number, options: Parameters<typeof playground.ask>[0]): Promise<Record<string, number>> {
      const counts: Record<string, number> = {};
      for (let sent = 0; sent < requests; sent += 1) {
        const { status, version } = await playground.ask(options);
        const key = version ?? String(status);
        counts[key] = (counts[key] ?? 0) + 1;
      }
      return counts;
    },

    /** Requests that the pods of a version have answered so far, copies included. */
    async served(track: 'stable' | 'canary'): Promise<number> {
      playground.scrape();
      const series = playground.prometheus.database.select([
        { label: '__name__', operator: '=', value: 'response_total' },
        { label: 'deployment', operator: '=', value: `world-${track}` },
      ]);
      return series.reduce((sum, { points }) => sum + (points.at(-1)?.value ?? 0), 0);
    },
  };
}
