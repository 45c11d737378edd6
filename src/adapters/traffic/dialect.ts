/**
 * How one kind of Kubernetes object says a route. A dialect knows fields only: claims, fences, aborts and drift are the same
 * for all of them and live in `object-*.ts`. Everything here is pure.
 */
import type { Log } from '../../app/ports/log.ts';
import type { RouteFacts, TrafficRouter } from '../../app/ports/router.ts';
import type { Route, Target } from '../../core/plan.ts';
import type { Cluster, Draft } from '../kubernetes/api.ts';
import type { Held, Kind, Ref } from '../kubernetes/kinds.ts';
import type { Op } from '../kubernetes/marks.ts';
import type { Service } from '../kubernetes/objects.ts';

export type RouterDeps = {
  readonly cluster: Cluster;
  readonly log: Log;
  /** Written on what is claimed, so that another installation's bot does not take its rollouts for lost ones. */
  readonly env?: string;
};

/** What the controllers of an object say of its newest generation. */
export type RouteStatus =
  | { readonly kind: 'confirmed' }
  | { readonly kind: 'pending' }
  | { readonly kind: 'rejected'; readonly message: string };

/** The fields that Sluice owns in an object of a target. `Journal`: those fields as they were before the claim. */
export type Dialect<T extends Held, Journal> = {
  /** The journal of `sluice.dev/restore`; an empty one when there is none that can be read. */
  readonly parse: (restore: string | null) => Journal;
  /** Nothing is known of what was before. */
  readonly isEmpty: (journal: Journal) => boolean;
  /** The owned fields as they are, where `service` (a Kubernetes Service) is what they send to. */
  readonly take: (object: T, service: string) => Journal;
  /** Says the route: one patch that tests what it replaces. */
  readonly say: (object: T, journal: Journal, route: Route) => readonly Op[];
  /**
   * Gives the fields their journalled values back, or, of an empty journal, all traffic to stable. Tests whose places it
   * writes, not their weights: a late weight write does not hold an abort up.
   */
  readonly restore: (object: T, journal: Journal) => readonly Op[];
  /**
   * The journal with the canary in stable's place: what the fields are after the promotion of a canary that stays. Left out: none
   * is routed.
   */
  readonly succeed?: (journal: Journal) => Journal;
  /** Whether stable is named anywhere in it, in what no rollout routes as well. Goes with `succeed`. */
  readonly sendsToStable?: (object: T) => boolean;
  /** The route that the object says; null when it is no shape that `say` writes. */
  readonly read: (object: T, journal: Journal) => Route | null;
  /** Whether the owned fields are as this route has them, whatever others did to the rest. */
  readonly shows: (object: T, journal: Journal, route: Route) => boolean;
  /** Nothing of a rollout is left in it. */
  readonly isRestored: (object: T) => boolean;
  /** What this rollout routes and no longer finds, as half a sentence; null: all is there. */
  readonly missing: (object: T, journal: Journal) => string | null;
  /** Whether it is somebody else's, at the place of one that is made for rollouts: not even an abort writes that. */
  readonly isForeign?: (object: T) => boolean;
  /** Whether anything is left that can say this route. */
  readonly canSay: (object: T, journal: Journal, route: Route) => boolean;
  /** Half a sentence about how the fields differ from what was written. */
  readonly describe: (object: T, journal: Journal, written: Route) => string;
  /** Absent: nothing in the cluster tells whether a route was taken. */
  readonly status?: (object: T) => RouteStatus;
  readonly words: {
    /** Why nothing in an object can be routed. */
    readonly nothing: string;
    /** What to mend by hand so that something can. */
    readonly mend: string;
    /** What to do by hand about an object that still sends to Sluice's Kubernetes Services. */
    readonly undo: string;
  };
};

/** Where a router's routes are, and what is particular about them. */
export type RouteObjects<T extends Held, Journal> = {
  readonly supports: TrafficRouter['supports'];
  /** As this API server serves it. */
  readonly kind: (cluster: Cluster) => Promise<Kind<T>>;
  readonly refs: (target: Target) => readonly Ref[];
  readonly dialect: (target: Target, ref: Ref) => Dialect<T, Journal> | Promise<Dialect<T, Journal>>;
  /** Left out: each object of the kind that carries marks is a route. */
  readonly isRoute?: (object: T) => boolean;
  /**
   * Looks for what is particular to this kind, and whether it can say the `wanted` routes; marks, owners and leftovers are
   * looked at for all kinds.
   */
  readonly look: (
    cluster: Cluster,
    target: Target,
    objects: readonly (T | null)[],
    wanted: readonly Route[],
  ) => Promise<Look>;
  /**
   * For an object that may be missing: as the claim makes it, saying nothing yet. It stays, at rest and with terminal marks,
   * so that who comes too late finds them; the next claim brings it up to date.
   */
  readonly make?: (cluster: Cluster, target: Target, ref: Ref, service: Service) => Promise<Made>;
  /**
   * What an object that is made repeats, of the same kind and somebody else's: as soon as it would be made otherwise, that is an
   * outside change. Its spec and annotations are brought up to date by a re-apply, so `say` writes annotations only.
   */
  readonly repeats?: (target: Target) => Ref;
};

export type Look = {
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
  readonly several: RouteFacts['several'];
};

export type Made =
  /**
   * `restore`: the journal of an object that says nothing yet, another one for each draft of what `repeats`; `stale`: annotations
   * of an older draft that it lost.
   */
  | { readonly ok: true; readonly draft: Draft; readonly restore: string; readonly stale?: readonly string[] }
  | { readonly ok: false; readonly refusal: string };
