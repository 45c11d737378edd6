/**
 * The one place where a rollout changes: state and event in, next state and messages out. Pure: time is an input, effects
 * follow from the state (`schedule.ts`), so a crash between two events only repeats an idempotent effect.
 */
import { type CheckResult, countFailures, tripped } from './analysis.ts';
import { type GatePlan, type Plan, STABLE_ROUTE } from './plan.ts';
import {
  type AbortCause,
  type Decision,
  type Drift,
  type Event,
  type Gate,
  type GateDecision,
  type Guard,
  gateDeadline,
  isAbortable,
  isTerminal,
  looksGood,
  type Outgoing,
  openGate,
  type Phase,
  type PromoteStage,
  type Rejection,
  type Rollout,
  reminderAt,
  wantedRoute,
} from './rollout.ts';

export const HOLD_MS = 15 * 60_000;
export const HOLD_LIMIT_MS = 4 * 3_600_000;
const DEFAULT_GATE: Omit<GatePlan, 'approvals'> = { timeoutMs: 4 * 3_600_000, onTimeout: 'abort' };

type Requested = Extract<Event, { type: 'requested' }>;

/** The rollout as its first event makes it. */
export function begin(
  { id, plan, epoch }: Requested,
  now: number,
): { rollout: Rollout; messages: readonly Outgoing[] } {
  const rollout: Rollout = {
    id,
    plan,
    version: 1,
    epoch,
    seq: 1,
    requestedAt: now,
    phase: { kind: 'queued', since: now },
    step: 0,
    route: STABLE_ROUTE,
    routeSeq: 0,
    confirmed: false,
    journal: {},
    acceptedWeight: null,
    guard: null,
    tests: [],
    gates: [],
    messages: {},
    warnings: plan.warnings,
  };
  return { rollout, messages: [{ key: 'root' }] };
}

/** Refuses, as a value, what the state does not allow; a terminal rollout takes only the news of its own messages. */
export function decide(rollout: Rollout, event: Event, now: number): Decision {
  if (isTerminal(rollout) && event.type !== 'message_delivered') return no({ kind: 'ended' });
  if ('seq' in event && event.seq !== rollout.seq) return no({ kind: 'stale' });
  const change = react(rollout, event, now);
  if ('rejection' in change) return no(change.rejection);
  const version = rollout.version + 1;
  const seq = change.next.phase ? version : rollout.seq;
  return {
    ok: true,
    rollout: { ...rollout, seq, ...change.next, version },
    messages: change.messages.map((key) => (typeof key === 'string' ? { key } : { key: `note:${version}`, note: key })),
  };
}

type Note = NonNullable<Outgoing['note']>;
type Change =
  | { readonly next: Partial<Rollout>; readonly messages: readonly (string | Note)[] }
  | { readonly rejection: Rejection };

const no = (rejection: Rejection): Decision => ({ ok: false, rejection });
const refuse = (rejection: Rejection): Change => ({ rejection });
const to = (phase: Phase, next: Partial<Rollout> = {}, messages: readonly (string | Note)[] = ['root']): Change => ({
  next: { ...next, phase },
  messages,
});
/** An answer that came to a stage which does not ask for it. */
const STALE = refuse({ kind: 'stale' });

