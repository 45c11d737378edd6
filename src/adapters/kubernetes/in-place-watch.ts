/** What the watched copies say of a Deployment that is rolled out in place: its new pods are those of its newest ReplicaSet. */
import { isDeepStrictEqual } from 'node:util';
import type { Fence } from '../../app/ports/cluster.ts';
import type { CanaryState, Workload } from '../../app/ports/workload.ts';
import type { Target } from '../../core/plan.ts';
import type { Drift } from '../../core/rollout.ts';
import type { Cluster } from './cluster.ts';
import { marksLost } from './fence.ts';
import { isHeld, level, podsFor, readJournal } from './in-place-fields.ts';
import { isMade, strangeIn } from './in-place-writes.ts';
import { nameOf } from './kinds.ts';
import { readMarks } from './marks.ts';
import {
  type Deployment,
  Deployments,
  EndpointSlices,
  Pods,
  type PodTemplate,
  type ReplicaSet,
  ReplicaSets,
  revisionOf,
} from './objects.ts';
import { deploymentOf } from './serving.ts';
import {
  addressesOf,
  deploymentState,
  hopelessReason,
  type Progress,
  READY,
  strangerIn,
  unscheduledReason,
  waiting,
} from './twin-state.ts';
import { imageIn, watchTwin } from './twin-watch.ts';

/** Pods are watched only when a Deployment takes longer than most do. */
const PATIENCE_MS = 4_000;

const CAUSE = 'kubernetes.io/change-cause';

const HASH = 'pod-template-hash';

