/** What was measured and tested, and what follows from it: the guard's samples, a step's judgement. */
import { type CheckResult, countFailures, tripped } from './analysis.ts';
import { abort, advance, type Change, gateKey, replaceLast, STALE, stepOf } from './change.ts';
import { ask } from './gate-changes.ts';
import type { Plan } from './plan.ts';
import { type Guard, isAbortable, isDue, openGate, type Phase, type Rollout } from './rollout.ts';

export function startGuard(plan: Plan, now: number): Guard {
  const next = Object.fromEntries(plan.checks.map((check) => [check.name, now + check.intervalMs]));
  return { since: now, next, failures: {}, last: [] };
}

/** Takes the results in; when a check fails too often the change is the abort. */
function weigh(rollout: Rollout, guard: Guard, results: readonly CheckResult[], now: number): Guard | Change {
  // A judgement just after a sample sees nearly the same window: only what was due counts as one more failure.
  const isWanted = dueNow(rollout.plan, guard, now);
  const due = results.filter(({ check, verdict }) => verdict === 'pass' || isWanted(check));
  const failures = countFailures(guard.failures, due);
  const measured = new Map(results.map((result) => [result.check, result]));
  const before = new Map(guard.last.map((result) => [result.check, result]));
  const last = rollout.plan.checks.flatMap((check) => measured.get(check.name) ?? before.get(check.name) ?? []);
  const bad = tripped(rollout.plan.checks, failures);
  // Halted means that nothing moves without a person.
  const moves = isAbortable(rollout) && rollout.phase.kind !== 'halted';
  if (bad && moves) return abort(rollout, { kind: 'check', check: bad.name, results: last }, now);
  const next = { ...guard.next };
  for (const check of rollout.plan.checks) {
    if (measured.has(check.name) && isWanted(check.name)) next[check.name] = now + check.intervalMs;
  }
  return { ...guard, failures, last, next };
}

const dueNow = (plan: Plan, guard: Guard, now: number) => (name: string) =>
  plan.checks.some((check) => check.name === name && isDue(guard, check, now));

const verdicts = (results: readonly CheckResult[]) =>
  results.map((result) => `${result.check} ${result.verdict}`).join();

export function sampled(rollout: Rollout, guard: Guard, results: readonly CheckResult[], now: number): Change {
  // Two replicas may measure at once: what is not due was counted already.
  const isWanted = dueNow(rollout.plan, guard, now);
  const due = results.filter(({ check }) => isWanted(check));
  if (due.length === 0) return STALE;
  const weighed = weigh(rollout, guard, due, now);
  if (!('since' in weighed)) return weighed;
  const gate = openGate(rollout);
  if (gate?.kind !== 'step') return { next: { guard: weighed }, messages: [] };
  const seen = { ...gate, results: weighed.last };
  // An edit for each sample would eat Slack's rate: only a changed verdict is worth one.
  const changed = verdicts(gate.results) !== verdicts(weighed.last);
  return { next: { guard: weighed, gates: replaceLast(rollout, seen) }, messages: changed ? [gateKey(gate)] : [] };
}

export function judged(rollout: Rollout, results: readonly CheckResult[], now: number): Change {
  const all = rollout.plan.checks.map(({ name }) => results.find(({ check }) => check === name) ?? unmeasured(name));
  const weighed = rollout.guard ? weigh(rollout, rollout.guard, all, now) : null;
  if (weighed && !('since' in weighed)) return weighed;
  const evidence = { ...rollout, guard: weighed };
  const good = rollout.tests.every((test) => test.passed) && (weighed?.last ?? []).every((r) => r.verdict === 'pass');
  if (stepOf(rollout).gate === null && good) {
    const on = advance(evidence, now);
    return 'next' in on ? { ...on, next: { guard: weighed, ...on.next } } : on;
  }
  return ask(evidence, 'step', weighed?.last ?? [], now, { kind: 'waiting', since: now });
}

/** A check that was asked for and not answered is no success either. */
function unmeasured(check: string): CheckResult {
  const missing = { missing: 'not measured' };
  return { check, canary: missing, stable: missing, requests: null, verdict: 'no data' };
}

export function afterConfirm(rollout: Rollout, now: number): Phase {
  return stepOf(rollout).test && rollout.plan.tests.length > 0
    ? { kind: 'stepping', stage: 'test', since: now }
    : afterTests(rollout, now);
}

export function afterTests(rollout: Rollout, now: number): Phase {
  return { kind: 'stepping', stage: stepOf(rollout).bakeMs > 0 ? 'bake' : 'judge', since: now };
}
