/** How far a Deployment is on the way back to its old template. Pure. */
import type { Deployment } from './objects.ts';
import { deploymentState } from './twin-state.ts';

/** Why pods of what was taken back are still there, in the cluster's words; null: they are not. */
export function rollingBack(object: Deployment): string | null {
  const state = deploymentState(object);
  if (state.kind === 'ready') return null;
  const { observedGeneration = 0, replicas = 0, updatedReplicas = 0 } = object.status ?? {};
  // Of a template that its controller has not taken up, nothing is counted yet.
  if (observedGeneration < (object.metadata.generation ?? 0)) return state.reason;
  const left = replicas - updatedReplicas;
  if (left <= 0) return null;
  const why = object.spec.paused
    ? `Deployment ${object.metadata.name} is paused, so nothing replaces them: kubectl -n ${object.metadata.namespace} rollout resume deployment ${object.metadata.name}`
    : state.reason;
  return `${left} of ${replicas} pods are still of the version that is taken back; ${why}`;
}
