/** Puts the parts together: the bot and the command line run the same ones. */
import { createQueue } from './adapters/bullmq.ts';
import { createCluster } from './adapters/kubernetes/cluster.ts';
import { createTwin } from './adapters/kubernetes/twin.ts';
import { createProber } from './adapters/probe.ts';
import { createMetrics } from './adapters/prometheus/index.ts';
import { createStore } from './adapters/redis/store.ts';
import { createRouters } from './adapters/traffic/index.ts';
import { createAbort } from './app/abort.ts';
import { createRollouts } from './app/handle.ts';
import type { Log } from './app/ports.ts';
import type { ToolEnv } from './config.ts';
import type { Config } from './core/config.ts';
import type { Target } from './core/plan.ts';
import { createFailpoint } from './failpoints.ts';

const TICKS_AT_ONCE = 50;

type Surroundings = { readonly env: ToolEnv; readonly config: Config; readonly log: Log };
export type Views = ReturnType<typeof composeViews>;
export type Parts = ReturnType<typeof compose>;

/** What only looks: making it writes nothing, neither in the cluster nor in Redis. */
export function composeViews({ env, config, log }: Surroundings) {
  const store = createStore({ url: env.REDIS_URL, env: config.env, log });
  const cluster = createCluster({ kubeconfig: env.KUBECONFIG, log });
  const routers = createRouters({ cluster, log });
  const twin = createTwin({ cluster, log });
  return {
    config,
    store,
    cluster,
    routerOf: (target: Target) => routers[target.traffic.router],
    workloadOf: (_: Target) => twin,
  };
}

export function compose({ env, config, log }: Surroundings) {
  const views = composeViews({ env, config, log });
  const { store, routerOf, workloadOf } = views;
  const queue = createQueue({ url: env.REDIS_URL, env: config.env, log, concurrency: TICKS_AT_ONCE });
  let listener: (id: string) => void = () => undefined;
  const deps = {
    store,
    queue,
    router: (rollout: { plan: { target: Target } }) => routerOf(rollout.plan.target),
    workload: (rollout: { plan: { target: Target } }) => workloadOf(rollout.plan.target),
    metrics: createMetrics({ url: config.metrics.prometheus, log }),
    prober: createProber(),
    log,
    clock: Date.now,
    random: Math.random,
    failpoint: createFailpoint(process.env.SLUICE_FAILPOINT),
    onMessages: (id: string) => listener(id),
  };
  const rollouts = createRollouts(deps);
  return {
    ...views,
    ...deps,
    rollouts,
    abort: createAbort(deps, rollouts),
    /** Messages go out where there is a Slack. */
    setMessageListener: (listen: (id: string) => void) => {
      listener = listen;
    },
  };
}

type Settled<T> = Extract<T, { readonly ok: true }>;

/** What the operator set, or one error that lists everything that is wrong with it. */
export function settled<T extends { readonly ok: true } | { readonly ok: false; readonly errors: readonly string[] }>(
  read: T,
  what: string,
): Settled<T> {
  if (read.ok) return read as Settled<T>;
  throw new Error(
    `Sluice cannot start, nothing was touched (${what}):\n${read.errors.map((error) => `  ${error}`).join('\n')}`,
  );
}
