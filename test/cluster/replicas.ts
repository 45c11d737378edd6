/** Replicas of a bot, as the API server meets them: nothing is shared between them but itself. */
import { type Cluster, createCluster } from '../../src/adapters/kubernetes/cluster.ts';
import type { Log } from '../../src/app/ports/log.ts';
import type { Workload } from '../../src/app/ports/workload.ts';
import type { WorkloadWorld } from '../contracts/workload.ts';
import type { Kube } from './kube.ts';
import { lagging } from './lagging.ts';
import { silent, unmakeWorld, type World } from './world.ts';

export type Replicas = { readonly one: Cluster; readonly other: Cluster; close(): Promise<void> };

export function openReplicas(kubeconfig: string): Replicas {
  const open = () => createCluster({ kubeconfig, log: silent });
  const [one, other] = [open(), open()];
  return {
    one,
    other,
    async close() {
      await one.close();
      await other.close();
    },
  };
}

/** A world for the workload contract behind the API server of a kubeconfig. */
export function workloadWorld(
  kubeconfig: string,
  kube: Kube,
  world: World,
  create: (deps: { cluster: Cluster; log: Log }) => Workload,
): WorkloadWorld {
  const replicas = openReplicas(kubeconfig);
  const on = (cluster: Cluster) => create({ cluster, log: silent });
  return {
    ...world,
    workload: on(replicas.one),
    other: on(replicas.other),
    lag: async (deaf) => on(await lagging(replicas.other, world.target.namespace, deaf)),
    kube,
    async end() {
      await replicas.close();
      await unmakeWorld(kube, world);
    },
  };
}
