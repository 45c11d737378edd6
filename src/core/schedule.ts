/**
 * What a rollout wants done now, and when it is to be looked at again: both follow from the state alone, so any replica can
 * go on at any time.
 */

import type { Event } from './event.ts';
import { gateDeadline, reminderAt } from './gate.ts';
import { loadOf, type Route, STABLE_ROUTE } from './plan.ts';
import { hasCome, isAbortable, isDue, isTerminal, openGate, type Rollout, wantedRoute } from './rollout.ts';

/** One thing to do outside, answered by an event with the same `seq`; nothing yet to report is no event. */
export type Effect =
  | { readonly kind: 'claim' }
  /** `weight`: percent of the requests that the canary is sized for. */
  | { readonly kind: 'create canary'; readonly weight: number }
  | { readonly kind: 'await canary'; readonly since: number }
  | { readonly kind: 'scale canary'; readonly weight: number }
  | { readonly kind: 'set route'; readonly route: Route; readonly overwrite: boolean }
  | { readonly kind: 'confirm route'; readonly since: number }
  | { readonly kind: 'test canary' }
  /** `checks`: names; with `judge` the answer decides the step, else it feeds the guard. */
  | { readonly kind: 'sample'; readonly checks: readonly string[]; readonly since: number; readonly judge: boolean }
  | { readonly kind: 'promote'; readonly overwrite: boolean }
  | { readonly kind: 'await stable'; readonly since: number }
  | { readonly kind: 'end route'; readonly overwrite: boolean }
  | { readonly kind: 'clean up' }
  | { readonly kind: 'revert'; readonly demote: boolean }
  | { readonly kind: 'raise epoch' };

export type Next =
  | { readonly kind: 'event'; readonly event: Event }
  | { readonly kind: 'effect'; readonly effect: Effect }
  | { readonly kind: 'wait' };

/** After this long an abort that does not get through says in Slack what to run by hand, and a rollout which right is missing. */
export const ABORT_STALLED_MS = 30_000;

/** Whether people hear of what lasts `since` then. A clock that was set back puts that off by no hour. */
export const isStalled = (since: number, now: number) => hasCome(since + ABORT_STALLED_MS, ABORT_STALLED_MS, now);

/** After this long without a look at it that gets through, a rollout says in Slack that it stands still. */
export const STALLED_MS = 300_000;

/** First what time decides, then due samples (unless `sample` is off), then the phase's own wish. */
export function next(rollout: Rollout, now: number, { sample = true } = {}): Next {
  if (isTerminal(rollout)) return { kind: 'wait' };
  const timed = timedEvent(rollout, now);
  if (timed) return { kind: 'event', event: timed };
  const checks = sample ? dueChecks(rollout, now) : [];
  if (checks.length > 0 && rollout.guard) {
    return { kind: 'effect', effect: { kind: 'sample', checks, since: rollout.guard.since, judge: false } };
  }
  const effect = phaseEffect(rollout);
  return effect ? { kind: 'effect', effect } : { kind: 'wait' };
}

/**
 * Earliest time at which `next` can answer differently by time alone, or an abort that is still being tried is stalled;
 * null: only an event moves it.
 */
export function nextLook(rollout: Rollout): number | null {
  const times: number[] = [];
  const { phase } = rollout;
  if (isTerminal(rollout)) return null;
  if (phase.kind === 'stepping' && phase.stage === 'bake') times.push(phase.since + bakeMs(rollout));
  if ((phase.kind === 'promoting' || phase.kind === 'aborting') && phase.stage === 'cool')
    times.push(coolUntil(rollout));
  if (phase.kind === 'aborting' && !phase.stalled && phase.stage !== 'cool') times.push(phase.since + ABORT_STALLED_MS);
  const gate = openGate(rollout);
  if (gate) {
    const deadline = gateDeadline(gate);
    const reminder = reminderAt(gate);
    if (reminder !== null) times.push(reminder);
    if (deadline !== null && gate.plan.onTimeout === 'abort') times.push(deadline);
  }
  if (rollout.guard && isGuarded(rollout)) times.push(...Object.values(rollout.guard.next));
  return times.length > 0 ? Math.min(...times) : null;
}

