/** The whole simulated cluster: API server, controllers, pods, gateway and Prometheus, on addresses of this machine. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServedVersions } from './api-server/served.ts';
import { startApiServer } from './api-server/server.ts';
import { createStore } from './api-server/store.ts';
import { startControllers } from './controllers/index.ts';
import { guardIngresses } from './controllers/ingress-webhook.ts';
import { createRegistry } from './prometheus/registry.ts';
import { startScraper } from './prometheus/scraper.ts';
import { createDatabase } from './prometheus/series.ts';
import { startPrometheus } from './prometheus/server.ts';
import { type AskOptions, ask } from './traffic/ask.ts';
import { createContainers } from './traffic/containers.ts';
import { type LoadOptions, startLoad } from './traffic/load.ts';
import { startMeshProxy } from './traffic/mesh-proxy.ts';
import { startProxy } from './traffic/proxy.ts';
import { followTable } from './traffic/table.ts';
import { createWorld, type WorldOptions, worldEntry } from './world.ts';

export type PlaygroundOptions = {
  /** From a pod's creation to Ready. */
  readonly readyAfterMs?: number;
  /** How long containers go on answering after their pod's deletion. */
  readonly drainMs?: number;
  /** From a change of a route to its status. */
  readonly routeStatusMs?: number;
  /** From a change in the cluster to the traffic that follows it. */
  readonly propagationMs?: number;
  /** How often Prometheus looks. */
  readonly scrapeMs?: number;
  /** Versions by API group, fewer than the simulation knows; an empty list: the group is not there. */
  readonly versions?: ServedVersions;
  /** Of the annotations of ingress-nginx. */
  readonly annotationPrefix?: string;
  /** Refuses a second Ingress of a host and path, as the webhook of ingress-nginx does. */
  readonly ingressWebhook?: boolean;
  /** Writes TrafficSplits into ServiceProfiles, as linkerd-smi does; default: where `world` is routed by one. */
  readonly linkerdSmi?: boolean;
  /** The demo's objects; false: an empty cluster. */
  readonly world?: WorldOptions | false;
};

type Through = { readonly through?: 'proxy' | 'mesh' };

export type Playground = Awaited<ReturnType<typeof createPlayground>>;

export async function createPlayground({
  readyAfterMs = 150,
  drainMs = 300,
  routeStatusMs = 8,
  propagationMs = 50,
  scrapeMs = 200,
  versions = {},
  annotationPrefix = 'nginx.ingress.kubernetes.io',
  ingressWebhook = false,
  world = {},
  linkerdSmi = world !== false && world.traffic === 'smi',
}: PlaygroundOptions = {}) {
  const store = createStore();
  if (ingressWebhook) store.guard(guardIngresses(annotationPrefix));
  const registry = createRegistry();
  const database = createDatabase();
  const containers = createContainers(registry);
  let isFull = false;
  const controllers = startControllers(store, {
    readyAfterMs,
    drainMs,
    routeStatusMs,
    linkerdSmi,
    hasRoom: () => !isFull,
    run: containers.run,
  });
  const api = await startApiServer(store, versions);
  const table = followTable(store, propagationMs);
  const proxy = await startProxy({ store, table, containers, registry, annotationPrefix });
  const mesh = await startMeshProxy(table, containers);
  const urls = { proxy: proxy.url, mesh: mesh.url };
  const prometheus = await startPrometheus(database);
  const scraper = startScraper(registry, database, scrapeMs);
  if (world) createWorld(store, world);
  const directory = await mkdtemp(join(tmpdir(), 'playground-'));
  const kubeconfig = join(directory, 'kubeconfig');
  await writeFile(kubeconfig, kubeconfigOf(api.url, api.token), { mode: 0o600 });

  return {
    /** Path of a kubeconfig, readable by its owner only. */
    kubeconfig,
    /** Where the users of `world` send their requests: `load({ ...entry, perSecond: 100 })`. */
    entry: worldEntry(world || {}),
    /** Serves HTTPRoutes of Gateways and Ingresses. */
    proxyUrl: proxy.url,
    /** Serves what meshed clients send to a Kubernetes Service. */
    meshUrl: mesh.url,
    mesh,
    prometheusUrl: prometheus.url,
    api,
    store,
    prometheus,
    /** While the only node is cordoned, new pods find no room. */
    cordon: (full: boolean) => {
      isFull = full;
    },
    /** Reads all counters now, without waiting for the next time. */
    scrape: scraper.scrape,
    /** The URL that this machine reaches for a URL of a pod. */
    reach: containers.reach,
    /** Requests at a steady rate, through the proxy or as a meshed client. */
    load: ({ through = 'proxy', ...options }: Through & Omit<LoadOptions, 'url'>) =>
      startLoad({ url: urls[through], ...options }),
    /** One request. */
    ask: ({ through = 'proxy', ...options }: Through & Omit<AskOptions, 'url'>) =>
      ask({ url: urls[through], ...options }),

    async stop(): Promise<void> {
      scraper.stop();
      table.stop();
      controllers.stop();
      await Promise.all([api.stop(), proxy.stop(), mesh.stop(), prometheus.stop()]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** client-node takes plain HTTP only where the check of certificates is off. */
function kubeconfigOf(server: string, token: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'playground',
    clusters: [{ name: 'playground', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'playground', user: { token } }],
    contexts: [{ name: 'playground', context: { cluster: 'playground', user: 'playground' } }],
  });
}
