/** What happens to a rollout, and what comes of it: a new state and messages, or a refusal. `decide.ts` holds the transitions. */
import type { CheckResult } from './analysis.ts';
import type { Gate, TestResult } from './gate.ts';
import type { Actor, Plan } from './plan.ts';
import type { AbortCause, Drift, Rollout } from './rollout.ts';

/** Answers of effects carry the `seq` they answer: a late one is refused. */
type Answer<T extends string, F = unknown> = { readonly type: T; readonly seq: number } & F;

export type Event =
  /** `disputed`: of a rollout that Redis had lost, and that was found after its promotion; as in `cleaned`. */
  | {
      readonly type: 'requested';
      readonly id: string;
      readonly plan: Plan;
      readonly epoch: number;
      readonly disputed?: string;
    }
  | Answer<'claimed', { readonly journal: Readonly<Record<string, string>> }>
  | Answer<'created'>
  | Answer<'canary_ready'>
  | Answer<'start_failed', { readonly message: string }>
  | Answer<'scaled'>
  | Answer<'routed'>
  | Answer<'confirmed', { readonly warning: string | null }>
  | Answer<'tested', { readonly results: readonly TestResult[] }>
  | Answer<'baked'>
  | Answer<'judged', { readonly results: readonly CheckResult[] }>
  | { readonly type: 'sampled'; readonly epoch: number; readonly results: readonly CheckResult[] }
  | Answer<'drifted', { readonly drift: Drift }>
  | Answer<'write_refused', { readonly message: string }>
  /** Somebody else changed or deleted what carries canary traffic. */
  | Answer<'lost', { readonly message: string }>
  | { readonly type: 'approved'; readonly gate: string; readonly actor: Actor; readonly reason: string | null }
  | { readonly type: 'held'; readonly gate: string; readonly actor: Actor }
  | { readonly type: 'gate_reminded'; readonly gate: string }
  | { readonly type: 'gate_expired'; readonly gate: string }
  | { readonly type: 'reapplied'; readonly gate: string; readonly actor: Actor }
  | { readonly type: 'accepted'; readonly gate: string; readonly actor: Actor }
  | { readonly type: 'retried'; readonly gate: string; readonly actor: Actor }
  | { readonly type: 'kept'; readonly gate: string; readonly actor: Actor }
  | Answer<'template_set'>
  | Answer<'stable_ready'>
  | Answer<'promotion_late', { readonly message: string }>
  | Answer<'cooled'>
  /** `recalled`: for a rollback to the version before. */
  | { readonly type: 'cool_down_cut'; readonly actor: Actor; readonly recalled?: true }
  /** `disputed`: promoted, but nobody can tell that the version before has no traffic; why, as a clause. */
  | Answer<'cleaned', { readonly disputed?: string }>
  /** The same, found out after the end. */
  | { readonly type: 'disputed'; readonly message: string }
  | { readonly type: 'abort_requested'; readonly cause: AbortCause; readonly epoch: number }
  /** The cluster was found at a higher epoch after stable had taken over (P3): go on above it, there is nothing to abort. */
  | { readonly type: 'overtaken'; readonly epoch: number }
  | Answer<'reverted'>
  | Answer<'refenced'>
  /** `rolling`: the routes are back, but pods of what was taken back still serve. */
  | Answer<'abort_stalled', { readonly message: string; readonly rolling?: true }>
  /** No work on it gets through. `since`: time of the first failure. */
  | Answer<'stalled', { readonly since: number; readonly message: string }>
  /** It gets through again. */
  | Answer<'resumed'>
  | { readonly type: 'message_delivered'; readonly key: string; readonly ts: string };

/** A message of the rollout that Slack should show; an existing one is edited. Rendered from the newest state. */
export type Outgoing = { readonly key: MessageKey; readonly note?: Note };
/** `root`, `gate:<n>`, `chart:<n>`, `result`, `note:<version>:<time>` */
export type MessageKey = string;

/** What is told once in the thread and never edited. */
export type Note =
  | { readonly kind: 'reminder'; readonly gate: string; readonly count: number }
  | { readonly kind: 'unconfirmed'; readonly message: string }
  | { readonly kind: 'abort stalled'; readonly message: string; readonly rolling?: true }
  | { readonly kind: 'stalled'; readonly since: number; readonly message: string }
  /** `ms`: for how long it stood still. */
  | { readonly kind: 'resumed'; readonly ms: number }
  /** Told of a promotion; `message` as in the event. */
  | { readonly kind: 'disputed'; readonly message: string };

/** Expected refusals: told to the person, never thrown. */
export type Rejection =
  | { readonly kind: 'ended' }
  | { readonly kind: 'stale' }
  | { readonly kind: 'gate closed'; readonly gate: Gate | null }
  | { readonly kind: 'four eyes' }
  | { readonly kind: 'already approved'; readonly at: number }
  | { readonly kind: 'needs reason' }
  | { readonly kind: 'hold limit' }
  | { readonly kind: 'not acceptable'; readonly low: number; readonly high: number; readonly found: number | null }
  | { readonly kind: 'already aborting' }
  | { readonly kind: 'already promoted' };

export type Decision =
  | { readonly ok: true; readonly rollout: Rollout; readonly messages: readonly Outgoing[] }
  | { readonly ok: false; readonly rejection: Rejection };