function timedEvent(rollout: Rollout, now: number): Event | null {
  const { phase, seq } = rollout;
  if (phase.kind === 'stepping' && phase.stage === 'bake' && now >= phase.since + bakeMs(rollout))
    return { type: 'baked', seq };
  if ((phase.kind === 'promoting' || phase.kind === 'aborting') && phase.stage === 'cool' && now >= coolUntil(rollout))
    return { type: 'cooled', seq };
  const gate = openGate(rollout);
  const deadline = gate && gateDeadline(gate);
  if (!gate || deadline === null) return null;
  if (now >= deadline && gate.plan.onTimeout === 'abort') return { type: 'gate_expired', gate: gate.id };
  const at = reminderAt(gate);
  return at !== null && now >= at ? { type: 'gate_reminded', gate: gate.id } : null;
}

/** A canary that never had traffic has nothing to drain. */
function coolUntil({ phase, plan }: Rollout): number {
  const idle = phase.kind === 'aborting' && phase.from === 'before any traffic moved';
  return idle ? phase.since : phase.since + plan.coolDownMs;
}

function bakeMs(rollout: Rollout): number {
  return rollout.plan.steps[rollout.step]?.bakeMs ?? 0;
}

/**
 * The guard watches until stable carries all traffic again, gates and promotion included. A judgement measures every check
 * itself: one window must not count twice.
 */
function isGuarded(rollout: Rollout): boolean {
  const { phase } = rollout;
  const judging = phase.kind === 'stepping' && phase.stage === 'judge';
  return rollout.guard !== null && isAbortable(rollout) && !judging;
}

function dueChecks(rollout: Rollout, now: number): readonly string[] {
  const { guard, plan } = rollout;
  if (!guard || !isGuarded(rollout)) return [];
  return plan.checks.filter((check) => isDue(guard, check, now)).map(({ name }) => name);
}

function phaseEffect(rollout: Rollout): Effect | null {
  const { phase } = rollout;
  switch (phase.kind) {
    case 'queued':
      return { kind: 'claim' };
    case 'starting':
      if (phase.stage === 'create')
        return { kind: 'create canary', weight: loadOf(rollout.plan.steps[0]?.route ?? STABLE_ROUTE) };
      return phase.stage === 'ready' ? { kind: 'await canary', since: phase.since } : null;
    case 'stepping':
      return stepEffect(rollout, phase);
    case 'promoting':
      switch (phase.stage) {
        case 'template':
          return { kind: 'promote', overwrite: phase.overwrite ?? false };
        case 'ready':
          return { kind: 'await stable', since: phase.since };
        case 'route':
          return { kind: 'end route', overwrite: phase.overwrite ?? false };
        case 'confirm':
          return { kind: 'confirm route', since: phase.since };
        case 'cool':
          return null;
        case 'clean':
          return { kind: 'clean up' };
        default:
          return phase satisfies never;
      }
    case 'aborting':
      switch (phase.stage) {
        case 'route':
          return { kind: 'revert', demote: phase.demote };
        case 'fence':
          return { kind: 'raise epoch' };
        case 'cool':
          return null;
        case 'clean':
          return { kind: 'clean up' };
        default:
          return phase satisfies never;
      }
    default:
      return null;
  }
}

function stepEffect(rollout: Rollout, phase: Extract<Rollout['phase'], { kind: 'stepping' }>): Effect | null {
  switch (phase.stage) {
    case 'scale':
      return { kind: 'scale canary', weight: loadOf(wantedRoute(rollout)) };
    case 'ready':
      return { kind: 'await canary', since: phase.since };
    case 'route':
      return { kind: 'set route', route: wantedRoute(rollout), overwrite: phase.overwrite ?? false };
    case 'confirm':
      return { kind: 'confirm route', since: phase.since };
    case 'test':
      return { kind: 'test canary' };
    case 'bake':
      return null;
    case 'judge': {
      const checks = rollout.guard ? rollout.plan.checks.map((check) => check.name) : [];
      return { kind: 'sample', checks, since: rollout.guard?.since ?? phase.since, judge: true };
    }
    default:
      return phase.stage satisfies never;
  }
}
