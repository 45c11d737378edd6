/** What outlives a process: rollouts, their events, what was typed and clicked, what has to be shown. */

import type { Event, MessageKey, Outgoing } from '../../core/event.ts';
import type { Place } from '../../core/place.ts';
import type { Actor } from '../../core/plan.ts';
import type { Rollout } from '../../core/rollout.ts';
import type { Answer } from '../answers.ts';

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
  /** The same of the first failure that only people can mend. */
  readonly lastingSince: number | null;
  /** Counts an uncounted holder; see `Store.lease`. */
  begin(): Promise<void>;
  /** Prolongs it by its full time, if it is still held. */
  renew(): Promise<void>;
  /**
   * `work`: what became of it, `done` when left out; `lasting`: it failed, and only people can mend that; `undone` tells nothing
   * new, and `untried` leaves all as it was. false: the lease had run out, so somebody else may have done the same meanwhile.
   */
  release(work?: 'done' | 'failed' | 'lasting' | 'undone' | 'untried'): Promise<boolean>;
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
  /** The post was not made, or Slack has refused it: there is nothing to look for. */
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
