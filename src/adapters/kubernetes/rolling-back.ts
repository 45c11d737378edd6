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
  return left > 0 ? `${left} of ${replicas} pods are still of the version that is taken back; ${state.reason}` : null;
}
