/**
 * Keeps Deployments within the least and the most of their HorizontalPodAutoscaler, at the size that its annotation says;
 * a Deployment of none is left alone, as on a real cluster.
 */
import { kinds } from '../api-server/kinds.ts';
import type { Autoscaler } from '../api-server/objects.ts';
import type { Store } from '../api-server/store.ts';
import { keyOf, type Loop, splitKey, startLoop } from './loop.ts';

/** What its metrics would ask for: nothing measures load here. Without it a Deployment keeps its size. */
export const ASKED = 'playground/replicas';

export function controlAutoscalers(store: Store): Loop {
  return startLoop(store, {
    wakes: ({ kind, object }) => {
      if (kind === kinds.autoscalers) return [keyOf(object)];
      if (kind !== kinds.deployments) return [];
      const all = store.list(kinds.autoscalers, object.metadata.namespace);
      return all.filter((autoscaler) => targets(autoscaler, object.metadata.name)).map(keyOf);
    },
    reconcile(key) {
      const autoscaler = store.get(kinds.autoscalers, ...splitKey(key));
      if (autoscaler) keepWithin(store, autoscaler);
    },
  });
}

function targets({ spec }: Autoscaler, name: string): boolean {
  return spec.scaleTargetRef.kind === 'Deployment' && spec.scaleTargetRef.name === name;
}

function keepWithin(store: Store, autoscaler: Autoscaler): void {
  const { name, namespace, annotations } = autoscaler.metadata;
  const { scaleTargetRef, minReplicas, maxReplicas } = autoscaler.spec;
  if (scaleTargetRef.kind !== 'Deployment') return;
  const deployment = store.get(kinds.deployments, namespace, scaleTargetRef.name);
  if (!deployment) return;
  const { replicas } = deployment.spec;
  const asked = Number(annotations?.[ASKED] ?? replicas);
  const wanted = replicas === 0 ? 0 : Math.min(maxReplicas, Math.max(minReplicas, asked));
  if (wanted !== replicas) {
    store.update(kinds.deployments, { ...deployment, spec: { ...deployment.spec, replicas: wanted } }, 'main');
  }
  const status = { currentReplicas: deployment.status?.replicas ?? 0, desiredReplicas: wanted };
  const metadata = { name, ...(namespace !== undefined && { namespace }) };
  store.update(kinds.autoscalers, { ...autoscaler, metadata, status }, 'status');
}