/** Without the label that Kubernetes gives the pods of a ReplicaSet. */
function withoutHash(template: PodTemplate): PodTemplate {
  const { [HASH]: _, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

/** While it has both, the old pods are what is stable. */
const stableIn = (object: Deployment): PodTemplate =>
  (isHeld(object) && readJournal(object)?.template) || object.spec.template;

type Watching = Pick<
  Workload,
  | 'canaryState'
  | 'stableState'
  | 'stableTemplate'
  | 'isPromoted'
  | 'canaryImage'
  | 'canaryAddresses'
  | 'replicaSets'
  | 'revisions'
  | 'lost'
  | 'drift'
>;

export function watchInPlace(cluster: Cluster): Watching {
  /** Since when this process sees a Deployment not Ready, and failing, by uid. */
  const slow = new Map<string, number>();
  const failing = new Map<string, number>();
  const sinceOf = (times: Map<string, number>, uid: string): number => {
    const since = times.get(uid) ?? performance.now();
    times.set(uid, since);
    return since;
  };

  const { stableState } = watchTwin(cluster);

  const watched = (target: Target) => cluster.view(Deployments, target.namespace).get(target.deployment);
  /** The watched copy, unless it may be older than what is asked of it. */
  async function current(target: Target, isProven: (copy: Deployment) => boolean): Promise<Deployment | null> {
    const copy = await watched(target);
    return copy && isProven(copy) ? copy : cluster.get(Deployments, deploymentOf(target));
  }

  async function setsOf({ metadata }: Deployment): Promise<readonly ReplicaSet[]> {
    const sets = await cluster.view(ReplicaSets, metadata.namespace).all();
    return sets.filter(({ metadata: { ownerReferences = [] } }) =>
      ownerReferences.some(({ controller, uid }) => controller && uid === metadata.uid),
    );
  }

  /** The ReplicaSet of the template that the Deployment has now; null: its controller has not made it yet. */
  async function newestSet(object: Deployment): Promise<ReplicaSet | null> {
    const revision = revisionOf(object);
    return (await setsOf(object)).find((set) => revisionOf(set) === revision) ?? null;
  }

  async function stateOf(object: Deployment, pods: number): Promise<CanaryState> {
    const { uid } = object.metadata;
    const seen = Number.isFinite(pods) ? await shareState(object, pods) : deploymentState(object);
    if (seen.kind === 'ready') {
      slow.delete(uid);
      failing.delete(uid);
      return seen;
    }
    const isSlow = performance.now() - sinceOf(slow, uid) >= PATIENCE_MS;
    const state = isSlow ? await askPods(object, seen) : seen;
    if (state.kind === 'stuck') return { kind: 'failing', reason: state.reason, since: sinceOf(failing, uid) };
    failing.delete(uid);
    return state;
  }

  /** `pods` new ones are Ready, and the Deployment is paused there. */
  async function shareState(object: Deployment, pods: number): Promise<Progress> {
    const of = `Deployment ${object.metadata.name}`;
    if (!isMade(object, pods)) {
      const state = deploymentState(object);
      return state.kind === 'ready' ? waiting(`${of} has not made its new pods yet`) : state;
    }
    if (object.spec.paused !== true) return waiting(`${of} is not paused yet`);
    const ready = (await newestSet(object))?.status?.readyReplicas ?? 0;
    return ready >= pods ? READY : waiting(`${of}: ${ready} of ${pods} new pods are Ready`);
  }

  async function askPods(object: Deployment, state: Exclude<Progress, { kind: 'ready' }>): Promise<Progress> {
    const set = await newestSet(object);
    const labels = Object.entries(set?.spec.selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
    if (labels.length === 0) return state;
    const pods = await cluster.view(Pods, object.metadata.namespace, labels.join(',')).all();
    const reason = hopelessReason(pods);
    if (reason !== null) return { kind: 'stuck', reason };
    const unscheduled = unscheduledReason(pods);
    return state.kind === 'waiting' && unscheduled ? waiting(unscheduled) : state;
  }

  return {
    // It asks for the Deployment itself, as here; what was noted is what the server makes of what the plan wants.
    async stableState(plan, fence) {
      const object = await watched(plan.target);
      const next = object && readMarks(object)?.rollout === fence.rollout && readJournal(object)?.next;
      return stableState(next ? { ...plan, template: next } : plan, fence);
    },

    async canaryState(target, weight, fence) {
      // Its pods are its traffic: before the first share there are none.
      if (weight === 0) return READY;
      const told = (copy: Deployment) => {
        const journal = readJournal(copy);
        return journal && strangerIn(copy, fence) === null ? level(copy, journal) : 0;
      };
      const object = await current(target, (copy) => told(copy) >= podsFor(weight, copy.spec.replicas));
      if (!object) return waiting(`${nameOf(Deployments, deploymentOf(target))} is gone`);
      const stranger = strangerIn(object, fence);
      if (stranger) return waiting(stranger);
      const pods = podsFor(weight, object.spec.replicas);
      if (told(object) < pods)
        return waiting(`Deployment ${target.deployment} is not told to have ${weight}% new pods`);
      // Further than this weight already: its last pods are looked at.
      return stateOf(object, told(object) === Number.POSITIVE_INFINITY ? told(object) : pods);
    },

    async stableTemplate(target) {
      const object = await watched(target);
      if (!object) return null;
      const template = stableIn(object);
      const image = imageIn(template, target);
      return image === null ? null : { template, image };
    },

    async isPromoted(target, rollout) {
      const object = await watched(target);
      const journal = object && readJournal(object);
      if (!journal || readMarks(object)?.rollout !== rollout) return false;
      return !isDeepStrictEqual(object.spec.template, journal.template);
    },

    async canaryImage(target) {
      const object = await watched(target);
      const next = object && readJournal(object)?.next;
      return next ? imageIn(next, target) : null;
    },

    async canaryAddresses(target, port) {
      const object = await watched(target);
      const journal = object && readJournal(object);
      const set = object && (await newestSet(object));
      if (!journal || !set || level(object, journal) === 0) return [];
      const slices = await cluster.view(EndpointSlices, target.namespace).all();
      const isMeant = (pod: string) => pod.startsWith(`${set.metadata.name}-`);
      return addressesOf(slices, journal.service, { isMeant, port });
    },

    async replicaSets(target) {
      const object = await watched(target);
      const journal = object && readJournal(object);
      const sets = object ? await setsOf(object) : [];
      const newest = object && journal && level(object, journal) > 0 ? await newestSet(object) : null;
      const names = (some: readonly ReplicaSet[]) => some.map(({ metadata }) => metadata.name);
      return { canary: names(newest ? [newest] : []), stable: names(sets.filter((one) => one !== newest)) };
    },

    async revisions(target) {
      const object = await watched(target);
      if (!object) return [];
      const found = (await setsOf(object)).flatMap((set) => {
        const template = withoutHash(set.spec.template);
        const image = imageIn(template, target);
        const revision = Number(revisionOf(set) ?? 0);
        const cause = set.metadata.annotations?.[CAUSE] ?? null;
        const isLive = isDeepStrictEqual(template, stableIn(object));
        return image === null || revision === 0 ? [] : [{ revision, template, image, cause, isLive }];
      });
      return found.toSorted((a, b) => b.revision - a.revision);
    },

    // There is one Deployment: what happens to it is drift.
    lost: async () => null,

    async drift({ target }, fence) {
      const suspect = (object: Deployment | null) => driftOf(object, target, fence);
      // A copy that lags behind looks like a foreign edit: only a fresh one convicts.
      if (suspect(await watched(target)) === null) return null;
      return suspect(await cluster.get(Deployments, deploymentOf(target)));
    },
  };
}

function driftOf(object: Deployment | null, target: Target, fence: Fence): Drift | null {
  const subject = nameOf(Deployments, deploymentOf(target));
  const found = (difference: string): Drift => ({ object: subject, difference, weight: null });
  if (!object) return found('it is gone');
  const marks = readMarks(object);
  const journal = readJournal(object);
  // Another holder's: for the writes to find out.
  if (marks && (marks.rollout !== fence.rollout || marks.epoch > fence.epoch)) return null;
  if (!marks || !journal || marks.epoch < fence.epoch) return marksLost(subject);
  return strangeIn(object, journal) ?? (object.spec.replicas === 0 ? found('it was scaled to 0') : null);
}
