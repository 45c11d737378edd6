/** A question to people, and until when it waits for them. */
import type { CheckResult } from './analysis.ts';
import type { Actor, GatePlan } from './plan.ts';

export type TestResult = { readonly test: string; readonly passed: boolean; readonly detail: string };

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
