/** Puts the parts together: the bot and the command line run the same ones. */
import { createQueue } from './adapters/bullmq.ts';
import { createCluster } from './adapters/kubernetes/cluster.ts';
import { createTwin } from './adapters/kubernetes/twin.ts';
import { createProber } from './adapters/probe.ts';
import { createMetrics } from './adapters/prometheus/index.ts';
import { createStore } from './adapters/redis/store.ts';
import type { Telemetry } from './adapters/telemetry.ts';
import { createRouters } from './adapters/traffic/index.ts';
import { createAbort } from './app/abort.ts';
import { createRollouts } from './app/handle.ts';
import type { Log } from './app/ports.ts';
import type { ToolEnv } from './config.ts';
import type { Config } from './core/config.ts';
import type { Target } from './core/plan.ts';
import { createFailpoint } from './failpoints.ts';

const TICKS_AT_ONCE = 50;

type Surroundings = {
  readonly env: ToolEnv;
  readonly config: Config;
  readonly log: Log;
  readonly telemetry?: Telemetry;
};
export type Parts = ReturnType<typeof compose>;

/** What only looks: making it writes nothing, neither in the cluster nor in Redis. */
export function composeViews({ env, config, log, telemetry }: Surroundings) {
  const store = createStore({ url: env.REDIS_URL, env: config.env, log });
  const cluster = createCluster({
    kubeconfig: env.KUBECONFIG,
    log,
    ...(telemetry && { onRequest: telemetry.requested }),
  });
  const routers = createRouters({ cluster, log, env: config.env });
  const twin = createTwin({ cluster, log });
  return {
    config,
    store,
    cluster,
    routerOf: (target: Target) => routers[target.traffic.router],
    workloadOf: (_: Target) => twin,
  };
}

export function compose(given: Surroundings) {
  const { env, config, log, telemetry } = given;
  const views = composeViews(given);
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
    ...(telemetry && { onTransition: telemetry.transition }),
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
