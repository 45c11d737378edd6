/**
 * Samples that change nothing are not written down: a gate that waits four hours would otherwise fill Redis with them. This
 * process remembers when it measured last and what it saw; a restart or another replica only measures once more. Whatever a
 * decision could depend on (a failure, another verdict) is recorded at once, and the newest values before an approval.
 */
import type { CheckResult } from '../core/analysis.ts';
import type { Rollout } from '../core/rollout.ts';

/** Values at an open gate are at most this old in the record. */
const LONGEST_QUIET_MS = 300_000;

type Kept = { readonly epoch: number; readonly next: Map<string, number>; readonly results: Map<string, CheckResult> };

export function createQuiet() {
  const kept = new Map<string, Kept>();

  const of = (rollout: Rollout): Kept | undefined => {
    const found = kept.get(rollout.id);
    return found?.epoch === rollout.epoch ? found : undefined;
  };

  return {
    /** The rollout with the guard's next samples as this process knows them. */
    overlay(rollout: Rollout): Rollout {
      const own = of(rollout);
      if (!own || !rollout.guard) return rollout;
      const next = { ...rollout.guard.next };
      for (const [check, at] of own.next) next[check] = Math.max(next[check] ?? 0, at);
      return { ...rollout, guard: { ...rollout.guard, next } };
    },

    /** true: nothing that matters is new, the sample is kept here and need not be recorded. */
    keep(rollout: Rollout, results: readonly CheckResult[], now: number): boolean {
      const { guard, plan } = rollout;
      if (!guard) return false;
      const checks = plan.checks.filter((check) => results.some((result) => result.check === check.name));
      const quiet = checks.every(({ name, intervalMs }) => {
        const verdict = results.find((result) => result.check === name)?.verdict;
        const before = guard.last.find((result) => result.check === name)?.verdict;
        const recordedAt = (guard.next[name] ?? 0) - intervalMs;
        // One that was recorded later than now is of before Redis' clock was set back: the record has to know the new time.
        const isFresh = recordedAt <= now && now - recordedAt < LONGEST_QUIET_MS;
        return verdict !== 'fail' && verdict === before && !guard.failures[name] && isFresh;
      });
      if (!quiet) {
        kept.delete(rollout.id);
        return false;
      }
      const own = of(rollout) ?? { epoch: rollout.epoch, next: new Map(), results: new Map() };
      for (const { name, intervalMs } of checks) own.next.set(name, now + intervalMs);
      for (const result of results) own.results.set(result.check, result);
      kept.set(rollout.id, own);
      return true;
    },

    /** What was seen and not recorded, for a decision that is about to be; null: nothing. */
    take(id: string): { readonly epoch: number; readonly results: readonly CheckResult[] } | null {
      const own = kept.get(id);
      kept.delete(id);
      return own ? { epoch: own.epoch, results: [...own.results.values()] } : null;
    },

    forget(id: string): void {
      kept.delete(id);
    },
  };
}
