/** Where the traffic goes: one router for each traffic system. */
import type { Route, Target } from '../../core/plan.ts';
import type { Drift, Rollout } from '../../core/rollout.ts';
import type { Support } from '../../core/support.ts';
import type { Foreseen } from '../../core/writes.ts';
import type { Fence, Marks, Preflight, Written } from './cluster.ts';

/** A marked route object: how a rollout is found when Redis has lost it. */
export type MarkedRoute = {
  readonly object: string;
  readonly marks: Marks;
  /** `env` of the bot that claimed it; null: it says none. */
  readonly env: string | null;
};

export type RouteFacts = {
  readonly objects: readonly string[];
  readonly epoch: number;
  /** Objects with several rules that the canary gets a share of, each as a sentence; nothing is wrong with them. */
  readonly several: readonly string[];
};

/** Whose names a target gets: those of a version to roll out, of a rollout that only the cluster knows, or null, of what serves. */
export type Wanted = { readonly version: string } | { readonly rollout: string } | null;

export type Located = { readonly ok: true; readonly target: Target } | { readonly ok: false; readonly refusal: string };

export type TrafficRouter = {
  readonly supports: Support;
  /**
   * The target with the names that its versions have now, where the workload is `versioned`: what is live is told by the routes,
   * and what a rollout holds by marks. `image`: the pattern by which versions are told from what is only named alike. Left out:
   * no such workload is routed.
   */
  locate?(target: Target, wanted: Wanted, image?: string): Promise<Located>;
  /**
   * Reads only. Refuses missing routes, ambiguous rules, other owners, an active claim of another rollout. `wanted`: routes of
   * the steps, of which it refuses what only the cluster can tell.
   */
  preflight(target: Target, wanted?: readonly Route[]): Promise<Preflight<RouteFacts>>;
  /** What these routes would write to the objects as they are, one after the other; left out: nobody can tell. */
  foresee?(target: Target, routes: readonly Route[]): Promise<readonly Foreseen[]>;
  /** Takes the route objects for a rollout: marks only, no traffic moves. `journal`: owned fields by object. */
  claim(target: Target, fence: Fence): Promise<Written & { readonly journal?: Readonly<Record<string, string>> }>;
  /**
   * Sets the whole route in one write. `overwrite`: replaces what somebody else wrote, as last read; `journal`: for an object
   * that lost its own.
   */
  setRoute(
    target: Target,
    route: Route,
    fence: Fence,
    overwrite: boolean,
    journal?: Rollout['journal'],
  ): Promise<Written>;
  /**
   * Gives the owned fields their journalled values back: all traffic to stable. With a higher epoch than the object's it is
   * the abort: it does not test weights, claims when unclaimed, and is done when the object is read back (or gone).
   */
  reset(target: Target, fence: Fence, journal: Rollout['journal'], abort: boolean): Promise<Written>;
  /**
   * Ends a promotion whose canary stays (workload `versioned`): one write in which the canary has the place that stable had in the
   * journalled fields. Meets a foreign edit, unless `overwrite`. Left out: no such workload is routed.
   */
  settle?(target: Target, fence: Fence, journal: Rollout['journal'], overwrite: boolean): Promise<Written>;
  /**
   * Route objects that send to stable anywhere, in what no rollout routes as well; read afresh, since its pods go where there are
   * none. Goes with `settle`.
   */
  sendsToStable?(target: Target): Promise<readonly string[]>;
  /**
   * The route as it is; its `route` is null when it is not a shape that Sluice writes. Of several objects those that are there
   * speak, or nobody would take the traffic back in them; null: there is none. Reads the watched copy when there is one.
   */
  getRoute(target: Target): Promise<{
    readonly route: Route | null;
    readonly marks: Marks | null;
    /** `settle` has written all of the objects; the route is then 100% while they show nothing else. */
    readonly settled?: true;
  } | null>;
  /** Whether the route's controller took the last write: `pending` while it has not answered. */
  confirmed(
    target: Target,
  ): Promise<
    | { readonly kind: 'confirmed' }
    | { readonly kind: 'pending' }
    | { readonly kind: 'rejected'; readonly message: string }
  >;
  /** What differs from what this rollout last wrote, as far as the watched copy shows; null: nothing. */
  drift(target: Target, route: Route, fence: Fence): Promise<Drift | null>;
  /** Takes the claim off (phase `done`). */
  release(target: Target, fence: Fence): Promise<Written>;
  /** `places` as `routePlaces` of the targets gives them; one LIST for each. */
  listMarked(places: readonly string[]): Promise<readonly MarkedRoute[]>;
  /**
   * Abort without Redis: GET, then one patch with epoch + 1, the journalled fields and `sluice.dev/abort`. Refuses a route
   * that another rollout holds. `keepTraffic`: only the epoch and the mark, the fields stay.
   */
  blindAbort(target: Target, rollout: string, by: string, keepTraffic?: boolean): Promise<Written>;
};
