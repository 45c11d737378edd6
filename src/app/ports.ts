/**
 * What Sluice needs from outside. Adapters implement these; `app` knows nothing else. A fault (network, 5xx, timeout) is
 * thrown and retried; what a person must hear is a value.
 */
import type { Measured } from '../core/analysis.ts';
import type { Place } from '../core/place.ts';
import type { Actor, Check, Plan, Route, SmokeTest, Target } from '../core/plan.ts';
import type { Drift, Event, MessageKey, Outgoing, Rollout } from '../core/rollout.ts';
import type { Support } from '../core/support.ts';
import type { Foreseen, ForeseenHold } from '../core/writes.ts';
import type { Answer } from './answers.ts';

export type Log = {
  child(fields: Record<string, unknown>): Log;
  debug(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
};

// ---- cluster -------------------------------------------------------------------------------------------------------

/** Which rollout writes: every write tests it on the object and leaves it there. */
export type Fence = { readonly rollout: string; readonly epoch: number; readonly seq: number };

/** What became of a fenced write. */
export type Written =
  | { readonly kind: 'done' }
  /** A newer epoch or another rollout holds the object: the writer is late and stops. */
  | { readonly kind: 'fenced'; readonly by: Marks }
  /** Somebody else changed a field that Sluice owns; nothing was written. */
  | { readonly kind: 'drifted'; readonly drift: Drift }
  /** The API server refuses the write itself (schema, admission, quota, rights) or the object is gone; retrying is useless. */
  | { readonly kind: 'refused'; readonly message: string };

/** Sluice's marks as found on an object. */
export type Marks = {
  readonly rollout: string;
  readonly epoch: number;
  readonly seq: number;
  readonly phase: 'active' | 'done';
  /** Who aborted straight at the cluster while Redis was away: `U0BO(bo)@2026-11-20T10:00:00Z`. */
  readonly abort: string | null;
  /** Owned fields as they were before the claim. */
  readonly restore: string | null;
};

/** Result of looking before anything is touched: facts, or refusals that each name the place and the remedy. */
export type Preflight<T> =
  | { readonly ok: true; readonly facts: T; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly refusals: readonly string[] };

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
  /** The route as it is; null when it is not a shape that Sluice writes. Reads the watched copy when there is one. */
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
   * for an object that lost its own journal.
   */
  reapply(plan: Plan, fence: Fence, before: Release['template'] | null): Promise<Written>;
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

/** GETs `url` at a canary pod: the HTTP status, or why there was none. 5 s at most. */
export type Prober = { probe(url: string): Promise<{ readonly status: number } | { readonly failed: string }> };

// ---- metrics -------------------------------------------------------------------------------------------------------

/** One line of the gate's picture. `at`: ms since 1970. */
export type Series = {
  readonly check: Check;
  readonly side: 'canary' | 'stable';
  readonly points: readonly { readonly at: number; readonly value: number }[];
};

export type Metrics = {
  /**
   * Measures each check on canary and stable now. Never throws: what cannot be read is `missing` with the reason.
   * `since`: first canary traffic; a window never reaches back before it.
   */
  measure(target: Target, checks: readonly Check[], since: number, now: number): Promise<readonly Measured[]>;
  range(target: Target, checks: readonly Check[], from: number, to: number): Promise<readonly Series[]>;
};

// ---- store ---------------------------------------------------------------------------------------------------------

/** A rollout as loaded: what the next transition is compared against. */
export type Loaded = {
  readonly rollout: Rollout;
  /** Hash of the last event: the next one links to it. */
  readonly head: string;
  /** Redis TIME at load. */
  readonly now: number;
  /** An abort that was recorded but not yet taken in by a transition; its epoch is already raised. */
  readonly abort: { readonly actor: Actor; readonly reason: string | null; readonly epoch: number } | null;
};

/** A version that a rollout made the stable one. */
export type Release = {
  readonly version: string;
  readonly image: string;
  readonly template: Readonly<Record<string, unknown>>;
  readonly rollout: string;
  readonly at: number;
  /** A rollback made it live again: what was before it stands after an older release of the same version. */
  readonly rolledBack?: true;
  /** Who asked for it. */
  readonly by?: Actor;
};

/** A typed command or a click, recorded before it is acknowledged. */
export type Intake = {
  readonly id: string;
  /** JSON-serialisable; its shape is the caller's. */
  readonly body: unknown;
};

export type RecordedEvent = {
  readonly version: number;
  readonly at: number;
  readonly event: Event;
  readonly hash: string;
};

export type Lease = {
  /** How many holders in a row let it run out: they died, or froze, with the work in hand. */
  readonly abandoned: number;
  /** Redis TIME at which the work under it failed first, ms; null: it came to its end the last time, or nobody tried for minutes. */
  readonly failingSince: number | null;
  /** Counts an uncounted holder; see `Store.lease`. */
  begin(): Promise<void>;
  /** Prolongs it by its full time, if it is still held. */
  renew(): Promise<void>;
  /**
   * `work`: what became of it, `done` when left out; `undone` tells nothing new, and `untried` leaves all as it was. false: the
   * lease had run out, so somebody else may have done the same meanwhile.
   */
  release(work?: 'done' | 'failed' | 'undone' | 'untried'): Promise<boolean>;
};

export type Store = {
  /** Redis TIME, ms. */
  now(): Promise<number>;
  /** Throws `Unreadable` for what is there, but not as this Sluice writes it; so do all that load. */
  load(id: string): Promise<Loaded | null>;
  /**
   * Takes the service's lock, writes the rollout and its first event, drops the intake. `busy` names the holder; `gone`: the
   * intake was worked on before. `abort`: the rollout is aborted from birth, as if by `requestAbort` in the same moment.
   */
  create(
    begun: { readonly rollout: Rollout; readonly messages: readonly Outgoing[] },
    event: Event,
    intake: string | null,
    abort?: { readonly actor: Actor; readonly reason: string | null },
  ): Promise<{ readonly kind: 'created' | 'gone' } | { readonly kind: 'busy'; readonly by: string }>;
  /**
   * One transition by compare-and-set on version and epoch; `conflict`: load again and decide again; `gone`: the intake was
   * worked on before.
   */
  save(
    loaded: Loaded,
    event: Event,
    decided: { readonly rollout: Rollout; readonly messages: readonly Outgoing[] },
    extra?: { readonly intake?: string; readonly releases?: readonly Release[] },
  ): Promise<Loaded | 'conflict' | 'gone'>;
  /** Epoch that a new rollout of the service starts with: above everything this Redis knows and `seen` in the cluster. */
  nextEpoch(service: string, seen: number): Promise<number>;
  /**
   * One round trip: records an abort and raises the epoch, so that every transition and cluster write of before is refused;
   * answers with the state. `recorded` false: nothing to abort any more (see the rollout's phase).
   */
  requestAbort(
    id: string,
    actor: Actor,
    reason: string | null,
  ): Promise<{ readonly loaded: Loaded; readonly recorded: boolean } | null>;
  /** Id of the rollout that holds the service's lock. */
  holder(service: string): Promise<string | null>;
  /**
   * Id of the rollout whose first message stands there. Kept in an index until the rollout ends; where that has lost it, those of the
   * services that run are asked, and none is loaded.
   */
  rolloutIn(thread: Place, services: readonly string[]): Promise<string | null>;
  events(id: string): Promise<readonly RecordedEvent[]>;
  /** Newest first. */
  releases(service: string): Promise<readonly Release[]>;

  /**
   * One round trip before the ack: records a command or click once by `key` (replays are `duplicate`, with the entry of the
   * first one, which may be gone by now); `full`: so many wait that it is not taken.
   */
  take(
    service: string,
    key: string,
    body: unknown,
  ): Promise<{ readonly kind: 'new' | 'duplicate'; readonly id: string } | { readonly kind: 'full' }>;
  /** Takes back what `take` failed to answer: an entry that came through goes, one still on its way will be a duplicate. */
  untake(service: string, key: string): Promise<void>;
  intakes(service: string): Promise<readonly Intake[]>;
  /** Those of the services whose inbox is not empty. */
  withIntakes(services: readonly string[]): Promise<readonly string[]>;
  /** Whether the entry is still in the inbox. */
  isWaiting(service: string, id: string): Promise<boolean>;
  /** Keeps what the person of an entry is going to be told, so that nobody decides anew when the teller dies. */
  noteAnswer(service: string, id: string, answer: Answer): Promise<void>;
  /** null: nothing was kept. */
  answerOf(service: string, id: string): Promise<Answer | null>;
  drop(service: string, id: string): Promise<void>;

  /** Messages that are not yet shown, oldest first. */
  unsent(id: string): Promise<readonly { readonly entry: string; readonly outgoing: Outgoing }[]>;
  sent(id: string, entries: readonly string[]): Promise<void>;
  /** Marks that a post is on its way, so that after a crash it is looked for before it is repeated; false: it was marked before. */
  markSending(id: string, key: MessageKey): Promise<boolean>;
  /** Slack has refused the post: there is nothing to look for. */
  unmarkSending(id: string, key: MessageKey): Promise<void>;

  /**
   * Short lease so that replicas do not do the same work twice; correctness never depends on it. Leases of one name have one length.
   * `uncountedFrom`: from so many abandoned on, this holder counts only once it begins.
   */
  lease(name: string, ms: number, uncountedFrom?: number): Promise<Lease | null>;
  /** Waiting time in ms before one more call may be made, 0: go (and it is counted). Shared by all replicas. */
  throttle(bucket: string, perMinute: number, burst: number): Promise<number>;
  /** Nobody may call for `ms`: Slack said so. Same `perMinute` and `burst` as in `throttle`. */
  holdBack(bucket: string, perMinute: number, burst: number, ms: number): Promise<void>;

  /**
   * Due index: when a rollout is to be looked at; a hint, rebuilt by the sweep. Infinity: only an event moves it; null: it has
   * ended.
   */
  schedule(id: string, at: number | null): Promise<void>;
  /** Entries overdue by `lateMs`, moved ahead by `claimMs` so that one replica gets each. */
  takeOverdue(lateMs: number, claimMs: number, limit: number): Promise<readonly string[]>;
  /** Ids of rollouts that have not ended, found by their locks. */
  active(services: readonly string[]): Promise<readonly string[]>;
  /**
   * Of these rollouts, those whose hints were lost. `late`: the due index has none, or one that is more than `farMs` ahead and
   * later than the last transition wanted; `at` is when that was, in the past or at most Infinity. `unsent`: they have
   * messages that Slack does not show. Loads no rollout: what it costs does not grow with what they carry.
   */
  forgotten(
    ids: readonly string[],
    farMs: number,
  ): Promise<{
    readonly late: readonly { readonly id: string; readonly at: number }[];
    readonly unsent: readonly string[];
  }>;
  /** Rollouts with unsent messages among the recently ended too. */
  pendingOutbox(limit: number): Promise<readonly string[]>;
  /** Last known members of a user group, kept for aborts while Slack is away. */
  saveMembers(group: string, members: readonly string[]): Promise<void>;
  loadMembers(): Promise<Readonly<Record<string, readonly string[]>>>;
};

// ---- queue ---------------------------------------------------------------------------------------------------------

/** Hints only: losing any of them costs seconds. */
export type Queue = {
  wake(id: string): Promise<void>;
  wakeAt(id: string, at: number, now: number): Promise<void>;
  onTick(handler: (id: string) => Promise<void>): void;
  /** How many hints no replica has begun with. */
  backlog(): Promise<number>;
  /** Last time a tick was consumed, or none could come because Redis did not answer; ms of the monotonic clock: for liveness. */
  lastProgress(): number;
  close(): Promise<void>;
};

// ---- chat ----------------------------------------------------------------------------------------------------------

export type Sent =
  | { readonly kind: 'sent'; readonly ts: string }
  /** Slack asked to wait. */
  | { readonly kind: 'later'; readonly ms: number }
  /** It can never be shown (deleted root, archived channel): logged and dropped after the fallback. */
  | { readonly kind: 'impossible'; readonly error: string };

type GroupMembers =
  | { readonly ok: true; readonly users: readonly string[] }
  | { readonly ok: false; readonly error: string };

export type Chat = {
  /** Posts the message of `key`, or edits it when `rollout.messages` has it. Throws on faults (unknown outcome included). */
  show(rollout: Rollout, outgoing: Outgoing): Promise<Sent>;
  /** Takes back a message that stands twice, `ts` as `show` gave it. Never throws: it may stay where Slack refuses. */
  retract(rollout: Rollout, ts: string): Promise<void>;
  /** Looks for a message whose outcome is unknown by its metadata; null: not there (or not allowed to look). */
  find(rollout: Rollout, key: MessageKey): Promise<string | null>;
  /** Finds a channel by name or id; `problem`: why the bot cannot post there, with the remedy. Throws on faults. */
  channel(
    nameOrId: string,
  ): Promise<{ readonly ok: true; readonly id: string } | { readonly ok: false; readonly problem: string }>;
  groupMembers(group: string): Promise<GroupMembers>;
  /** Guests, deactivated people, bots and strangers may nothing. */
  isFullMember(user: string): Promise<boolean>;
  /** Tells one person, where they asked: response_url, else ephemeral, else DM. Never throws. */
  tell(to: ReplyTo, answer: Answer): Promise<void>;
  permalink(channel: string, ts: string): Promise<string | null>;
};

/** Where a command or click came from. */
export type ReplyTo = {
  readonly user: string;
  readonly channel: string;
  readonly thread: string | null;
  readonly responseUrl: string | null;
};