function react(rollout: Rollout, event: Event, now: number): Change {
  const { phase } = rollout;
  switch (event.type) {
    case 'requested':
      return STALE;
    case 'claimed':
      if (phase.kind !== 'queued') return STALE;
      return to({ kind: 'starting', stage: 'create', since: now }, { journal: event.journal });
    case 'created':
      if (phase.kind !== 'starting' || phase.stage !== 'create') return STALE;
      return to({ kind: 'starting', stage: 'ready', since: now });
    case 'canary_ready':
      if (phase.kind === 'stepping' && phase.stage === 'ready')
        return to({ ...phase, stage: 'route', since: now }, {}, []);
      if (phase.kind !== 'starting' || phase.stage !== 'ready') return STALE;
      return rollout.messages.root === undefined
        ? to({ kind: 'starting', stage: 'announce', since: now }, {}, [])
        : startStep(0, now);
    case 'start_failed':
      if (phase.kind !== 'queued' && phase.kind !== 'starting' && phase.kind !== 'stepping') return STALE;
      return abort(rollout, { kind: 'not started', message: event.message }, now);
    case 'scaled':
      if (phase.kind !== 'stepping' || phase.stage !== 'scale') return STALE;
      return to({ ...phase, stage: 'ready', since: now }, {}, []);
    case 'routed':
      if (phase.kind === 'promoting' && phase.stage === 'route') {
        return to(
          { kind: 'promoting', stage: 'confirm', since: now },
          { route: STABLE_ROUTE, routeSeq: event.seq, guard: null },
        );
      }
      return inStep(phase, 'route', () => {
        const route = wantedRoute(rollout);
        const flows = route.weight > 0 || (route.mirror ?? 0) > 0;
        const guard = rollout.guard ?? (flows ? startGuard(rollout.plan, now) : null);
        return to({ kind: 'stepping', stage: 'confirm', since: now }, { route, routeSeq: event.seq, guard });
      });
    case 'confirmed': {
      const said: (string | Note)[] = event.warning === null ? [] : [{ kind: 'unconfirmed', message: event.warning }];
      const confirmed = rollout.confirmed || event.warning === null;
      if (phase.kind === 'promoting' && phase.stage === 'confirm') {
        return to({ kind: 'promoting', stage: 'cool', since: now }, { confirmed }, ['result', 'root', ...said]);
      }
      return inStep(phase, 'confirm', () => to(afterConfirm(rollout, now), { tests: [], confirmed }, said));
    }
    case 'tested':
      return inStep(phase, 'test', () => {
        // No pod that answers is no success.
        const unasked = rollout.plan.tests.map(({ name }) => ({ test: name, passed: false, detail: 'not asked' }));
        return to(afterTests(rollout, now), { tests: event.results.length > 0 ? event.results : unasked }, []);
      });
    case 'baked':
      return inStep(phase, 'bake', () => to({ kind: 'stepping', stage: 'judge', since: now }, {}, []));
    case 'judged':
      return inStep(phase, 'judge', () => judged(rollout, event.results, now));
    case 'sampled':
      return event.epoch === rollout.epoch && rollout.guard
        ? sampled(rollout, rollout.guard, event.results, now)
        : STALE;
    case 'drifted':
      return drifted(rollout, event.drift, now);
    case 'write_refused':
      if (phase.kind === 'aborting' || phase.kind === 'drifted' || phase.kind === 'halted') return STALE;
      if (phase.kind === 'promoting') return halt(rollout, phase.stage, event.message, now);
      return abort(rollout, { kind: 'refused by the cluster', message: event.message }, now);
    case 'approved':
      return atGate(rollout, event.gate, 'step', (gate) => approve(rollout, gate, event, now));
    case 'held':
      return atGate(rollout, event.gate, 'step', (gate) => {
        if (gate.heldMs + HOLD_MS > HOLD_LIMIT_MS) return refuse({ kind: 'hold limit' });
        return changeGate(rollout, { ...gate, heldMs: gate.heldMs + HOLD_MS });
      });
    case 'gate_reminded': {
      const gate = openGate(rollout);
      if (gate?.id !== event.gate || now < (reminderAt(gate) ?? Number.POSITIVE_INFINITY)) return STALE;
      const count = gate.reminders + 1;
      return {
        next: { gates: replaceLast(rollout, { ...gate, reminders: count }) },
        messages: [{ kind: 'reminder', gate: gate.id, count }],
      };
    }
    case 'gate_expired':
      return atGate(rollout, event.gate, 'step', (gate) => {
        // Somebody may have pressed Hold since the expiry was seen.
        if (gate.plan.onTimeout !== 'abort' || now < (gateDeadline(gate) ?? Number.POSITIVE_INFINITY)) return STALE;
        return abort(rollout, { kind: 'expired', gate: gate.id }, now);
      });
    case 'reapplied':
      return atGate(rollout, event.gate, 'drift', (gate) => {
        const resumed: Phase =
          phase.kind === 'drifted' && phase.resume === 'promotion'
            ? { kind: 'promoting', stage: resumeAt(phase.stage), since: now, overwrite: true }
            : { kind: 'stepping', stage: 'scale', since: now, overwrite: true };
        return decideGate(rollout, gate, { kind: 're-applied', actor: event.actor, at: now }, resumed);
      });
    case 'accepted':
      return atGate(rollout, event.gate, 'drift', (gate) => accept(rollout, gate, event.actor, now));
    case 'retried':
      return atGate(rollout, event.gate, 'halted', (gate) =>
        decideGate(
          rollout,
          gate,
          { kind: 'retried', actor: event.actor, at: now },
          { kind: 'promoting', stage: resumeAt(phase.kind === 'halted' ? phase.stage : undefined), since: now },
        ),
      );
    case 'kept':
      if (phase.kind !== 'halted') return STALE;
      return atGate(rollout, event.gate, 'halted', (gate) => ({
        next: { phase: { ...phase, kept: true } },
        messages: [gateKey(gate), 'root'],
      }));
    case 'template_set':
      if (phase.kind !== 'promoting' || phase.stage !== 'template') return STALE;
      return to({ kind: 'promoting', stage: 'ready', since: now });
    case 'stable_ready':
      if (phase.kind !== 'promoting' || phase.stage !== 'ready') return STALE;
      return to({ kind: 'promoting', stage: 'route', since: now });
    case 'promotion_late':
      if (phase.kind !== 'promoting' || phase.stage !== 'ready') return STALE;
      return halt(rollout, phase.stage, event.message, now);
    case 'cooled':
      return cooled(phase, now);
    case 'cool_down_cut':
      if (phase.kind !== 'promoting' || phase.stage !== 'cool') return STALE;
      return cooled(phase, now);
    case 'cleaned':
      if (phase.kind === 'promoting' && phase.stage === 'clean') return to({ kind: 'succeeded', since: now });
      if (phase.kind === 'aborting' && phase.stage === 'clean') {
        return to({ kind: 'aborted', since: now, cause: phase.cause, from: phase.from });
      }
      return STALE;
    case 'abort_requested':
      if (phase.kind === 'aborting') {
        if (event.epoch <= rollout.epoch) return refuse({ kind: 'already aborting' });
        // The cluster is ahead of Redis: the same abort once more, above what was found there.
        const demote = phase.demote || event.cause.kind === 'fenced';
        return to({ ...phase, stage: 'route', since: now, demote }, { epoch: event.epoch }, []);
      }
      if (!isAbortable(rollout)) return refuse({ kind: 'already promoted' });
      return abort(rollout, event.cause, now, Math.max(event.epoch, rollout.epoch + 1));
    case 'overtaken':
      if (phase.kind !== 'promoting' || isAbortable(rollout) || event.epoch <= rollout.epoch) return STALE;
      return to({ ...phase, since: now }, { epoch: event.epoch }, []);
    case 'reverted':
      if (phase.kind !== 'aborting' || phase.stage !== 'route') return STALE;
      return to(
        { ...phase, stage: 'fence', since: now },
        { route: STABLE_ROUTE, routeSeq: event.seq, guard: null },
        [],
      );
    case 'refenced':
      if (phase.kind !== 'aborting' || phase.stage !== 'fence') return STALE;
      return to({ ...phase, stage: 'cool', since: now }, {}, ['result', 'root']);
    case 'abort_stalled':
      if (phase.kind !== 'aborting' || phase.stalled) return STALE;
      // Keeps `seq`: the write that is being retried stays the same write.
      return {
        next: { seq: rollout.seq, phase: { ...phase, stalled: true } },
        messages: [{ kind: 'abort stalled', message: event.message }, 'root'],
      };
    case 'message_delivered':
      return delivered(rollout, event.key, event.ts, now);
    default:
      return event satisfies never;
  }
}

