/** Everything that acts by itself in the simulated cluster. */
import type { Store } from '../api-server/store.ts';
import { controlAutoscalers } from './autoscalers.ts';
import { controlDeployments } from './deployments.ts';
import { controlEndpoints } from './endpoints.ts';
import { collectGarbage } from './garbage.ts';
import { type NodeOptions, playNode } from './pods.ts';
import { controlQuotas } from './quotas.ts';
import { controlReplicaSets } from './replica-sets.ts';
import { controlRoutes } from './routes.ts';
import { adaptSplits } from './smi-adaptor.ts';

export type ControllerOptions = NodeOptions & {
  /** From a change of a route to its status. */
  readonly routeStatusMs: number;
  /** Writes TrafficSplits into ServiceProfiles, as linkerd-smi does. */
  readonly linkerdSmi?: boolean;
};

export function startControllers(store: Store, options: ControllerOptions): { stop(): void } {
  const parts = [
    controlDeployments(store),
    controlReplicaSets(store),
    controlAutoscalers(store),
    controlEndpoints(store),
    controlQuotas(store),
    controlRoutes(store, options.routeStatusMs),
    collectGarbage(store),
    ...(options.linkerdSmi ? [adaptSplits(store, options.routeStatusMs)] : []),
    playNode(store, options),
  ];
  return {
    stop() {
      for (const part of parts) part.stop();
    },
  };
}
