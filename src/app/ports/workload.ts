/** What runs the two versions: one workload for each way of having them side by side. */
import type { Plan, SmokeTest, Target } from '../../core/plan.ts';
import type { Drift } from '../../core/rollout.ts';
import type { ForeseenHold } from '../../core/writes.ts';
import type { Fence, Preflight, Written } from './cluster.ts';
import type { Release } from './store.ts';

export type CanaryState =
  | { readonly kind: 'ready' }
  /** `reason`: what is still missing, in the cluster's words. */
  | { readonly kind: 'waiting'; readonly reason: string }
  /** Will not become Ready by itself, with the pod's own reason (ImagePullBackOff …) and since when this process sees it, ms of its monotonic clock. */
  | { readonly kind: 'failing'; readonly reason: string; readonly since: number };

export type WorkloadFacts = {
  /** Version that serves now; null when its image does not match `image`. */
  readonly version: string | null;
  readonly container: string;
  /** Whole pod template that serves now. */
  readonly template: Readonly<Record<string, unknown>>;
  /** The Deployment's own `progressDeadlineSeconds`. */
  readonly progressDeadlineMs: number;
  /** Highest epoch found on the objects. */
  readonly epoch: number;
  /** The autoscaler whose `minReplicas` the rollout raises, for sentences; left out: none. */
  readonly autoscaler?: string;
  /** Which share a weight really gets, where pods decide: `20% (1 of 5 pods; 10% was asked)`; null: what is asked. */
  readonly achieved?: (weight: number) => string | null;
};

/**
 * `disputed`: promoted, but the routes do not show that nobody asks the version before: no pods are taken away. `recalled`: that one
 * is wanted back at once, so it ends as ever, with its pods.
 */
export type Ended = 'aborted' | 'promoted' | 'recalled' | 'disputed';

/** Names of ReplicaSets, with which those of their pods begin. */
export type SideSets = { readonly canary: readonly string[]; readonly stable: readonly string[] };

type Revision = {
  readonly revision: number;
  readonly template: Readonly<Record<string, unknown>>;
  readonly image: string;
  /** Its `kubernetes.io/change-cause`. */
  readonly cause: string | null;
  /** It is what serves now; while there is a canary, what is stable. */
  readonly isLive: boolean;
};

export type Workload = {
  /** Reads only: objects, rights (one SelfSubjectRulesReview per namespace), labels, other owners, HPA. */
  preflight(target: Target, imagePattern: string): Promise<Preflight<WorkloadFacts>>;
  /** What it would hold besides what it rolls out; left out: nothing. */
  foresee?(target: Target): Promise<readonly ForeseenHold[]>;
  claim(target: Target, fence: Fence): Promise<Written>;
  /** Makes what carries canary traffic (idempotent): for `twin` Deployment and both Kubernetes Services. */
  createCanary(plan: Plan, fence: Fence): Promise<Written>;
  /** Raises the canary to what `weight` needs, never lowers it. */
  scaleCanary(target: Target, weight: number, fence: Fence): Promise<Written>;
  /**
   * Canary pods and endpoints (of stable's own Kubernetes Service too), from watched copies; a copy that does not show this
   * epoch's marks and the size that `weight` needs is read afresh once for each fence, and never answers `ready`.
   */
  canaryState(target: Target, weight: number, fence: Fence): Promise<CanaryState>;
  /** Why the canary side cannot serve as it was checked, since somebody else changed or deleted a part of it; null: it can. */
  lost(plan: Plan, fence: Fence): Promise<string | null>;
  /** What somebody else did to stable since the claim, before its promotion; null: nothing. */
  drift(plan: Plan, fence: Fence): Promise<Drift | null>;
  /**
   * Takes back what `drift` found: stable has its marks, journal and template again. `before`: what it ran when it was claimed,
   * for an object that lost its own journal; `weight`: percent that the canary is to have next.
   */
  reapply(plan: Plan, fence: Fence, before: Release['template'] | null, weight: number): Promise<Written>;
  /** P2: stable gets the canary's template. */
  promote(plan: Plan, fence: Fence, overwrite: boolean): Promise<Written>;
  /** Like `canaryState`: `ready` only where stable runs what `promote` of this plan wrote. */
  stableState(plan: Plan, fence: Fence): Promise<CanaryState>;
  /** Whether stable carries another template than it had when this rollout claimed it, as the watched copy shows. */
  isPromoted(target: Target, rollout: string): Promise<boolean>;
  /**
   * Gives stable its old template back, as the Deployment itself carries it, with the raised epoch. `mayRoute`: whether
   * traffic can go to stable at once; always where no other template was taken up there since the claim. `rolling`: why
   * pods of the other template have traffic still, which goes with them; left out: none has. `before`: as in `reapply`.
   */
  demote(
    target: Target,
    fence: Fence,
    before?: Release['template'] | null,
  ): Promise<Written & { readonly mayRoute?: boolean; readonly rolling?: string }>;
  /** Raises the epoch on every claimed or made object except routes, and reads it back. */
  raise(target: Target, fence: Fence): Promise<Written>;
  /**
   * Deletes what was made (preconditions uid and resourceVersion) and takes the claim off stable. With `versioned` it depends on
   * how the rollout ended; left out: aborted.
   */
  cleanUp(target: Target, fence: Fence, ended?: Ended): Promise<Written>;
  /** Whole pod template and image that stable has now, from the watched copy; null: the Deployment is gone. */
  stableTemplate(
    target: Target,
  ): Promise<{ readonly template: Readonly<Record<string, unknown>>; readonly image: string } | null>;
  /** Image of the canary, for a rollout that Redis has lost; null: there is no canary. */
  canaryImage(target: Target): Promise<string | null>;
  /**
   * What the cluster itself still has, newest first, with the numbers of `kubectl rollout history`. Left out: it keeps no
   * revisions of its own.
   */
  revisions?(target: Target): Promise<readonly Revision[]>;
  /** Whose pods are whose, from watched copies, where one Deployment has both sides; left out: each side has one of its own. */
  replicaSets?(target: Target): Promise<SideSets>;
  /**
   * `http://address:port` of every Ready canary pod. `port`: its own number, or the name of the Kubernetes Service's port, where
   * none named so gives no address; left out: the port named `http`, else the first.
   */
  canaryAddresses(target: Target, port?: SmokeTest['port']): Promise<readonly string[]>;
};