function inStep(phase: Phase, stage: string, then: () => Change): Change {
  return phase.kind === 'stepping' && phase.stage === stage ? then() : STALE;
}

function startStep(step: number, now: number): Change {
  return to({ kind: 'stepping', stage: 'scale', since: now }, { step, acceptedWeight: null, tests: [] });
}

/** After the last step comes the promotion. */
function advance(rollout: Rollout, now: number): Change {
  return rollout.step + 1 < rollout.plan.steps.length
    ? startStep(rollout.step + 1, now)
    : to({ kind: 'promoting', stage: 'template', since: now });
}

function stepOf(rollout: Rollout) {
  const step = rollout.plan.steps[rollout.step];
  if (!step) throw new Error(`rollout ${rollout.id} has no step ${rollout.step}`);
  return step;
}

function afterConfirm(rollout: Rollout, now: number): Phase {
  return stepOf(rollout).test && rollout.plan.tests.length > 0
    ? { kind: 'stepping', stage: 'test', since: now }
    : afterTests(rollout, now);
}

function afterTests(rollout: Rollout, now: number): Phase {
  return { kind: 'stepping', stage: stepOf(rollout).bakeMs > 0 ? 'bake' : 'judge', since: now };
}

function startGuard(plan: Plan, now: number): Guard {
  const next = Object.fromEntries(plan.checks.map((check) => [check.name, now + check.intervalMs]));
  return { since: now, next, failures: {}, last: [] };
}

