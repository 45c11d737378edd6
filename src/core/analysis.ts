import type { Check } from './plan.ts';

/** What a query said of one side: a number, or why there is none. */
export type Reading = { readonly value: number } | { readonly missing: string };

/** One check measured once. `requests` is null where the query cannot tell (own PromQL). */
export type Measured = {
  readonly check: string;
  readonly canary: Reading;
  readonly stable: Reading;
  readonly requests: { readonly canary: number; readonly stable: number } | null;
};

export type Verdict = 'pass' | 'fail' | 'no data';

export type CheckResult = Measured & { readonly verdict: Verdict };

/**
 * Judges one measurement of the canary. No data is never success: a missing or non-finite value, or fewer requests than
 * `minRequests`, is `no data` whatever the value says.
 */
export function judge(check: Check, measured: Measured): Verdict {
  if (!('value' in measured.canary) || !Number.isFinite(measured.canary.value)) return 'no data';
  if (measured.requests !== null && !(measured.requests.canary >= check.minRequests)) return 'no data';
  const { value } = measured.canary;
  if (check.min !== null && value < check.min) return 'fail';
  if (check.max !== null && value > check.max) return 'fail';
  return 'pass';
}

/** Consecutive failing samples by check name. */
export type Failures = Readonly<Record<string, number>>;

/** `fail` counts up, `pass` resets, `no data` neither counts nor resets. */
export function countFailures(failures: Failures, results: readonly CheckResult[]): Failures {
  const counted: Record<string, number> = { ...failures };
  for (const { check, verdict } of results) {
    if (verdict === 'fail') counted[check] = (counted[check] ?? 0) + 1;
    else if (verdict === 'pass') delete counted[check];
  }
  return counted;
}

/** The first check that failed as many samples in a row as it may. */
export function tripped(checks: readonly Check[], failures: Failures): Check | undefined {
  return checks.find((check) => (failures[check.name] ?? 0) >= check.fails);
}
