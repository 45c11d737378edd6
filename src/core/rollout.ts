/**
 * The rollout as data: its phases, and the events that move it. `decide.ts` holds the transitions, `schedule.ts` what a
 * rollout wants next. Every time is Redis TIME in milliseconds.
 */
import type { CheckResult, Failures } from './analysis.ts';
import type { Actor, Check, GatePlan, Plan, Route } from './plan.ts';

export type TestResult = { readonly test: string; readonly passed: boolean; readonly detail: string };

/** Why an abort happened; decides the words of the result message. */
export type AbortCause =
  | { readonly kind: 'person'; readonly actor: Actor; readonly reason: string | null }
  | { readonly kind: 'check'; readonly check: string; readonly results: readonly CheckResult[] }
  | { readonly kind: 'not started'; readonly message: string }
  | { readonly kind: 'expired'; readonly gate: string }
  | { readonly kind: 'refused by the cluster'; readonly message: string }
  /** Working on it ended the process again and again. */
  | { readonly kind: 'given up'; readonly message: string }
  /** Somebody else took away what the canary needs. */
  | { readonly kind: 'lost'; readonly message: string }
  | { readonly kind: 'fenced'; readonly message: string };

/** `announce`: all is Ready, but no traffic moves before the root message was delivered once. */
export type StartStage = 'create' | 'ready' | 'announce';
export type StepStage = 'scale' | 'ready' | 'route' | 'confirm' | 'test' | 'bake' | 'judge';
/**
 * `template` and `ready` are promotion P1 and P2 (an abort still works), the others P3 ("already promoted"); with the workload
 * `versioned` an abort works at `route` too.
 */
export type PromoteStage = 'template' | 'ready' | 'route' | 'confirm' | 'cool' | 'clean';
type AbortStage = 'route' | 'fence' | 'cool' | 'clean';

export type Phase =
  | { readonly kind: 'queued'; readonly since: number }
  | { readonly kind: 'starting'; readonly stage: StartStage; readonly since: number }
  | { readonly kind: 'stepping'; readonly stage: StepStage; readonly since: number; readonly overwrite?: boolean }
  | { readonly kind: 'waiting'; readonly since: number }
  | {
      readonly kind: 'drifted';
      readonly since: number;
      readonly drift: Drift;
      readonly resume: 'step' | 'promotion';
      /** Where the promotion stood. */
      readonly stage?: PromoteStage;
    }
  | {
      readonly kind: 'promoting';
      readonly stage: PromoteStage;
      readonly since: number;
      readonly overwrite?: boolean;
      /** The version before is wanted back already. */
      readonly recalled?: true;
    }
  | {
      readonly kind: 'halted';
      readonly since: number;
      readonly why: string;
      readonly kept: boolean;
      /** Where the promotion stood. */
      readonly stage?: PromoteStage;
    }
  | {
      readonly kind: 'aborting';
      readonly stage: AbortStage;
      readonly since: number;
      readonly startedAt: number;
      readonly cause: AbortCause;
      /** What it was doing, for people: `at the gate of 10%`. */
      readonly from: string;
      /** The stable Deployment may carry the new template and gets the old one back. */
      readonly demote: boolean;
      /** That it lasts was told in Slack, with the hand-made way out where there is one. */
      readonly stalled: boolean;
      /** It lasts because pods of what was taken back still serve. */
      readonly rolling?: true;
      /** What somebody else did to stable, which is left as it is. */
      readonly foreign?: Drift;
    }
  | {
      readonly kind: 'succeeded';
      readonly since: number;
      /** Why the version before may still have traffic, and keeps its pods (workload `versioned`). */
      readonly disputed?: string;
    }
  | {
      readonly kind: 'aborted';
      readonly since: number;
      readonly cause: AbortCause;
      readonly from: string;
      readonly foreign?: Drift;
    };

/** A route or Deployment that somebody else changed while the rollout held it. */
export type Drift = {
  /** `HTTPRoute hello/world` */
  readonly object: string;
  /** What differs, as one sentence. */
  readonly difference: string;
  /** The canary weight that was found, when the change was of weights only. */
  readonly weight: number | null;
};

type Approval = { readonly actor: Actor; readonly at: number; readonly reason: string | null };

export type GateDecision = {
  readonly kind: 'approved' | 'aborted' | 'expired' | 'superseded' | 're-applied' | 'accepted' | 'retried';
  readonly actor: Actor;
  readonly at: number;
};

/** A question to people. At most one is open (`decision` null), and it is the last one. */
export type Gate = {
  /** `<rollout>.<n>`: what a button carries. */
  readonly id: string;
  readonly kind: 'step' | 'drift' | 'halted';
  readonly step: number;
  readonly openedAt: number;
  /** Its clock starts when Slack has the message, at most one hour after it was made. */
  readonly deliveredAt: number | null;
  readonly plan: GatePlan;
  readonly heldMs: number;
  readonly reminders: number;
  /** What is shown; looked at again while the gate is open, final when decided. */
  readonly results: readonly CheckResult[];
  readonly tests: readonly TestResult[];
  /** False where no canary traffic flows yet: checks show as "not measured". */
  readonly measured: boolean;
  readonly approvals: readonly Approval[];
  readonly decision: GateDecision | null;
};

