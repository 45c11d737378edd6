import type { Condition, Deployment, ReplicaSet } from '../api-server/objects.ts';
import { setCondition, timestamp, withoutCondition } from './conditions.ts';
import { rollingLimits } from './rolling.ts';

type Status = NonNullable<Deployment['status']>;

/** Zeros are left out, as the real controller does. `wake`: when the progress deadline is to be looked at. */
export function deploymentStatus(
  deployment: Deployment,
  young: ReplicaSet | undefined,
  sets: readonly ReplicaSet[],
  wake: (afterMs: number) => void,
): Status {
  const { replicas } = deployment.spec;
  const total = sum(sets, 'replicas');
  const updated = young?.status?.replicas ?? 0;
  const ready = sum(sets, 'readyReplicas');
  const available = sum(sets, 'availableReplicas');
  const unavailable = Math.max(0, Math.max(total, replicas) - available);
  const counts = {
    ...(total > 0 && { replicas: total }),
    ...(updated > 0 && { updatedReplicas: updated }),
    ...(ready > 0 && { readyReplicas: ready }),
    ...(available > 0 && { availableReplicas: available }),
    ...(unavailable > 0 && { unavailableReplicas: unavailable }),
  };
  const isComplete = updated === replicas && total === replicas && available === replicas;
  const conditions = [availableCondition, progressCondition, failureCondition].reduce<readonly Condition[]>(
    (all, condition) => condition({ deployment, young, sets, counts, available, isComplete, wake, all }),
    deployment.status?.conditions ?? [],
  );
  return { observedGeneration: deployment.metadata.generation ?? 1, ...counts, conditions };
}

type Facts = {
  readonly deployment: Deployment;
  readonly young: ReplicaSet | undefined;
  readonly sets: readonly ReplicaSet[];
  readonly counts: Partial<Status>;
  readonly available: number;
  readonly isComplete: boolean;
  readonly wake: (afterMs: number) => void;
  readonly all: readonly Condition[];
};

/** `lastUpdateTime` moves only when something is said anew. */
function say(
  all: readonly Condition[],
  condition: Omit<Condition, 'lastTransitionTime' | 'lastUpdateTime'>,
  anew: boolean,
) {
  const old = all.find(({ type }) => type === condition.type);
  const same = old?.status === condition.status && old.reason === condition.reason && !anew;
  const lastUpdateTime = (same && old?.lastUpdateTime) || timestamp();
  return setCondition(all, { ...condition, lastUpdateTime });
}

function availableCondition({ deployment, available, all }: Facts): readonly Condition[] {
  const { replicas, strategy } = deployment.spec;
  const limits = strategy.rollingUpdate && rollingLimits(replicas, strategy.rollingUpdate);
  const enough = available >= replicas - (limits?.maxUnavailable ?? 0);
  const condition = enough
    ? ({ status: 'True', reason: 'MinimumReplicasAvailable', message: 'Deployment has minimum availability.' } as const)
    : ({
        status: 'False',
        reason: 'MinimumReplicasUnavailable',
        message: 'Deployment does not have minimum availability.',
      } as const);
  return say(all, { type: 'Available', ...condition }, false);
}

function progressCondition({ deployment, young, counts, isComplete, wake, all }: Facts): readonly Condition[] {
  const name = young?.metadata.name ?? '';
  const type = 'Progressing';
  const old = all.find((condition) => condition.type === type);
  if (deployment.spec.paused) {
    // That it made no progress is worth more than that it is paused.
    if (old?.reason === 'ProgressDeadlineExceeded') return all;
    return say(all, { type, status: 'Unknown', reason: 'DeploymentPaused', message: 'Deployment is paused' }, false);
  }
  if (isComplete) {
    const message = `ReplicaSet "${name}" has successfully progressed.`;
    return say(all, { type, status: 'True', reason: 'NewReplicaSetAvailable', message }, false);
  }
  const moved = hasMoved(deployment.status ?? {}, counts);
  const isNew = old?.message?.includes(`"${name}"`) !== true;
  const since = Date.parse(old?.lastUpdateTime ?? timestamp());
  const left = since + deployment.spec.progressDeadlineSeconds * 1000 - Date.now();
  if (!moved && !isNew && (left <= 0 || old?.reason === 'ProgressDeadlineExceeded')) {
    const message = `ReplicaSet "${name}" has timed out progressing.`;
    return say(all, { type, status: 'False', reason: 'ProgressDeadlineExceeded', message }, false);
  }
  wake(Math.max(1, left));
  const message = `ReplicaSet "${name}" is progressing.`;
  return say(all, { type, status: 'True', reason: 'ReplicaSetUpdated', message }, moved || isNew);
}

/** More new pods, fewer old ones, or more of any that serve. */
function hasMoved(before: Status, now: Partial<Status>): boolean {
  const old = ({ replicas = 0, updatedReplicas = 0 }: Partial<Status>) => replicas - updatedReplicas;
  return (
    (now.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    old(now) < old(before) ||
    (now.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (now.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  );
}

function failureCondition({ sets, all }: Facts): readonly Condition[] {
  const failure = sets.flatMap(({ status }) => status?.conditions ?? []).find(({ type }) => type === 'ReplicaFailure');
  if (!failure) return withoutCondition(all, 'ReplicaFailure');
  const { type, status, reason = '', message = '' } = failure;
  return say(all, { type, status, reason, message }, false);
}

function sum(sets: readonly ReplicaSet[], field: 'replicas' | 'readyReplicas' | 'availableReplicas'): number {
  return sets.reduce((total, { status }) => total + (status?.[field] ?? 0), 0);
}
