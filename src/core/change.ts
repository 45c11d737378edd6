/** The vocabulary of transitions: what a change is, and the few that every part of the lifecycle uses. */
import type { Outgoing, Rejection } from './event.ts';
import type { Gate } from './gate.ts';
import { type AbortCause, openGate, type Phase, type Rollout } from './rollout.ts';

export type Note = NonNullable<Outgoing['note']>;

export type Change =
  | { readonly next: Partial<Rollout>; readonly messages: readonly (string | Note)[] }
  | { readonly rejection: Rejection };

export const refuse = (rejection: Rejection): Change => ({ rejection });

export const to = (
  phase: Phase,
  next: Partial<Rollout> = {},
  messages: readonly (string | Note)[] = ['root'],
): Change => ({
  next: { ...next, phase },
  messages,
});

/** An answer that came to a stage which does not ask for it. */
export const STALE = refuse({ kind: 'stale' });

export function inStep(phase: Phase, stage: string, then: () => Change): Change {
  return phase.kind === 'stepping' && phase.stage === stage ? then() : STALE;
}

export function stepOf(rollout: Rollout) {
  const step = rollout.plan.steps[rollout.step];
  if (!step) throw new Error(`rollout ${rollout.id} has no step ${rollout.step}`);
  return step;
}

export function startStep(step: number, now: number): Change {
  return to({ kind: 'stepping', stage: 'scale', since: now }, { step, acceptedWeight: null, tests: [] });
}

/** After the last step comes the promotion. */
export function advance(rollout: Rollout, now: number): Change {
  return rollout.step + 1 < rollout.plan.steps.length
    ? startStep(rollout.step + 1, now)
    : to({ kind: 'promoting', stage: 'template', since: now });
}

export const gateKey = (gate: Gate) => `gate:${gate.id.slice(gate.id.lastIndexOf('.') + 1)}`;

export function replaceLast(rollout: Rollout, gate: Gate): readonly Gate[] {
  return [...rollout.gates.slice(0, -1), gate];
}

/** Enters the abort; an open gate closes with it. The epoch rises so that no older write can land. */
export function abort(rollout: Rollout, cause: AbortCause, now: number, epoch = rollout.epoch + 1): Change {
  const { phase } = rollout;
  const gate = openGate(rollout);
  const actor = cause.kind === 'person' ? cause.actor : ({ kind: 'system' } as const);
  const kind = cause.kind === 'expired' ? 'expired' : 'aborted';
  const gates = gate ? replaceLast(rollout, { ...gate, decision: { kind, actor, at: now } }) : rollout.gates;
  // Met by the write that would have promoted stable: what is there is somebody else's, and stays.
  const isForeign = phase.kind === 'drifted' && phase.stage === 'template';
  // Its pods are its traffic, from the first step on.
  const inPlace = rollout.plan.target.workload === 'in-place';
  const inPromotion =
    phase.kind === 'promoting' || phase.kind === 'halted' || (phase.kind === 'drifted' && phase.resume === 'promotion');
  return to(
    {
      kind: 'aborting',
      stage: 'route',
      since: now,
      startedAt: now,
      cause,
      // Redis knows less than the cluster then: traffic may have moved further than this state says.
      from: cause.kind === 'fenced' ? 'at an unknown weight' : describePhase(rollout),
      // After a loss of Redis nobody knows how far the promotion was: the object's own journal does.
      demote: inPlace || (inPromotion && !isForeign) || cause.kind === 'fenced',
      stalled: false,
      ...(phase.kind === 'drifted' && !inPlace && isOfStable(phase) && { foreign: phase.drift }),
    },
    { epoch, gates, stalledSince: null },
    [...(gate ? [gateKey(gate)] : []), 'root'],
  );
}

const isOfStable = ({ drift, resume, stage }: Extract<Phase, { kind: 'drifted' }>) =>
  drift.object.startsWith('Deployment ') && (resume === 'step' || stage === 'template');

/** What a rollout was doing, to be read after "aborted". */
function describePhase(rollout: Rollout): string {
  const weight = `${rollout.route.weight}%`;
  switch (rollout.phase.kind) {
    case 'queued':
    case 'starting':
      return 'before any traffic moved';
    case 'waiting':
      return `at the gate of ${weight}`;
    case 'drifted':
      return `after an outside change, at ${weight}`;
    case 'promoting':
    case 'halted':
      return 'during the promotion';
    default:
      return `at ${weight}`;
  }
}
