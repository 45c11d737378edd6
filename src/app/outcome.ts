/** What an effect needs, and what can come of it. */
import type { Event } from '../core/event.ts';
import type { Rollout } from '../core/rollout.ts';
import type { Marks } from './ports/cluster.ts';
import type { Log } from './ports/log.ts';
import type { Metrics } from './ports/metrics.ts';
import type { Prober } from './ports/prober.ts';
import type { TrafficRouter } from './ports/router.ts';
import type { Release, Store } from './ports/store.ts';
import type { Workload } from './ports/workload.ts';

export type EffectDeps = {
  readonly store: Store;
  readonly router: (rollout: Rollout) => TrafficRouter;
  readonly workload: (rollout: Rollout) => Workload;
  readonly metrics: Metrics;
  readonly prober: Prober;
  readonly log: Log;
  /** Local clock, ms, monotonic: only for durations within this process, never for decisions. */
  readonly clock: () => number;
};

export type Outcome =
  | { readonly kind: 'event'; readonly event: Event; readonly extra?: { readonly releases: readonly Release[] } }
  /** Not there yet; looked at again soon. */
  | { readonly kind: 'pending' }
  | { readonly kind: 'fenced'; readonly by: Marks };

export const PENDING: Outcome = { kind: 'pending' };
export const happened = (event: Event): Outcome => ({ kind: 'event', event });

/** What the API server refuses for good: it is repeated all the same, since somebody may grant it. */
export class Refusal extends Error {
  readonly isLasting = true;
}

/** Whether it passes only when somebody does something, as where a right is missing: of that people hear soon. */
export function isLasting(error: unknown): boolean {
  for (let one = error; one instanceof Error; one = one.cause) {
    if ('isLasting' in one && one.isLasting === true) return true;
  }
  return false;
}

export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const why = error.cause instanceof Error ? error.cause.message : '';
  return error.message.includes(why) ? error.message : `${error.message}: ${why}`;
}
