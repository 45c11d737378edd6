/**
 * An abort without Redis (design section 9): straight at the cluster, with what its objects carry. Like the ordinary one it
 * does nothing after stable took over, and in between gives stable its old template back before traffic.
 */
import type { Target } from '../core/plan.ts';
import { locate } from './locate.ts';
import { reasonOf } from './outcome.ts';
import type { Written } from './ports/cluster.ts';
import type { TrafficRouter } from './ports/router.ts';
import type { Workload } from './ports/workload.ts';

export type Blind =
  | { readonly kind: 'done' }
  /** Stable gets its old template back; not all traffic is on it yet, since its pods have still to come. */
  | { readonly kind: 'waiting' }
  /** Stable serves the new version already: nothing to abort. */
  | { readonly kind: 'promoted' }
  | { readonly kind: 'not held' }
  | { readonly kind: 'failed'; readonly error: string };

/** `by` as in `Marks.abort`. Never throws. */
export type BlindAbort = (target: Target, rollout: string, by: string) => Promise<Blind>;

type Deps = {
  readonly routerOf: (target: Target) => Pick<TrafficRouter, 'getRoute' | 'blindAbort' | 'locate'>;
  readonly workloadOf: (target: Target) => Pick<Workload, 'isPromoted' | 'demote'>;
};

export function createBlindAbort({ routerOf, workloadOf }: Deps): BlindAbort {
  return (target, rollout, by) =>
    carryOut(target, rollout, by).catch((error: unknown) => ({ kind: 'failed', error: reasonOf(error) }));

  async function carryOut(configured: Target, rollout: string, by: string): Promise<Blind> {
    const located = await locate(routerOf(configured), configured, { rollout });
    if (!located.ok) return { kind: 'failed', error: located.refusal };
    const { target } = located;
    const [router, workload] = [routerOf(target), workloadOf(target)];
    const [held, promoted] = await Promise.all([router.getRoute(target), workload.isPromoted(target, rollout)]);
    const marks = held?.marks?.rollout === rollout && held.marks.phase === 'active' ? held.marks : null;
    if (marks && (held?.settled || (promoted && held?.route?.weight === 0))) return { kind: 'promoted' };
    let keepTraffic = false;
    let isRolling = false;
    // The second press finds the old template back already, but perhaps no pod of it yet.
    if (marks && (promoted || marks.abort !== null)) {
      const demoted = await workload.demote(target, { rollout, epoch: marks.epoch + 1, seq: marks.seq });
      if (demoted.kind !== 'done') return { kind: 'failed', error: wordsOf(demoted) };
      keepTraffic = demoted.mayRoute === false;
      isRolling = demoted.rolling !== undefined;
    }
    const written = await router.blindAbort(target, rollout, by, keepTraffic);
    if (written.kind === 'done') return { kind: keepTraffic || isRolling ? 'waiting' : 'done' };
    return marks ? { kind: 'failed', error: wordsOf(written) } : { kind: 'not held' };
  }
}

function wordsOf(written: Exclude<Written, { kind: 'done' }>): string {
  switch (written.kind) {
    case 'fenced':
      return `its objects belong to rollout ${written.by.rollout}`;
    case 'drifted':
      return written.drift.difference;
    case 'refused':
      return written.message;
    default:
      return written satisfies never;
  }
}
