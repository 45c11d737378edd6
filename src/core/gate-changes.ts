/** Questions to people: how a gate opens, who may decide it, and what a decision leads to. */
import type { CheckResult } from './analysis.ts';
import { abort, advance, type Change, gateKey, refuse, replaceLast, STALE, stepOf, to } from './change.ts';
import type { Event } from './event.ts';
import { type Gate, type GateDecision, looksGood } from './gate.ts';
import type { GatePlan } from './plan.ts';
import { type Drift, openGate, type Phase, type PromoteStage, type Rollout, wantedRoute } from './rollout.ts';

const DEFAULT_GATE: Omit<GatePlan, 'approvals'> = { timeoutMs: 4 * 3_600_000, onTimeout: 'abort' };

/** Opens a gate; one that is still open is superseded. */
export function ask(
  rollout: Rollout,
  kind: Gate['kind'],
  results: readonly CheckResult[],
  now: number,
  phase: Phase,
): Change {
  const open = openGate(rollout);
  const gates = open
    ? replaceLast(rollout, { ...open, decision: { kind: 'superseded', actor: { kind: 'system' }, at: now } })
    : rollout.gates;
  const gate: Gate = {
    id: `${rollout.id}.${gates.length + 1}`,
    kind,
    step: rollout.step,
    openedAt: now,
    deliveredAt: null,
    plan: stepOf(rollout).gate ?? { ...DEFAULT_GATE, approvals: rollout.plan.access.approvals },
    heldMs: 0,
    reminders: 0,
    results,
    tests: kind === 'step' ? rollout.tests : [],
    measured: rollout.guard !== null,
    approvals: [],
    decision: null,
  };
  const n = gates.length + 1;
  const messages = [...(open ? [gateKey(open)] : []), `gate:${n}`, 'root'];
  if (kind === 'step' && rollout.guard) messages.push(`chart:${n}`);
  return to(phase, { guard: rollout.guard, gates: [...gates, gate] }, messages);
}

export function halt(rollout: Rollout, stage: PromoteStage, why: string, now: number): Change {
  return ask(rollout, 'halted', [], now, { kind: 'halted', since: now, why, kept: false, stage });
}

/** The stage whose write is made again. */
export function resumeAt(stage: PromoteStage | undefined): PromoteStage {
  if (stage === undefined || stage === 'ready') return 'template';
  return stage === 'confirm' ? 'route' : stage;
}

export function drifted(rollout: Rollout, drift: Drift, now: number): Change {
  const { phase } = rollout;
  switch (phase.kind) {
    case 'queued':
    case 'starting':
      // Nothing to come back to: there may be no canary yet.
      return abort(rollout, { kind: 'not started', message: `${drift.object}: ${drift.difference}` }, now);
    case 'stepping':
    case 'waiting':
      return ask(rollout, 'drift', [], now, { kind: 'drifted', since: now, drift, resume: 'step' });
    case 'promoting':
    case 'halted':
      return ask(rollout, 'drift', [], now, {
        kind: 'drifted',
        since: now,
        drift,
        resume: 'promotion',
        stage: phase.stage ?? 'template',
      });
    default:
      return STALE;
  }
}

/** Only the open gate that the button names can be decided. */
export function atGate(rollout: Rollout, id: string, kind: Gate['kind'], then: (gate: Gate) => Change): Change {
  const gate = openGate(rollout);
  if (gate?.id === id && gate.kind === kind) return then(gate);
  return refuse({ kind: 'gate closed', gate: rollout.gates.find((other) => other.id === id) ?? null });
}

export function changeGate(rollout: Rollout, gate: Gate): Change {
  return { next: { gates: replaceLast(rollout, gate) }, messages: [gateKey(gate), 'root'] };
}

export function decideGate(
  rollout: Rollout,
  gate: Gate,
  decision: GateDecision,
  phase: Phase,
  next: Partial<Rollout> = {},
): Change {
  return to(phase, { ...next, gates: replaceLast(rollout, { ...gate, decision }) }, [gateKey(gate), 'root']);
}

export function approve(
  rollout: Rollout,
  gate: Gate,
  event: Extract<Event, { type: 'approved' }>,
  now: number,
): Change {
  const { actor, reason } = event;
  const { access, requester } = rollout.plan;
  if (access.fourEyes && samePerson(actor, requester)) return refuse({ kind: 'four eyes' });
  const before = gate.approvals.find((approval) => samePerson(approval.actor, actor));
  if (before) return refuse({ kind: 'already approved', at: before.at });
  if (!looksGood(gate) && !reason?.trim()) return refuse({ kind: 'needs reason' });
  const approved = { ...gate, approvals: [...gate.approvals, { actor, at: now, reason }] };
  if (approved.approvals.length < gate.plan.approvals) return changeGate(rollout, approved);
  const decided = { ...approved, decision: { kind: 'approved', actor, at: now } as const };
  const on = advance(rollout, now);
  if ('rejection' in on) return on;
  return { next: { ...on.next, gates: replaceLast(rollout, decided) }, messages: [gateKey(gate), ...on.messages] };
}

function samePerson(a: Rollout['plan']['requester'], b: Rollout['plan']['requester']): boolean {
  return a.kind !== 'system' && a.kind === b.kind && a.user === b.user;
}

/** The weight somebody else set becomes the step's, if it lies between the steps before and after. */
export function accept(rollout: Rollout, gate: Gate, actor: Gate['approvals'][number]['actor'], now: number): Change {
  if (rollout.phase.kind !== 'drifted') return STALE;
  const found = rollout.phase.drift.weight;
  const low = rollout.plan.steps[rollout.step - 1]?.route.weight ?? 0;
  const high = rollout.plan.steps[rollout.step + 1]?.route.weight ?? 100;
  const { access, requester } = rollout.plan;
  // Else the requester could raise the weight by hand and then accept it alone.
  if (access.fourEyes && samePerson(actor, requester)) return refuse({ kind: 'four eyes' });
  // What is promoted carries all traffic.
  const isLast = rollout.step === rollout.plan.steps.length - 1;
  if (isLast && found !== wantedRoute(rollout).weight)
    return refuse({ kind: 'not acceptable', low: high, high, found });
  if (found === null || rollout.phase.resume === 'promotion' || found < low || found > high) {
    return refuse({ kind: 'not acceptable', low, high, found });
  }
  const phase: Phase = { kind: 'stepping', stage: 'scale', since: now, overwrite: true };
  return decideGate(rollout, gate, { kind: 'accepted', actor, at: now }, phase, { acceptedWeight: found });
}
