import { createCluster } from '../../src/adapters/kubernetes/cluster.ts';
import { createVersioned } from '../../src/adapters/kubernetes/versioned.ts';
import type { WorkloadWorld } from '../contracts/workload.ts';
import type { Kube } from './kube.ts';
import { lagging } from './lagging.ts';
import { makeWorld, silent, unmakeWorld } from './world.ts';

/** v1 serves under its own name, and v2 is to be rolled out: a world for the workload contract. */
export async function versionedWorld(kubeconfig: string, kube: Kube): Promise<WorkloadWorld> {
  const world = await makeWorld(kube, { version: 'v1' });
  const clusters = [0, 1].map(() => createCluster({ kubeconfig, log: silent }));
  const [workload, other] = clusters.map((cluster) => createVersioned({ cluster, log: silent }));
  const [, second] = clusters;
  if (!workload || !other || !second) throw new Error('two workloads are made above');
  return {
    target: {
      ...world.target,
      workload: 'versioned',
      deployment: 'world-v1',
      versioned: { base: 'world', canary: 'world-v2' },
    },
    paths: { ...world.paths, canary: world.paths.deployment.replace('world-v1', 'world-v2') },
    workload,
    other,
    lag: async () => createVersioned({ cluster: await lagging(second, world.target.namespace), log: silent }),
    kube,
    async end() {
      for (const cluster of clusters) await cluster.close();
      await unmakeWorld(kube, world);
    },
  };
}
