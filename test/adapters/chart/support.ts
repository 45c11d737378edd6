import { begin } from '../../../src/core/decide.ts';
import type { Gate } from '../../../src/core/gate.ts';
import type { Check, Plan } from '../../../src/core/plan.ts';
import type { Rollout } from '../../../src/core/rollout.ts';
import { samplePlan } from '../../support/played.ts';

export const aCheck = (over: Partial<Check> = {}): Check => ({
  name: 'backlog',
  query: 'sum(x)',
  min: null,
  max: null,
  unit: '',
  intervalMs: 15_000,
  windowMs: 60_000,
  fails: 2,
  minRequests: 20,
  ...over,
});

export const aPlan = (checks: readonly Check[]): Plan => ({ ...samplePlan('world', 'test'), checks });

/** `since`: first canary traffic, null before it. */
export function atGate(
  plan: Plan,
  { openedAt, since }: { readonly openedAt: number; readonly since: number | null },
): Rollout {
  const { rollout } = begin({ type: 'requested', id: 'world-1', plan, epoch: 1 }, openedAt);
  const gate: Gate = {
    id: 'world-1.1',
    kind: 'step',
    step: 1,
    openedAt,
    deliveredAt: null,
    plan: { approvals: 1, timeoutMs: 60_000, onTimeout: 'abort' },
    heldMs: 0,
    reminders: 0,
    results: [],
    tests: [],
    measured: since !== null,
    approvals: [],
    decision: null,
  };
  const guard = since === null ? null : { since, next: {}, failures: {}, last: [] };
  return { ...rollout, guard, gates: [gate], phase: { kind: 'waiting', since: openedAt } };
}
