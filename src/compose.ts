/** Puts the parts together: the bot and the command line run the same ones. */
import { createQueue } from './adapters/bullmq.ts';
import { createCluster } from './adapters/kubernetes/cluster.ts';
import { createWorkloads } from './adapters/kubernetes/workloads.ts';
import { createProber } from './adapters/probe.ts';
import { createMetrics } from './adapters/prometheus/index.ts';
import { createStore } from './adapters/redis/store.ts';
import type { Telemetry } from './adapters/telemetry.ts';
import { createRouters, routerNameOf } from './adapters/traffic/index.ts';
import { createAbort } from './app/abort.ts';
import { createRollouts } from './app/handle.ts';
import type { Log } from './app/ports/log.ts';
import type { ToolEnv } from './config.ts';
import type { Config } from './core/config.ts';
import type { Target } from './core/plan.ts';
import { createFailpoints } from './failpoints.ts';

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
  const failpoints = createFailpoints(process.env);
  const store = failpoints.around('store', createStore({ url: env.REDIS_URL, env: config.env, log }));
  const kubernetes = createCluster({
    kubeconfig: env.KUBECONFIG,
    log,
    ...(telemetry && { onRequest: telemetry.requested }),
  });
  const cluster = failpoints.around('cluster', kubernetes);
  const routers = createRouters({ cluster, log, env: config.env });
  const workloads = createWorkloads({ cluster, log });
  return {
    config,
    store,
    cluster,
    failpoints,
    routerOf: (target: Target) => failpoints.around('router', routers[routerNameOf(target)]),
    workloadOf: ({ workload }: Target) => failpoints.around('workload', workloads[workload]),
  };
}

export function compose(given: Surroundings) {
  const { env, config, log, telemetry } = given;
  const views = composeViews(given);
  const { store, failpoints, routerOf, workloadOf } = views;
  const bull = createQueue({ url: env.REDIS_URL, env: config.env, log, concurrency: TICKS_AT_ONCE });
  const queue = failpoints.around('queue', bull);
  let listener: (id: string) => void = () => undefined;
  const deps = {
    store,
    queue,
    router: (rollout: { plan: { target: Target } }) => routerOf(rollout.plan.target),
    workload: (rollout: { plan: { target: Target } }) => workloadOf(rollout.plan.target),
    metrics: createMetrics({
      url: config.metrics.prometheus,
      log,
      replicaSets: (target) => workloadOf(target).replicaSets?.(target),
    }),
    prober: createProber(),
    log,
    clock: () => performance.now(),
    random: Math.random,
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
