/** Keeps as many pods as a ReplicaSet asks for, and counts them. */
import { kinds } from '../api-server/kinds.ts';
import type { Condition, NewObject, Pod, ReplicaSet } from '../api-server/objects.ts';
import type { Store } from '../api-server/store.ts';
import { isReady, readySince, setCondition, withoutCondition } from './conditions.ts';
import { keyOf, type Loop, splitKey, startLoop } from './loop.ts';
import { isOwnedBy, ownerKey, ownerReference, suffix } from './ownership.ts';

/** What was refused is tried again; the real one waits longer each time. */
const RETRY_MS = 200;

export function controlReplicaSets(store: Store): Loop {
  return startLoop(store, {
    wakes: ({ kind, object }) => {
      if (kind === kinds.replicaSets) return [keyOf(object)];
      return kind === kinds.pods ? ownerKey(object, 'ReplicaSet') : [];
    },
    reconcile(key, loop) {
      const set = store.get(kinds.replicaSets, ...splitKey(key));
      if (!set) return;
      const refusal = adjustPods(store, set);
      if (refusal) loop.again(key, RETRY_MS);
      const available = countAvailable(podsOf(store, set), set.spec.minReadySeconds ?? 0, (ms) => loop.again(key, ms));
      writeStatus(store, set, available, refusal);
    },
  });
}

/** Pods that were not told to go. */
function podsOf(store: Store, set: ReplicaSet): readonly Pod[] {
  const pods = store.list(kinds.pods, set.metadata.namespace);
  return pods.filter((pod) => isOwnedBy(pod, set) && !pod.metadata.deletionTimestamp);
}

/** Returns why a pod could not be made, if so. */
function adjustPods(store: Store, set: ReplicaSet): string | null {
  const pods = podsOf(store, set);
  for (const { metadata } of inOrderOfDeletion(pods).slice(0, Math.max(0, pods.length - set.spec.replicas))) {
    store.remove(kinds.pods, metadata.namespace, metadata.name);
  }
  for (let missing = set.spec.replicas - pods.length; missing > 0; missing -= 1) {
    const pod = newPod(set);
    const refusal = overQuota(store, pod);
    if (refusal) return refusal;
    store.create(kinds.pods, pod);
  }
  return null;
}

/** Those that do not serve yet first, then the youngest. */
function inOrderOfDeletion(pods: readonly Pod[]): readonly Pod[] {
  const age = ({ metadata }: Pod) => Number(metadata.resourceVersion);
  return pods.toSorted((a, b) => Number(isReady(a)) - Number(isReady(b)) || age(b) - age(a));
}

function newPod(set: ReplicaSet): NewObject {
  const { metadata, spec } = set.spec.template;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${set.metadata.name}-${suffix()}`,
      generateName: `${set.metadata.name}-`,
      ...(set.metadata.namespace !== undefined && { namespace: set.metadata.namespace }),
      ...(metadata?.labels && { labels: metadata.labels }),
      ...(metadata?.annotations && { annotations: metadata.annotations }),
      ownerReferences: [ownerReference(set)],
    },
    spec: { ...spec, nodeName: 'node-1' },
  };
}

function overQuota(store: Store, { metadata }: NewObject): string | null {
  const used = store.list(kinds.pods, metadata.namespace).length;
  for (const quota of store.list(kinds.resourceQuotas, metadata.namespace)) {
    const limit = quota.spec.hard?.pods;
    if (limit === undefined || used < Number(limit)) continue;
    const amounts = `requested: pods=1, used: pods=${used}, limited: pods=${limit}`;
    return `pods "${metadata.name}" is forbidden: exceeded quota: ${quota.metadata.name}, ${amounts}`;
  }
  return null;
}

/** Ready for long enough; `wake` is called when the next one will be. */
function countAvailable(pods: readonly Pod[], minReadySeconds: number, wake: (afterMs: number) => void): number {
  const waits = pods.flatMap((pod) => {
    const since = readySince(pod);
    return since === null ? [] : [since + minReadySeconds * 1000 - Date.now()];
  });
  const soonest = Math.min(...waits.filter((wait) => wait > 0));
  if (Number.isFinite(soonest)) wake(soonest);
  return waits.filter((wait) => wait <= 0).length;
}

function writeStatus(store: Store, set: ReplicaSet, available: number, refusal: string | null): void {
  const pods = podsOf(store, set);
  const ready = pods.filter(isReady).length;
  const failure = { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: refusal ?? '' } as const;
  const old = set.status?.conditions;
  const known = old?.find(({ type }) => type === failure.type);
  // The message names a random pod: it is kept while the reason holds, or every look would be a change.
  const failed: readonly Condition[] = known ? [known] : setCondition(old, failure);
  const conditions = refusal ? failed : withoutCondition(old, failure.type);
  const status = {
    replicas: pods.length,
    ...(pods.length > 0 && { fullyLabeledReplicas: pods.length }),
    ...(ready > 0 && { readyReplicas: ready }),
    ...(available > 0 && { availableReplicas: available }),
    observedGeneration: set.metadata.generation ?? 1,
    ...(conditions.length > 0 && { conditions }),
  };
  const { name, namespace } = set.metadata;
  const metadata = { name, ...(namespace !== undefined && { namespace }) };
  store.update(kinds.replicaSets, { ...set, metadata, status }, 'status');
}
