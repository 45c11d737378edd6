/**
 * The rollout as data, and its phases. `event.ts` has the events that move it, `decide.ts` the transitions, `schedule.ts` what a
 * rollout wants next. Every time is Redis TIME in milliseconds.
 */
import type { CheckResult, Failures } from './analysis.ts';
import type { Gate, TestResult } from './gate.ts';
import type { Actor, Check, Plan, Route } from './plan.ts';

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

/** Whether a time that was set `ms` ahead has come. One that is further ahead is of before Redis' clock was set back. */
export const hasCome = (at: number, ms: number, now: number): boolean => at <= now || at > now + ms + CLOCK_STEP_MS;

/** Whether a check is to be sampled. */
export function isDue({ next }: Guard, { name, intervalMs }: Check, now: number): boolean {
  const at = next[name];
  return at !== undefined && hasCome(at, intervalMs, now);
}

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
