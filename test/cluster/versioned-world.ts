import { createVersioned } from '../../src/adapters/kubernetes/versioned.ts';
import type { Kube } from './kube.ts';
import { workloadWorld } from './replicas.ts';
import { makeWorld } from './world.ts';

/** v1 serves under its own name, and v2 is to be rolled out. */
export async function versionedWorld(kubeconfig: string, kube: Kube) {
  const { target, paths } = await makeWorld(kube, { version: 'v1' });
  const versioned = { base: 'world', canary: 'world-v2' };
  const world = {
    target: { ...target, workload: 'versioned', deployment: 'world-v1', versioned } as const,
    paths: { ...paths, canary: paths.deployment.replace('world-v1', 'world-v2') },
  };
  return workloadWorld(kubeconfig, kube, world, createVersioned);
}
