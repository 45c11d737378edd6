/**
 * The direct way of an abort (design section 9): no queue, no worker slot, no other service stands before the route patch.
 * One script records it and raises the epoch; the patch goes out in the same turn; everything after may take its time.
 */
import { decide } from '../core/decide.ts';
import type { Rejection } from '../core/event.ts';
import type { Actor } from '../core/plan.ts';
import { isTerminal, type Rollout } from '../core/rollout.ts';
import { revert } from './ending.ts';
import type { Deps, Rollouts } from './handle.ts';
import type { Loaded } from './ports/store.ts';
import { eventOfAbort } from './record.ts';

export type AbortStart =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'rejected'; readonly rejection: Rejection; readonly rollout: Rollout }
  /** `done` settles when the route patch was answered and the abort is recorded; it never rejects. */
  | { readonly kind: 'started'; readonly rollout: Rollout; readonly done: Promise<void> };

export type Abort = (id: string, actor: Actor, reason: string | null) => Promise<AbortStart>;

export function createAbort(deps: Deps, rollouts: Rollouts): Abort {
  return async (id, actor, reason) => {
    const asked = await deps.store.requestAbort(id, actor, reason);
    if (!asked) return { kind: 'unknown' };
    const { loaded } = asked;
    if (!loaded.abort) {
      const kind = loaded.rollout.phase.kind === 'aborting' ? 'already aborting' : endedOrPromoted(loaded.rollout);
      return { kind: 'rejected', rejection: { kind }, rollout: loaded.rollout };
    }
    // One that was recorded before and not yet taken in: whoever recorded it may have died, so it is carried out here.
    const decided = decide(loaded.rollout, eventOfAbort(loaded.abort), loaded.now);
    if (!decided.ok) return { kind: 'rejected', rejection: decided.rejection, rollout: loaded.rollout };
    return { kind: 'started', rollout: decided.rollout, done: carryOut(loaded, decided.rollout) };
  };

  async function carryOut(loaded: Loaded, aborting: Rollout): Promise<void> {
    const log = deps.log.child({ rollout: aborting.id, epoch: aborting.epoch });
    const started = deps.clock();
    const demote = aborting.phase.kind === 'aborting' && aborting.phase.demote;
    const [reverted, absorbed] = await Promise.allSettled([
      revert(deps, { ...loaded, rollout: aborting }, demote),
      rollouts.absorb(loaded),
    ]);
    const ms = Math.round(deps.clock() - started);
    log.info({ ms, reverted: reverted.status, recorded: absorbed.status }, 'abort carried out');
    try {
      if (reverted.status === 'fulfilled' && reverted.value.kind === 'event')
        await rollouts.record(aborting.id, reverted.value.event);
      else if (reverted.status === 'rejected')
        log.warn({ err: reverted.reason }, 'route patch of the abort failed, will be repeated');
      // The rest (epochs, clean-up) and every repeat is the ordinary tick's work.
      await rollouts.tick(aborting.id);
    } catch (error) {
      log.warn({ err: error }, 'abort goes on with the next tick');
    }
  }
}

function endedOrPromoted(rollout: Rollout): 'ended' | 'already promoted' {
  return isTerminal(rollout) ? 'ended' : 'already promoted';
}
