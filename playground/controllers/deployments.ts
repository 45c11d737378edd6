/** Brings the pods of a Deployment to its template by way of ReplicaSets, and reports how far it is. */
import { createHash } from 'node:crypto';
import { isEqual } from '../api-server/json.ts';
import { kinds } from '../api-server/kinds.ts';
import type { Deployment, NewObject, PodTemplate, ReplicaSet } from '../api-server/objects.ts';
import type { Store } from '../api-server/store.ts';
import { deploymentStatus } from './deployment-status.ts';
import { keyOf, type Loop, splitKey, startLoop } from './loop.ts';
import { isOwnedBy, ownerKey, ownerReference } from './ownership.ts';
import { inherited, noteRevision, REVISION, revisionAfter, revisionOf, sizedFor, sizeMarks } from './revisions.ts';
import { nextRecreateSizes, nextRollingSizes, type RollingLimits, rollingLimits } from './rolling.ts';
import { nextScaledSizes, type ScaledSet } from './scaling.ts';

const HASH = 'pod-template-hash';

export function controlDeployments(store: Store): Loop {
  return startLoop(store, {
    wakes: ({ kind, object }) => {
      if (kind === kinds.deployments) return [keyOf(object)];
      // Terminating pods count for Recreate, and no ReplicaSet tells of their end.
      if (kind === kinds.pods) return ownerKey(object, 'ReplicaSet').map((key) => key.replace(/-[^-]*$/, ''));
      return kind === kinds.replicaSets ? ownerKey(object, 'Deployment') : [];
    },
    reconcile(key, loop) {
      const deployment = store.get(kinds.deployments, ...splitKey(key));
      if (!deployment) return;
      const young = currentSet(store, deployment);
      const old = setsOf(store, deployment).filter(({ metadata }) => metadata.name !== young?.metadata.name);
      if (young) noteRevision(store, deployment, young, old);
      resize(store, deployment, young, old);
      forgetOldSets(store, deployment, old);
      report(store, deployment, (ms) => loop.again(key, ms));
    },
  });
}

function setsOf(store: Store, deployment: Deployment): readonly ReplicaSet[] {
  const { namespace } = deployment.metadata;
  return store.list(kinds.replicaSets, namespace).filter((set) => isOwnedBy(set, deployment));
}

/** The ReplicaSet of the template; made when it is missing, unless the Deployment is paused. */
function currentSet(store: Store, deployment: Deployment): ReplicaSet | undefined {
  const found = findCurrentSet(store, deployment);
  if (found || deployment.spec.paused) return found;
  return store.create(kinds.replicaSets, newSet(deployment, revisionAfter(setsOf(store, deployment))));
}

function findCurrentSet(store: Store, deployment: Deployment): ReplicaSet | undefined {
  return setsOf(store, deployment).find((set) => isEqual(plain(set.spec.template), plain(deployment.spec.template)));
}

/** The template without the label that ReplicaSets add. */
function plain(template: PodTemplate): PodTemplate {
  const { [HASH]: _, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

function newSet(deployment: Deployment, revision: number): NewObject {
  const { template, selector, minReadySeconds } = deployment.spec;
  const { name, namespace } = deployment.metadata;
  const hash = createHash('sha256').update(JSON.stringify(template)).digest('hex').slice(0, 9);
  const labels = { ...template.metadata?.labels, [HASH]: hash };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${name}-${hash}`,
      ...(namespace !== undefined && { namespace }),
      labels,
      annotations: { ...inherited(deployment), [REVISION]: String(revision) },
      ownerReferences: [ownerReference(deployment)],
    },
    spec: {
      replicas: 0,
      ...(minReadySeconds !== undefined && { minReadySeconds }),
      selector: { matchLabels: { ...selector.matchLabels, [HASH]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  };
}

function resize(
  store: Store,
  { spec, metadata }: Deployment,
  young: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
): void {
  const { maxSurge } = limitsOf(spec);
  for (const [name, replicas] of nextSizes(store, spec, young, old)) {
    const set = store.demand(kinds.replicaSets, metadata.namespace, name);
    const annotations = { ...set.metadata.annotations, ...sizeMarks(spec.replicas, spec.replicas + maxSurge) };
    // A change of nothing is none.
    const { minReadySeconds: _, ...kept } = set.spec;
    const minReady = spec.minReadySeconds === undefined ? {} : { minReadySeconds: spec.minReadySeconds };
    // Old pods go on counting as they did.
    const rest = name === young?.metadata.name ? { ...kept, ...minReady } : set.spec;
    const next = { ...set, metadata: { ...set.metadata, annotations }, spec: { ...rest, replicas } };
    store.update(kinds.replicaSets, next, 'main');
  }
}

function nextSizes(
  store: Store,
  spec: Deployment['spec'],
  young: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
): Map<string, number> {
  const sizes = old.map((set) => sizeOf(store, set));
  const living = sizes.filter((set) => set.wanted > 0 || set.pods > 0);
  const current = young ? sizeOf(store, young) : null;
  const limits = limitsOf(spec);
  const isRolling = spec.strategy.type === 'RollingUpdate';
  const rescaled = [...old, ...(young ? [young] : [])].some((set) => {
    const marks = sizedFor(set);
    return set.spec.replicas > 0 && marks !== null && marks.desired !== spec.replicas;
  });
  if (!current || spec.paused || (rescaled && isRolling)) {
    return nextScaledSizes(spec.replicas, limits.maxSurge, current, sizes);
  }
  if (living.length === 0) return new Map([[current.name, spec.replicas]]);
  if (!isRolling) return nextRecreateSizes(spec.replicas, current, living);
  const rolled = living.filter((set) => set.wanted > 0);
  return nextRollingSizes(spec.replicas, limits, current, rolled);
}

function limitsOf({ replicas, strategy }: Deployment['spec']): RollingLimits {
  if (strategy.type === 'Recreate') return { maxSurge: 0, maxUnavailable: replicas };
  return rollingLimits(replicas, strategy.rollingUpdate ?? { maxSurge: '25%', maxUnavailable: '25%' });
}

/** Pods that still end count as there. */
function sizeOf(store: Store, set: ReplicaSet): ScaledSet {
  const pods = store.list(kinds.pods, set.metadata.namespace).filter((pod) => isOwnedBy(pod, set)).length;
  return {
    name: set.metadata.name,
    wanted: set.spec.replicas,
    available: set.status?.availableReplicas ?? 0,
    pods,
    revision: revisionOf(set),
    mostBefore: sizedFor(set)?.most ?? null,
  };
}

function forgetOldSets(store: Store, { spec }: Deployment, old: readonly ReplicaSet[]): void {
  const empty = old.filter((set) => set.spec.replicas === 0 && (set.status?.replicas ?? 0) === 0);
  const newestFirst = empty.toSorted((a, b) => revisionOf(b) - revisionOf(a));
  for (const { metadata } of newestFirst.slice(spec.revisionHistoryLimit)) {
    store.remove(kinds.replicaSets, metadata.namespace, metadata.name);
  }
}

function report(store: Store, { metadata }: Deployment, wake: (afterMs: number) => void): void {
  const { namespace, name } = metadata;
  const deployment = store.demand(kinds.deployments, namespace, name);
  const young = findCurrentSet(store, deployment);
  const status = deploymentStatus(deployment, young, setsOf(store, deployment), wake);
  const key = { name, ...(namespace !== undefined && { namespace }) };
  store.update(kinds.deployments, { ...deployment, metadata: key, status }, 'status');
}
