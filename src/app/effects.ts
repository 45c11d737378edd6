/** Runs one effect through the ports and says what came of it. Every effect may run again: the fence makes repeats harmless. */

import type { Event } from '../core/event.ts';
import { loadOf } from '../core/plan.ts';
import { wantedRoute } from '../core/rollout.ts';
import type { Effect } from '../core/schedule.ts';
import { cleanUp, orStalled, revert } from './ending.ts';
import { sample, test } from './evidence.ts';
import { type EffectDeps, happened, type Outcome, PENDING } from './outcome.ts';
import type { Fence, Written } from './ports/cluster.ts';
import type { Loaded } from './ports/store.ts';
import type { CanaryState } from './ports/workload.ts';
import { releaseBefore, releaseNow, templateBefore } from './releases.ts';

/** A pod's failing reason must hold this long before the rollout gives up (design section 7.8). */
const FAILING_MS = 20_000;
/** How long a route's controller may take before the gate says that nobody confirmed it. */
const CONFIRM_MS = 10_000;

export async function runEffect(deps: EffectDeps, loaded: Loaded, effect: Effect): Promise<Outcome> {
  const { rollout, now } = loaded;
  const { plan, seq } = rollout;
  const { target } = plan;
  const router = deps.router(rollout);
  const workload = deps.workload(rollout);
  const fence: Fence = { rollout: rollout.id, epoch: rollout.epoch, seq };

  switch (effect.kind) {
    case 'claim': {
      const route = await router.claim(target, fence);
      if (route.kind !== 'done') return written(route, seq, 'starting');
      const stable = await workload.claim(target, fence);
      if (stable.kind !== 'done') return written(stable, seq, 'starting');
      return {
        kind: 'event',
        event: { type: 'claimed', seq, journal: route.journal ?? {} },
        extra: { releases: await releaseBefore(deps, rollout, now) },
      };
    }
    case 'create canary':
      return written(await workload.createCanary(plan, fence), seq, 'starting', { type: 'created', seq });
    case 'scale canary': {
      if (rollout.phase.kind === 'stepping' && rollout.phase.overwrite) {
        const put = await workload.reapply(plan, fence, await templateBefore(deps, rollout), effect.weight);
        if (put.kind !== 'done') return written(put, seq, 'starting');
      }
      return written(await workload.scaleCanary(target, effect.weight, fence), seq, 'starting', {
        type: 'scaled',
        seq,
      });
    }
    case 'await canary': {
      // New pods beside the old ones have traffic at once: none before the first step.
      const early = rollout.phase.kind === 'starting' && target.workload === 'in-place';
      const weight = early ? 0 : loadOf(wantedRoute(rollout));
      // Costs nothing where the size is right; stable may have grown while the pods started.
      const scaled = await workload.scaleCanary(target, weight, fence);
      if (scaled.kind !== 'done') return written(scaled, seq, 'starting');
      const state = await workload.canaryState(target, weight, fence);
      if (state.kind === 'ready') return happened({ type: 'canary_ready', seq });
      const message = whyNotReady(deps, state, now - effect.since, plan.readyTimeoutMs);
      return message === null ? PENDING : happened({ type: 'start_failed', seq, message });
    }
    case 'set route':
      return written(
        await router.setRoute(target, effect.route, fence, effect.overwrite, rollout.journal),
        seq,
        'moving',
        {
          type: 'routed',
          seq,
        },
      );
    case 'confirm route': {
      const answer = await router.confirmed(target);
      if (answer.kind === 'confirmed') return happened({ type: 'confirmed', seq, warning: null });
      if (now - effect.since < CONFIRM_MS) return PENDING;
      if (answer.kind === 'pending') {
        return happened({
          type: 'confirmed',
          seq,
          warning: `No controller confirmed the route within ${CONFIRM_MS / 1000} s.`,
        });
      }
      return rollout.phase.kind === 'promoting'
        ? happened({ type: 'confirmed', seq, warning: `The route is refused: ${answer.message}` })
        : happened({ type: 'write_refused', seq, message: `the route is refused: ${answer.message}` });
    }
    case 'test canary':
      return happened({ type: 'tested', seq, results: await test(deps, rollout) });
    case 'sample':
      return sample(deps, loaded, effect);
    case 'promote':
      return written(await workload.promote(plan, fence, effect.overwrite), seq, 'moving', {
        type: 'template_set',
        seq,
      });
    case 'await stable': {
      const state = await workload.stableState(plan, fence);
      if (state.kind === 'ready') return happened({ type: 'stable_ready', seq });
      if (now - effect.since < plan.promoteTimeoutMs) return PENDING;
      return happened({ type: 'promotion_late', seq, message: state.reason });
    }
    case 'end route': {
      // Overwriting is what the abort does too: it does not test the weights that it replaces.
      const reset =
        target.versioned && router.settle
          ? await router.settle(target, fence, rollout.journal, effect.overwrite)
          : await router.reset(target, fence, rollout.journal, effect.overwrite);
      // Another rollout has the route already: ours has ended there.
      if (reset.kind === 'fenced' && reset.by.rollout !== rollout.id) return happened({ type: 'routed', seq });
      const outcome = written(reset, seq, 'moving', { type: 'routed', seq });
      if (reset.kind !== 'done' || outcome.kind !== 'event') return outcome;
      return { ...outcome, extra: { releases: await releaseNow(deps, rollout, now) } };
    }
    case 'clean up':
      return orStalled(deps, loaded, () => cleanUp(deps, loaded));
    case 'revert':
      return orStalled(deps, loaded, () => revert(deps, loaded, effect.demote));
    case 'raise epoch':
      return orStalled(deps, loaded, async () => {
        const raised = await workload.raise(target, fence);
        if (raised.kind === 'refused') throw new Error(`raise the epoch of ${rollout.id}: ${raised.message}`);
        return happened({ type: 'refenced', seq });
      });
    default:
      return effect satisfies never;
  }
}

/** `start`: nothing routed yet, so a refusal ends the start with its words. */
function written(result: Written, seq: number, when: 'starting' | 'moving', done?: Event): Outcome {
  switch (result.kind) {
    case 'done':
      return done ? happened(done) : PENDING;
    case 'fenced':
      return { kind: 'fenced', by: result.by };
    case 'drifted':
      return when === 'starting'
        ? happened({
            type: 'start_failed',
            seq,
            message: `${result.drift.object} was changed by somebody else: ${result.drift.difference}`,
          })
        : happened({ type: 'drifted', seq, drift: result.drift });
    case 'refused':
      return happened(
        when === 'starting'
          ? { type: 'start_failed', seq, message: result.message }
          : { type: 'write_refused', seq, message: result.message },
      );
    default:
      return result satisfies never;
  }
}

function whyNotReady(
  deps: EffectDeps,
  state: Exclude<CanaryState, { kind: 'ready' }>,
  waitedMs: number,
  limitMs: number,
): string | null {
  if (state.kind === 'failing' && deps.clock() - state.since >= FAILING_MS) return state.reason;
  return waitedMs >= limitMs ? `not Ready within ${Math.round(limitMs / 1000)} s: ${state.reason}` : null;
}
