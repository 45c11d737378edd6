/** How a rollout lets go of the cluster: traffic back, objects gone. What fails here is repeated for ever. */
import type { Target } from '../core/plan.ts';
import type { Rollout } from '../core/rollout.ts';
import { ABORT_STALLED_MS } from '../core/schedule.ts';
import { routeObjects } from '../core/traffic.ts';
import { type EffectDeps, happened, type Outcome, PENDING, reasonOf } from './outcome.ts';
import type { Ended, Fence, Loaded, Log, TrafficRouter } from './ports.ts';
import { templateBefore } from './releases.ts';

/**
 * All traffic back to stable. During a promotion stable gets its old template back as well, and traffic waits only where no
 * old pod could answer it.
 */
export async function revert(deps: EffectDeps, { rollout }: Loaded, demote: boolean): Promise<Outcome> {
  const { target } = rollout.plan;
  const { seq } = rollout;
  const fence: Fence = { rollout: rollout.id, epoch: rollout.epoch, seq };
  let isRolling = false;
  if (demote) {
    // Stable carries what it was before; should it have lost that, the releases know.
    const before = await templateBefore(deps, rollout).catch(() => null);
    const demoted = await deps.workload(rollout).demote(target, fence, before);
    if (demoted.kind === 'refused')
      throw new Error(`give ${target.deployment} its old template back: ${demoted.message}`);
    if (demoted.kind === 'done' && demoted.mayRoute === false)
      throw new Error('waiting for one Ready pod of the old version');
    isRolling = demoted.kind === 'done' && demoted.rolling === true;
  }
  const reset = await deps.router(rollout).reset(target, fence, rollout.journal, true);
  if (reset.kind === 'drifted') throw new Error(reset.drift.difference);
  if (reset.kind === 'fenced' && reset.by.rollout === rollout.id && reset.by.epoch > rollout.epoch) {
    return { kind: 'fenced', by: reset.by };
  }
  // Else gone, or another rollout's: nothing of ours routes there any more.
  return isRolling ? PENDING : happened({ type: 'reverted', seq });
}

/** The canary goes last, and not before the route's controller has taken the write that leaves it without traffic. */
export async function cleanUp(deps: EffectDeps, { rollout, now }: Loaded): Promise<Outcome> {
  const { target } = rollout.plan;
  const fence: Fence = { rollout: rollout.id, epoch: rollout.epoch, seq: rollout.seq };
  const router = deps.router(rollout);
  const isTold = rollout.confirmed || target.versioned !== undefined;
  const taken = isTold ? (await router.confirmed(target)).kind : 'confirmed';
  if (rollout.confirmed && taken === 'pending') {
    if (now - rollout.phase.since < ABORT_STALLED_MS) return PENDING;
    throw new Error(
      `the controller of ${routeObjects(target).join(', ')} has not taken the last route; the canary stays until it has`,
    );
  }
  const cleaned = await deps.workload(rollout).cleanUp(target, fence, await endOf(deps, rollout, taken));
  // Another rollout's objects are not ours to clean; a newer epoch of our own is.
  if (cleaned.kind === 'fenced' && cleaned.by.rollout === rollout.id) return { kind: 'fenced', by: cleaned.by };
  if (cleaned.kind === 'drifted') throw new Error(`clean up ${rollout.id}: ${cleaned.drift.difference}`);
  if (cleaned.kind === 'refused') throw new Error(`clean up ${rollout.id}: ${cleaned.message}`);
  const released = await router.release(target, fence);
  if (released.kind === 'fenced' && released.by.rollout === rollout.id) return { kind: 'fenced', by: released.by };
  if (released.kind === 'drifted') throw new Error(`release the route of ${rollout.id}: ${released.drift.difference}`);
  return happened({ type: 'cleaned', seq: rollout.seq });
}

async function endOf(deps: EffectDeps, rollout: Rollout, taken: Taken): Promise<Ended> {
  const { id, phase, plan } = rollout;
  if (phase.kind !== 'promoting') return 'aborted';
  const ended = await endOfPromotion(deps.router(rollout), plan.target, { rollout: id, taken, log: deps.log });
  return ended === 'promoted' && phase.recalled ? 'recalled' : ended;
}

/** What the controllers of the routes say of the last write. */
type Taken = Awaited<ReturnType<TrafficRouter['confirmed']>>['kind'];

/** The version before keeps its pods while the routes do not show, and their controllers not say, that nobody asks it any more. */
export async function endOfPromotion(
  router: Pick<TrafficRouter, 'getRoute' | 'sendsToStable'>,
  target: Target,
  { rollout, taken, log }: { readonly rollout: string; readonly taken: Taken; readonly log: Log },
): Promise<Ended> {
  if (!target.versioned) return 'promoted';
  const [held, still] = await Promise.all([router.getRoute(target), router.sendsToStable?.(target) ?? []]);
  const isSettled = held?.settled === true && held.route?.weight === 100;
  if (isSettled && taken === 'confirmed' && still.length === 0) return 'promoted';
  log.warn(
    { rollout, held, taken, still },
    'the routes do not show that the new version has its place for good: the version before keeps its pods',
  );
  return 'disputed';
}

/** A fault is repeated for ever; of an abort people hear once, with what to run by hand. */
export async function orStalled(
  deps: EffectDeps,
  { rollout, now }: Loaded,
  work: () => Promise<Outcome>,
): Promise<Outcome> {
  try {
    return await work();
  } catch (error) {
    const { phase, seq } = rollout;
    const late = phase.kind === 'aborting' && !phase.stalled && now - phase.since >= ABORT_STALLED_MS;
    if (!late) throw error;
    deps.log.error({ rollout: rollout.id, err: error }, 'abort does not get through');
    return happened({ type: 'abort_stalled', seq, message: reasonOf(error) });
  }
}
