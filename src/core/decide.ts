/**
 * The one place where a rollout changes: state and event in, next state and messages out. Pure: time is an input, effects
 * follow from the state (`schedule.ts`), so a crash between two events only repeats an idempotent effect.
 */
import {
  abort,
  type Change,
  gateKey,
  inStep,
  type Note,
  refuse,
  replaceLast,
  STALE,
  startStep,
  stepOf,
  to,
} from './change.ts';
import type { Decision, Event, Outgoing, Rejection } from './event.ts';
import { afterConfirm, afterTests, judged, sampled, startGuard } from './evidence.ts';
import { gateDeadline, reminderAt } from './gate.ts';
import { accept, approve, atGate, changeGate, decideGate, drifted, halt, resumeAt } from './gate-changes.ts';
import { hasUsers, STABLE_ROUTE } from './plan.ts';
import { isAbortable, isTerminal, openGate, type Phase, type Rollout, wantedRoute } from './rollout.ts';

export const HOLD_MS = 15 * 60_000;

export const HOLD_LIMIT_MS = 4 * 3_600_000;

type Requested = Extract<Event, { type: 'requested' }>;

/** The rollout as its first event makes it. */
export function begin(
  { id, plan, epoch, disputed }: Requested,
  now: number,
): { rollout: Rollout; messages: readonly Outgoing[] } {
  const rollout: Rollout = {
    id,
    plan,
    version: 1,
    epoch,
    seq: 1,
    requestedAt: now,
    phase: disputed === undefined ? { kind: 'queued', since: now } : { kind: 'succeeded', since: now, disputed },
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
    stalledSince: null,
  };
  if (disputed === undefined) return { rollout, messages: [{ key: 'root' }] };
  const note = { kind: 'disputed', message: disputed } as const;
  return { rollout, messages: [{ key: 'root' }, { key: 'result' }, { key: noteKey(1, now), note }] };
}

/** With the time: a rollout that Redis had lost counts anew, and its old notes still stand in the thread. */
const noteKey = (version: number, now: number) => `note:${version}:${now}`;

/** What a terminal rollout still takes: the news of its own messages, and that its end turns out to be none. */
const AFTER_THE_END: ReadonlySet<Event['type']> = new Set(['message_delivered', 'disputed']);

/** Refuses, as a value, what the state does not allow. */
export function decide(rollout: Rollout, event: Event, now: number): Decision {
  if (isTerminal(rollout) && !AFTER_THE_END.has(event.type)) return no({ kind: 'ended' });
  if ('seq' in event && event.seq !== rollout.seq) return no({ kind: 'stale' });
  const change = react(rollout, event, now);
  if ('rejection' in change) return no(change.rejection);
  const version = rollout.version + 1;
  const seq = change.next.phase ? version : rollout.seq;
  return {
    ok: true,
    rollout: { ...rollout, seq, ...change.next, version },
    messages: change.messages.map((key) =>
      typeof key === 'string' ? { key } : { key: noteKey(version, now), note: key },
    ),
  };
}

const no = (rejection: Rejection): Decision => ({ ok: false, rejection });

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
        const { bakeMs } = stepOf(rollout);
        const guard = rollout.guard ?? (hasUsers({ route, bakeMs }) ? startGuard(rollout.plan, now) : null);
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
    case 'lost':
      // Where people were asked already nothing moves without them.
      if (!isAbortable(rollout) || phase.kind === 'drifted' || phase.kind === 'halted') return STALE;
      return abort(rollout, { kind: 'lost', message: event.message }, now);
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
        // Drawn anew as well: a Redis that went back may wait for an approval whose buttons Slack has taken away.
        messages: [gateKey(gate), { kind: 'reminder', gate: gate.id, count }],
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
      return cooled({ ...phase, ...(event.recalled && { recalled: true }) }, now);
    case 'cleaned':
      if (phase.kind === 'promoting' && phase.stage === 'clean')
        return event.disputed === undefined ? to({ kind: 'succeeded', since: now }) : inDispute(event.disputed, now);
      if (phase.kind === 'aborting' && phase.stage === 'clean') {
        const { cause, from, foreign } = phase;
        return to({ kind: 'aborted', since: now, cause, from, ...(foreign && { foreign }) });
      }
      return STALE;
    case 'disputed':
      if (phase.kind !== 'succeeded' || phase.disputed !== undefined) return STALE;
      return inDispute(event.message, phase.since);
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
    case 'reverted': {
      if (phase.kind !== 'aborting' || phase.stage !== 'route') return STALE;
      const { rolling, ...rest } = phase;
      return to(
        // The slow roll-back that people heard of is over: of what follows they hear anew.
        { ...rest, stage: 'fence', since: now, stalled: rest.stalled && !rolling },
        { route: STABLE_ROUTE, routeSeq: event.seq, guard: null },
        [],
      );
    }
    case 'refenced':
      if (phase.kind !== 'aborting' || phase.stage !== 'fence') return STALE;
      return to({ ...phase, stage: 'cool', since: now }, {}, ['result', 'root']);
    case 'abort_stalled': {
      // A fault is told after a slow roll-back was, too; each once.
      if (phase.kind !== 'aborting' || (phase.stalled && (event.rolling || !phase.rolling))) return STALE;
      const { rolling: _, ...rest } = phase;
      // Keeps `seq`: the write that is being retried stays the same write.
      return {
        next: { seq: rollout.seq, phase: { ...rest, stalled: true, ...(event.rolling && { rolling: true }) } },
        messages: [{ kind: 'abort stalled', message: event.message, ...(event.rolling && { rolling: true }) }, 'root'],
      };
    }
    case 'stalled':
      if (phase.kind === 'aborting' || rollout.stalledSince) return STALE;
      return {
        next: { stalledSince: event.since },
        messages: [{ kind: 'stalled', since: event.since, message: event.message }, 'root'],
      };
    case 'resumed':
      if (!rollout.stalledSince) return STALE;
      return {
        next: { stalledSince: null },
        messages: [{ kind: 'resumed', ms: now - rollout.stalledSince }, 'root'],
      };
    case 'message_delivered':
      return delivered(rollout, event.key, event.ts, now);
    default:
      return event satisfies never;
  }
}

function cooled(phase: Phase, now: number): Change {
  if (phase.kind === 'promoting' && phase.stage === 'cool') return to({ ...phase, stage: 'clean', since: now }, {}, []);
  if (phase.kind === 'aborting' && phase.stage === 'cool') return to({ ...phase, stage: 'clean', since: now }, {}, []);
  return STALE;
}

/** The result said that all traffic is on the new version. */
const inDispute = (message: string, since: number): Change =>
  to({ kind: 'succeeded', since, disputed: message }, {}, ['result', 'root', { kind: 'disputed', message }]);

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
