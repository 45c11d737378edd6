import { createCluster } from '../../src/adapters/kubernetes/cluster.ts';
import { createTwin } from '../../src/adapters/kubernetes/twin.ts';
import type { WorkloadWorld } from '../contracts/workload.ts';
import type { Kube } from './kube.ts';
import { lagging } from './lagging.ts';
import { makeWorld, silent, unmakeWorld } from './world.ts';

/** A world for the workload contract behind the API server of a kubeconfig. */
export async function twinWorld(kubeconfig: string, kube: Kube): Promise<WorkloadWorld> {
  const world = await makeWorld(kube);
  const clusters = [0, 1].map(() => createCluster({ kubeconfig, log: silent }));
  const [workload, other] = clusters.map((cluster) => createTwin({ cluster, log: silent }));
  const [, second] = clusters;
  if (!workload || !other || !second) throw new Error('two workloads are made above');
  return {
    ...world,
    workload,
    other,
    lag: async () => createTwin({ cluster: await lagging(second, world.target.namespace), log: silent }),
    kube,
    async end() {
      for (const cluster of clusters) await cluster.close();
      await unmakeWorld(kube, world);
    },
  };
}