/** Takes the results in; when a check fails too often the change is the abort. */
function weigh(rollout: Rollout, guard: Guard, results: readonly CheckResult[], now: number): Guard | Change {
  // A judgement just after a sample sees nearly the same window: only what was due counts as one more failure.
  const due = results.filter(({ check, verdict }) => verdict === 'pass' || (guard.next[check] ?? 0) <= now);
  const failures = countFailures(guard.failures, due);
  const measured = new Map(results.map((result) => [result.check, result]));
  const before = new Map(guard.last.map((result) => [result.check, result]));
  const last = rollout.plan.checks.flatMap((check) => measured.get(check.name) ?? before.get(check.name) ?? []);
  const bad = tripped(rollout.plan.checks, failures);
  // Halted means that nothing moves without a person.
  const moves = isAbortable(rollout) && rollout.phase.kind !== 'halted';
  if (bad && moves) return abort(rollout, { kind: 'check', check: bad.name, results: last }, now);
  const next = { ...guard.next };
  for (const check of rollout.plan.checks) {
    if (measured.has(check.name) && (next[check.name] ?? 0) <= now) next[check.name] = now + check.intervalMs;
  }
  return { ...guard, failures, last, next };
}

const verdicts = (results: readonly CheckResult[]) =>
  results.map((result) => `${result.check} ${result.verdict}`).join();

function sampled(rollout: Rollout, guard: Guard, results: readonly CheckResult[], now: number): Change {
  // Two replicas may measure at once: what is not due was counted already.
  const due = results.filter(({ check }) => (guard.next[check] ?? Number.POSITIVE_INFINITY) <= now);
  if (due.length === 0) return STALE;
  const weighed = weigh(rollout, guard, due, now);
  if (!('since' in weighed)) return weighed;
  const gate = openGate(rollout);
  if (gate?.kind !== 'step') return { next: { guard: weighed }, messages: [] };
  const seen = { ...gate, results: weighed.last };
  // An edit for each sample would eat Slack's rate: only a changed verdict is worth one.
  const changed = verdicts(gate.results) !== verdicts(weighed.last);
  return { next: { guard: weighed, gates: replaceLast(rollout, seen) }, messages: changed ? [gateKey(gate)] : [] };
}

function judged(rollout: Rollout, results: readonly CheckResult[], now: number): Change {
  const all = rollout.plan.checks.map(({ name }) => results.find(({ check }) => check === name) ?? unmeasured(name));
  const weighed = rollout.guard ? weigh(rollout, rollout.guard, all, now) : null;
  if (weighed && !('since' in weighed)) return weighed;
  const evidence = { ...rollout, guard: weighed };
  const good = rollout.tests.every((test) => test.passed) && (weighed?.last ?? []).every((r) => r.verdict === 'pass');
  if (stepOf(rollout).gate === null && good) {
    const on = advance(evidence, now);
    return 'next' in on ? { ...on, next: { guard: weighed, ...on.next } } : on;
  }
  return ask(evidence, 'step', weighed?.last ?? [], now, { kind: 'waiting', since: now });
}