export type Rollout = {
  readonly id: string;
  readonly plan: Plan;
  /** Number of recorded events; every transition adds one. */
  readonly version: number;
  /** Fencing token; every cluster write tests it. */
  readonly epoch: number;
  /** `version` of the transition that recorded the current wish: the idempotency key of its cluster write. */
  readonly seq: number;
  readonly requestedAt: number;
  readonly phase: Phase;
  readonly step: number;
  /** Last route that was written and answered. */
  readonly route: Route;
  /** `seq` of that write; 0: none yet. */
  readonly routeSeq: number;
  /** The route's controller has taken a write of this rollout: it will say so of later ones too. */
  readonly confirmed: boolean;
  /** Route fields as they were before the claim, for each route object; the object carries the same. */
  readonly journal: Readonly<Record<string, string>>;
  /** Weight of the current step, when people accepted another one than planned. */
  readonly acceptedWeight: number | null;
  /** null while no canary traffic flows. */
  readonly guard: Guard | null;
  readonly tests: readonly TestResult[];
  readonly gates: readonly Gate[];
  /** Slack timestamps by message key, once delivered. */
  readonly messages: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
  /** Since when no work on it gets through, once people were told; null: it does. An abort says it in its own words. */
  readonly stalledSince: number | null;
};

export type Guard = {
  /** First canary traffic: windows of queries never reach back before it. */
  readonly since: number;
  /** When each check is sampled next, by check name. */
  readonly next: Readonly<Record<string, number>>;
  readonly failures: Failures;
  readonly last: readonly CheckResult[];
};

/** A step of Redis' clock that is nothing to speak of. */
const CLOCK_STEP_MS = 1_000;

/** Whether a check is to be sampled. One that is further ahead than its interval is of before Redis' clock was set back. */
export function isDue({ next }: Guard, { name, intervalMs }: Check, now: number): boolean {
  const at = next[name];
  return at !== undefined && (at <= now || at > now + intervalMs + CLOCK_STEP_MS);
}

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
/** `root`, `gate:<n>`, `chart:<n>`, `result`, `note:<version>` */
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

export function isTerminal(rollout: Rollout): boolean {
  return rollout.phase.kind === 'succeeded' || rollout.phase.kind === 'aborted';
}

/** False once an abort runs, or stable serves the new version (P3), or all is over. */
export function isAbortable({ phase, plan }: Rollout): boolean {
  if (phase.kind === 'promoting' || phase.kind === 'halted' || phase.kind === 'drifted') {
    // A version that is rolled out beside stable takes its place with the route, and not with a template before it.
    const isBeside = plan.target.versioned !== undefined && phase.stage === 'route';
    return phase.stage === undefined || phase.stage === 'template' || phase.stage === 'ready' || isBeside;
  }
  return phase.kind !== 'aborting' && phase.kind !== 'succeeded' && phase.kind !== 'aborted';
}

export function openGate(rollout: Rollout): Gate | null {
  const last = rollout.gates.at(-1);
  return last && last.decision === null ? last : null;
}

/** The route of the current step, with the weight people accepted in place of the planned one. */
export function wantedRoute(rollout: Rollout): Route {
  const step = rollout.plan.steps[rollout.step];
  if (!step) throw new Error(`rollout ${rollout.id} has no step ${rollout.step}`);
  return rollout.acceptedWeight === null ? step.route : { ...step.route, weight: rollout.acceptedWeight };
}

/** Approve needs no reason only when every check was measured and passed, and every test too. */
export function looksGood(gate: Gate): boolean {
  return gate.tests.every((test) => test.passed) && gate.results.every((result) => result.verdict === 'pass');
}

/** When an open gate is decided by time; null: never (drift and halted gates wait for people). */
export function gateDeadline(gate: Gate): number | null {
  if (gate.kind !== 'step') return null;
  return gateClock(gate) + gate.plan.timeoutMs + gate.heldMs;
}

const LATEST_CLOCK_START_MS = 3_600_000;
function gateClock(gate: Gate): number {
  return Math.min(gate.deliveredAt ?? Number.POSITIVE_INFINITY, gate.openedAt + LATEST_CLOCK_START_MS);
}

const REMINDER_SHARES = [0.5, 0.8] as const;

/** When people are reminded next; null: never, or not before Slack has the question. */
export function reminderAt(gate: Gate): number | null {
  const share = REMINDER_SHARES[gate.reminders];
  if (share === undefined || gate.kind !== 'step' || gate.deliveredAt === null) return null;
  return gateClock(gate) + share * (gate.plan.timeoutMs + gate.heldMs);
}
