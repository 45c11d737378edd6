import { createTwin } from '../../src/adapters/kubernetes/twin.ts';
import type { Kube } from './kube.ts';
import { workloadWorld } from './replicas.ts';
import { makeWorld } from './world.ts';

/** `world` serves, and a canary is to stand beside it. */
export const twinWorld = async (kubeconfig: string, kube: Kube) =>
  workloadWorld(kubeconfig, kube, await makeWorld(kube), createTwin);