/** A check that was asked for and not answered is no success either. */
function unmeasured(check: string): CheckResult {
  const missing = { missing: 'not measured' };
  return { check, canary: missing, stable: missing, requests: null, verdict: 'no data' };
}

function drifted(rollout: Rollout, drift: Drift, now: number): Change {
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

function halt(rollout: Rollout, stage: PromoteStage, why: string, now: number): Change {
  return ask(rollout, 'halted', [], now, { kind: 'halted', since: now, why, kept: false, stage });
}

/** The stage whose write is made again. */
function resumeAt(stage: PromoteStage | undefined): PromoteStage {
  if (stage === undefined || stage === 'ready') return 'template';
  return stage === 'confirm' ? 'route' : stage;
}

/** Opens a gate; one that is still open is superseded. */
function ask(rollout: Rollout, kind: Gate['kind'], results: readonly CheckResult[], now: number, phase: Phase): Change {
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

const gateKey = (gate: Gate) => `gate:${gate.id.slice(gate.id.lastIndexOf('.') + 1)}`;

function replaceLast(rollout: Rollout, gate: Gate): readonly Gate[] {
  return [...rollout.gates.slice(0, -1), gate];
}

/** Only the open gate that the button names can be decided. */
function atGate(rollout: Rollout, id: string, kind: Gate['kind'], then: (gate: Gate) => Change): Change {
  const gate = openGate(rollout);
  if (gate?.id === id && gate.kind === kind) return then(gate);
  return refuse({ kind: 'gate closed', gate: rollout.gates.find((other) => other.id === id) ?? null });
}

function changeGate(rollout: Rollout, gate: Gate): Change {
  return { next: { gates: replaceLast(rollout, gate) }, messages: [gateKey(gate), 'root'] };
}

function decideGate(
  rollout: Rollout,
  gate: Gate,
  decision: GateDecision,
  phase: Phase,
  next: Partial<Rollout> = {},
): Change {
  return to(phase, { ...next, gates: replaceLast(rollout, { ...gate, decision }) }, [gateKey(gate), 'root']);
}

function approve(rollout: Rollout, gate: Gate, event: Extract<Event, { type: 'approved' }>, now: number): Change {
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
function accept(rollout: Rollout, gate: Gate, actor: Gate['approvals'][number]['actor'], now: number): Change {
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

function cooled(phase: Phase, now: number): Change {
  if (phase.kind === 'promoting' && phase.stage === 'cool') return to({ ...phase, stage: 'clean', since: now }, {}, []);
  if (phase.kind === 'aborting' && phase.stage === 'cool') return to({ ...phase, stage: 'clean', since: now }, {}, []);
  return STALE;
}

function delivered(rollout: Rollout, key: string, ts: string, now: number): Change {
  const messages = { ...rollout.messages, [key]: ts };
  if (key === 'root' && rollout.phase.kind === 'starting' && rollout.phase.stage === 'announce') {
    const first = startStep(0, now);
    return 'next' in first ? { ...first, next: { ...first.next, messages } } : first;
  }
  const gate = openGate(rollout);
  if (gate && gateKey(gate) === key && gate.deliveredAt === null) {
    return { next: { messages, gates: replaceLast(rollout, { ...gate, deliveredAt: now }) }, messages: [] };
  }
  return { next: { messages }, messages: [] };
}

/** Enters the abort; an open gate closes with it. The epoch rises so that no older write can land. */
function abort(rollout: Rollout, cause: AbortCause, now: number, epoch = rollout.epoch + 1): Change {
  const { phase } = rollout;
  const gate = openGate(rollout);
  const actor = cause.kind === 'person' ? cause.actor : ({ kind: 'system' } as const);
  const kind = cause.kind === 'expired' ? 'expired' : 'aborted';
  const gates = gate ? replaceLast(rollout, { ...gate, decision: { kind, actor, at: now } }) : rollout.gates;
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
      demote: inPromotion || cause.kind === 'fenced',
      stalled: false,
    },
    { epoch, gates },
    [...(gate ? [gateKey(gate)] : []), 'root'],
  );
}

/** What a rollout was doing, to be read after "aborted". */
export function describePhase(rollout: Rollout): string {
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
