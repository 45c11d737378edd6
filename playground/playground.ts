/** The whole simulated cluster: API server, controllers, pods, gateway and Prometheus, on addresses of this machine. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startApiServer } from './api-server/server.ts';
import { createStore } from './api-server/store.ts';
import { startControllers } from './controllers/index.ts';
import { createRegistry } from './prometheus/registry.ts';
import { startScraper } from './prometheus/scraper.ts';
import { createDatabase } from './prometheus/series.ts';
import { startPrometheus } from './prometheus/server.ts';
import { createContainers } from './traffic/containers.ts';
import { type LoadOptions, startLoad } from './traffic/load.ts';
import { startProxy } from './traffic/proxy.ts';
import { createWorld, type WorldOptions } from './world.ts';

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
  /** The demo's objects; false: an empty cluster. */
  readonly world?: WorldOptions | false;
};

export type Playground = Awaited<ReturnType<typeof createPlayground>>;

export async function createPlayground({
  readyAfterMs = 150,
  drainMs = 300,
  routeStatusMs = 8,
  propagationMs = 50,
  scrapeMs = 200,
  world = {},
}: PlaygroundOptions = {}) {
  const store = createStore();
  const registry = createRegistry();
  const database = createDatabase();
  const containers = createContainers(registry);
  const controllers = startControllers(store, { readyAfterMs, drainMs, routeStatusMs, run: containers.run });
  const api = await startApiServer(store);
  const proxy = await startProxy({ store, containers, registry, propagationMs });
  const prometheus = await startPrometheus(database);
  const scraper = startScraper(registry, database, scrapeMs);
  if (world) createWorld(store, world);
  const directory = await mkdtemp(join(tmpdir(), 'playground-'));
  const kubeconfig = join(directory, 'kubeconfig');
  await writeFile(kubeconfig, kubeconfigOf(api.url, api.token), { mode: 0o600 });

  return {
    /** Path of a kubeconfig, readable by its owner only. */
    kubeconfig,
    proxyUrl: proxy.url,
    prometheusUrl: prometheus.url,
    api,
    store,
    prometheus,
    /** Reads all counters now, without waiting for the next time. */
    scrape: scraper.scrape,
    /** The URL that this machine reaches for a URL of a pod. */
    reach: containers.reach,
    load: (options: Omit<LoadOptions, 'url'>) => startLoad({ url: proxy.url, ...options }),

    async stop(): Promise<void> {
      scraper.stop();
      controllers.stop();
      await Promise.all([api.stop(), proxy.stop(), prometheus.stop()]);
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
