/** How a rollout lets go of the cluster: traffic back, objects gone. What fails here is repeated for ever. */
import { loadOf, type Target } from '../core/plan.ts';
import type { Rollout } from '../core/rollout.ts';
import { isStalled } from '../core/schedule.ts';
import { routeObjects } from '../core/traffic.ts';
import { type EffectDeps, happened, type Outcome, PENDING, Refusal, reasonOf } from './outcome.ts';
import type { Fence } from './ports/cluster.ts';
import type { TrafficRouter } from './ports/router.ts';
import type { Loaded } from './ports/store.ts';
import type { Ended } from './ports/workload.ts';
import { templateBefore } from './releases.ts';

/**
 * All traffic back to stable. During a promotion stable gets its old template back as well, and traffic waits only where no
 * old pod could answer it.
 */
export async function revert(deps: EffectDeps, { rollout, now }: Loaded, demote: boolean): Promise<Outcome> {
  const { target } = rollout.plan;
  const { seq } = rollout;
  const fence: Fence = { rollout: rollout.id, epoch: rollout.epoch, seq };
  let rolling: string | undefined;
  if (demote) {
    // Stable carries what it was before; should it have lost that, the releases know.
    const before = await templateBefore(deps, rollout).catch(() => null);
    const demoted = await deps.workload(rollout).demote(target, fence, before);
    if (demoted.kind === 'refused')
      throw new Error(`give ${target.deployment} its old template back: ${demoted.message}`);
    if (demoted.kind === 'done' && demoted.mayRoute === false)
      throw new Error('waiting for one Ready pod of the old version');
    rolling = demoted.kind === 'done' ? demoted.rolling : undefined;
  }
  const stopped = await resetRoute(deps, rollout, fence);
  if (stopped) return stopped;
  if (rolling === undefined) return happened({ type: 'reverted', seq });
  // Whether it still rolls or is stuck: users are on the version that was taken back, and people hear of it, once.
  const isTold = rollout.phase.kind === 'aborting' && rollout.phase.stalled;
  if (isTold || !isStalled(rollout.phase.since, now)) return PENDING;
  return happened({ type: 'abort_stalled', seq, message: rolling, rolling: true });
}

/** null: nothing of this rollout routes to the canary any more. */
async function resetRoute(deps: EffectDeps, rollout: Rollout, fence: Fence): Promise<Outcome | null> {
  const reset = await deps.router(rollout).reset(rollout.plan.target, fence, rollout.journal, true);
  if (reset.kind === 'drifted') throw new Error(reset.drift.difference);
  const isLate = reset.kind === 'fenced' && reset.by.rollout === rollout.id && reset.by.epoch > rollout.epoch;
  // Else gone, or another rollout's.
  return isLate ? { kind: 'fenced', by: reset.by } : null;
}

/** The canary goes last, and not before the route's controller has taken the write that leaves it without traffic. */
export async function cleanUp(deps: EffectDeps, { rollout, now }: Loaded): Promise<Outcome> {
  const { target } = rollout.plan;
  const fence: Fence = { rollout: rollout.id, epoch: rollout.epoch, seq: rollout.seq };
  const router = deps.router(rollout);
  const promotion = rollout.phase.kind === 'promoting' ? rollout.phase : null;
  // Somebody may have put the canary back since the reset; where it stays after a promotion, it has its place there.
  const held = promotion && target.versioned ? null : await router.getRoute(target);
  if (held && (!held.route || loadOf(held.route) > 0 || held.route.preview)) {
    const stopped = await resetRoute(deps, rollout, fence);
    if (stopped) return stopped;
  }
  const isTold = rollout.confirmed || target.versioned !== undefined;
  const taken: Taken = isTold ? await router.confirmed(target) : { kind: 'confirmed' };
  if (rollout.confirmed && taken.kind === 'pending') {
    if (!isStalled(rollout.phase.since, now)) return PENDING;
    throw new Error(
      `the controller of ${routeObjects(target).join(', ')} has not taken the last route; the canary stays until it has`,
    );
  }
  const disputed = promotion && (await disputeOf(router, target, taken));
  if (disputed !== null) deps.log.warn({ rollout: rollout.id, disputed }, 'the version before keeps its pods');
  const cleaned = await deps.workload(rollout).cleanUp(target, fence, endOf(promotion, disputed));
  // Another rollout's objects are not ours to clean; a newer epoch of our own is.
  if (cleaned.kind === 'fenced' && cleaned.by.rollout === rollout.id) return { kind: 'fenced', by: cleaned.by };
  if (cleaned.kind === 'drifted') throw new Error(`clean up ${rollout.id}: ${cleaned.drift.difference}`);
  if (cleaned.kind === 'refused') throw new Refusal(`clean up ${rollout.id}: ${cleaned.message}`);
  const released = await router.release(target, fence);
  if (released.kind === 'fenced' && released.by.rollout === rollout.id) return { kind: 'fenced', by: released.by };
  if (released.kind === 'drifted') throw new Error(`release the route of ${rollout.id}: ${released.drift.difference}`);
  // Held by a rollout that has ended it would hold up the next one.
  if (released.kind === 'refused') throw new Refusal(`release the route of ${rollout.id}: ${released.message}`);
  return happened({ type: 'cleaned', seq: rollout.seq, ...(disputed !== null && { disputed }) });
}

function endOf(promotion: Extract<Rollout['phase'], { kind: 'promoting' }> | null, disputed: string | null): Ended {
  if (!promotion) return 'aborted';
  if (disputed !== null) return 'disputed';
  return promotion.recalled ? 'recalled' : 'promoted';
}

/** What the controllers of the routes say of the last write. */
type Taken = Awaited<ReturnType<TrafficRouter['confirmed']>>;

/**
 * Why the version before may still be asked, as a clause: then it keeps its pods. null: the routes show that it is not, and their
 * controllers say so.
 */
export async function disputeOf(
  router: Pick<TrafficRouter, 'getRoute' | 'sendsToStable'>,
  target: Target,
  taken: Taken,
): Promise<string | null> {
  if (!target.versioned) return null;
  const [held, still] = await Promise.all([router.getRoute(target), router.sendsToStable?.(target) ?? []]);
  const routes = routeObjects(target).join(', ');
  if (!held) return `${routes} is gone`;
  if (held.settled !== true || held.route?.weight !== 100)
    return `${routes} was changed by somebody else after the promotion`;
  if (still.length > 0) return `${still.join(', ')} still sends to ${target.deployment}`;
  if (taken.kind === 'rejected') return `${routes} is refused: ${taken.message}`;
  return taken.kind === 'pending' ? `the controller of ${routes} has not confirmed the promotion` : null;
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
    const late = phase.kind === 'aborting' && (!phase.stalled || phase.rolling === true) && isStalled(phase.since, now);
    if (!late) throw error;
    deps.log.error({ rollout: rollout.id, err: error }, 'abort does not get through');
    return happened({ type: 'abort_stalled', seq, message: reasonOf(error) });
  }
}
