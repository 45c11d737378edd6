/**
 * The machine against the invariants of traffic safety: random stories (fast-check), and every state that two workers with
 * late, lost and repeated answers can reach in a modelled cluster (a small model check).
 */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Verdict } from '../../src/core/analysis.ts';
import { begin, decide } from '../../src/core/decide.ts';
import type { Event } from '../../src/core/event.ts';
import type { Gate } from '../../src/core/gate.ts';
import { type Actor, type Plan, STABLE_ROUTE } from '../../src/core/plan.ts';
import { isAbortable, isTerminal, openGate, type Rollout } from '../../src/core/rollout.ts';
import { type Effect, next, nextLook } from '../../src/core/schedule.ts';
import {
  AT,
  abortBy,
  aCheck,
  ann,
  aPlan,
  aStep,
  bob,
  drift,
  fenced,
  gatePlan,
  goodAnswer,
  HOUR,
  label,
  previewStep,
  replay,
  requester,
  results,
  SECOND,
  START,
  type Told,
} from './support.ts';

function holds(claim: boolean, what: string): asserts claim {
  if (!claim) throw new Error(what);
}

/** How many steps people have let through, in order; a step without a gate of its own counts with its evidence. */
const approvedSteps = (gates: readonly Gate[]) =>
  new Set(
    gates.flatMap(({ kind, step, decision }) => (kind === 'step' && decision?.kind === 'approved' ? [step] : [])),
  );

const VERDICTS: readonly Verdict[] = ['pass', 'fail', 'no data'];

// ---- random stories ------------------------------------------------------------------------------------------------

const pair = { ...gatePlan, approvals: 2 };
const PLANS: readonly Plan[] = [
  aPlan(),
  aPlan({
    steps: [previewStep, aStep(10, { gate: pair }), aStep(100)],
    checks: [aCheck('a'), aCheck('b', { fails: 1 })],
  }),
  aPlan({ steps: [aStep(10, { gate: null, test: true }), aStep(50, { gate: null, bakeMs: 0 }), aStep(100)] }),
  aPlan({ steps: [aStep(100, { gate: { ...gatePlan, onTimeout: 'hold' } })], checks: [], tests: [] }),
];

const people = fc.constantFrom<Actor>(ann, ann, bob, requester);
const ANSWERS = [
  'claimed',
  'created',
  'canary_ready',
  'scaled',
  'routed',
  'confirmed',
  'tested',
  'baked',
  'judged',
  'template_set',
  'stable_ready',
  'cooled',
  'cleaned',
  'reverted',
  'refenced',
] as const;

const BUTTONS = ['held', 'reapplied', 'accepted', 'retried', 'kept'] as const;
const TROUBLES = ['start_failed', 'write_refused', 'promotion_late', 'abort_stalled'] as const;

const often = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary });
const moves = fc.oneof(
  often(
    120,
    fc.record({
      do: fc.constant('work'),
      verdict: fc.constantFrom<Verdict>(...VERDICTS, ...Array<Verdict>(12).fill('pass')),
    }),
  ),
  often(40, fc.record({ do: fc.constant('approve'), who: people, reason: fc.boolean(), old: fc.boolean() })),
  often(30, fc.record({ do: fc.constant('repeat'), back: fc.nat(6) })),
  often(20, fc.record({ do: fc.constant('answer'), type: fc.constantFrom(...ANSWERS), back: fc.nat(3) })),
  often(30, fc.record({ do: fc.constant('pass'), ms: fc.constantFrom(SECOND, 15 * SECOND, HOUR) })),
  often(3, fc.record({ do: fc.constant('drift'), weight: fc.constantFrom(null, 0, 5, 30, 70, 100) })),
  often(15, fc.record({ do: fc.constant('press'), type: fc.constantFrom(...BUTTONS), who: people })),
  often(2, fc.record({ do: fc.constant('trouble'), type: fc.constantFrom(...TROUBLES) })),
  often(4, fc.record({ do: fc.constant('stand still'), over: fc.boolean() })),
  often(10, fc.record({ do: fc.constant('deliver'), key: fc.constantFrom('root', 'gate:1', 'gate:2', 'gate:3') })),
  often(1, fc.record({ do: fc.constant('abort'), who: people, fenced: fc.boolean(), epoch: fc.nat(12) })),
);
type Move = typeof moves extends fc.Arbitrary<infer T> ? T : never;

/** Any answer with any seq, whether it was asked for or not. */
function anyAnswer(type: (typeof ANSWERS)[number], seq: number, rollout: Rollout): Event {
  switch (type) {
    case 'claimed':
      return { type, seq, journal: {} };
    case 'confirmed':
      return { type, seq, warning: null };
    case 'tested':
      return { type, seq, results: [] };
    case 'judged':
      return { type, seq, results: results(rollout, 'pass') };
    default:
      return { type, seq };
  }
}

function eventOf(move: Move, rollout: Rollout, now: number, told: readonly Told[]): Event | null {
  const { seq } = rollout;
  const gate = openGate(rollout)?.id ?? rollout.gates.at(-1)?.id ?? 'none';
  switch (move.do) {
    case 'work': {
      if (label(rollout.phase) === 'starting announce') return { type: 'message_delivered', key: 'root', ts: '1' };
      const wish = next(rollout, now);
      if (wish.kind === 'wait') return null;
      return wish.kind === 'event' ? wish.event : goodAnswer(wish.effect, rollout, move.verdict);
    }
    case 'approve': {
      const id = move.old ? (rollout.gates.at(-2)?.id ?? 'none') : gate;
      return { type: 'approved', gate: id, actor: move.who, reason: move.reason ? 'seen' : null };
    }
    case 'repeat':
      return told.at(-1 - move.back)?.event ?? null;
    case 'answer':
      return anyAnswer(move.type, seq - move.back, rollout);
    case 'pass':
      return null;
    case 'drift':
      return { type: 'drifted', seq, drift: drift(move.weight) };
    case 'press':
      return { type: move.type, gate, actor: move.who };
    case 'trouble':
      return { type: move.type, seq, message: 'no' };
    case 'stand still':
      return move.over ? { type: 'resumed', seq } : { type: 'stalled', seq, since: now, message: 'no' };
    case 'deliver':
      return { type: 'message_delivered', key: move.key, ts: '1' };
    case 'abort':
      return move.fenced
        ? { type: 'abort_requested', cause: fenced, epoch: move.epoch }
        : abortBy(move.who, move.epoch);
    default:
      return move satisfies never;
  }
}

const quiet = new Set<Effect['kind']>(['revert', 'raise epoch', 'clean up']);

/** What must be true after each single transition, whatever came before. */
function checkTransition(before: Rollout, event: Event, after: Rollout): void {
  holds(after.version === before.version + 1, 'I9: every event counts one version');
  holds(
    after.epoch >= before.epoch && after.seq <= after.version && after.seq >= before.seq,
    'I8: epoch and seq never fall',
  );
  if (isTerminal(before)) holds(event.type === 'message_delivered', `I6: ${event.type} was taken after the end`);
  const wasAborting = before.phase.kind === 'aborting';
  const aborting = after.phase.kind === 'aborting';
  if (event.type === 'stalled' || event.type === 'resumed') {
    const told = { version: after.version, stalledSince: after.stalledSince };
    holds(isDeepStrictEqual(after, { ...before, ...told }), 'what only tells changes nothing else');
  }
  if (aborting && !wasAborting) {
    holds(after.epoch > before.epoch, 'an abort raises the epoch');
    const promoted = 'stage' in before.phase && ['route', 'confirm', 'cool', 'clean'].includes(before.phase.stage);
    holds(!promoted || before.phase.kind === 'stepping', 'aborted after stable served the new version');
  }
  if (wasAborting) holds(aborting || after.phase.kind === 'aborted', 'I2: nothing leads out of an abort');

  // I4: a decision is made once, and only the last gate can be open.
  holds(
    after.gates.slice(0, -1).every(({ decision }) => decision !== null),
    'I4: at most one gate is open',
  );
  before.gates.forEach((gate, n) => {
    if (gate.decision) holds(after.gates[n] === gate, 'I4: a decided gate never changes');
  });
  const asks = ['waiting', 'drifted', 'halted'].includes(after.phase.kind);
  holds(asks === (openGate(after) !== null), 'a gate is open exactly while people are asked');

  // I3, I5, I11: how a rollout gets on.
  const { plan } = before;
  holds(after.step === before.step || after.step === before.step + 1, 'I3: no step is skipped');
  const promotes = after.phase.kind === 'promoting' && !['promoting', 'drifted', 'halted'].includes(before.phase.kind);
  if (after.step > before.step || promotes) {
    const byPeople = event.type === 'approved';
    const byEvidence =
      event.type === 'judged' &&
      plan.steps[before.step]?.gate === null &&
      (before.guard === null ||
        plan.checks.every(({ name }) => event.results.some((r) => r.check === name && r.verdict === 'pass'))) &&
      before.tests.every(({ passed }) => passed);
    holds(byPeople || byEvidence, `I11: ${event.type} let a step go on`);
    if (promotes) holds(before.step === plan.steps.length - 1, 'promotion comes after the last step');
  }
  if (event.type === 'sampled') holds(after.step === before.step, 'I11: a sample never lets a step go on');
}

function checkState(rollout: Rollout, now: number): void {
  const { plan, gates, phase } = rollout;
  for (const gate of gates) {
    if (gate.decision?.kind !== 'approved') continue;
    const users = gate.approvals.map(({ actor }) => (actor.kind === 'system' ? 'system' : actor.user));
    holds(
      new Set(users).size === users.length && users.length >= gate.plan.approvals,
      'I4: a quorum of distinct people',
    );
    holds(!gate.approvals.some(({ actor }) => isDeepStrictEqual(actor, requester)), 'I4: four eyes');
  }
  const wish = next(rollout, now);
  if (wish.kind === 'effect' && wish.effect.kind === 'set route') {
    const { weight } = wish.effect.route;
    const approved = approvedSteps(gates);
    for (let step = 0; step < rollout.step; step++) {
      if (plan.steps[step]?.gate)
        holds(approved.has(step), `I5: step ${rollout.step} routes, step ${step} was never approved`);
    }
    const low = plan.steps[rollout.step - 1]?.route.weight ?? 0;
    const high = plan.steps[rollout.step + 1]?.route.weight ?? 100;
    if (rollout.acceptedWeight === null)
      holds(weight === plan.steps[rollout.step]?.route.weight, 'I3: the planned weight');
    else holds(weight >= low && weight <= high, 'I3: an accepted weight lies between its neighbours');
  }
  if (phase.kind === 'aborting') {
    const harmless = wish.kind !== 'effect' || quiet.has(wish.effect.kind);
    holds(harmless, 'I2: an abort wants nothing but stable');
  }
  if (isTerminal(rollout)) {
    holds(
      isDeepStrictEqual(rollout.route, STABLE_ROUTE) && rollout.guard === null,
      'I6: ended with all traffic on stable',
    );
    holds(openGate(rollout) === null && nextLook(rollout) === null && wish.kind === 'wait', 'I6: ended wants nothing');
  }
  const look = nextLook(rollout);
  if (look === null || look > now) {
    const later = look === null ? now + 99 * HOUR : look - 1;
    holds(isDeepStrictEqual(next(rollout, later), wish), 'looked at too late');
  } else holds(wish.kind !== 'wait', 'looked at for nothing');
}

/** What goes on when all is well and people approve. */
function wellDone(rollout: Rollout, now: number): Event | null {
  const gate = openGate(rollout);
  if (!gate) return eventOf({ do: 'work', verdict: 'pass' }, rollout, now, []);
  return { type: 'approved', gate: gate.id, actor: gate.approvals.length > 0 ? bob : ann, reason: 'seen' };
}

it('random stories keep every invariant, and replay to the same state', () => {
  const reached = new Map<string, number>();
  const stories = fc.record({
    plan: fc.constantFrom(...PLANS),
    /** So many turns go well before the story takes its own ways. */
    calm: fc.nat(50),
    wild: fc.array(moves, { maxLength: 50, size: 'max' }),
  });
  const tell = ({ plan, calm, wild }: typeof stories extends fc.Arbitrary<infer T> ? T : never) => {
    const requested = { type: 'requested', id: 'world-1', plan, epoch: 7 } as const;
    let { rollout } = begin(requested, START);
    let now = START;
    const told: Told[] = [{ event: requested, at: START }];
    for (const move of [...Array<null>(calm).fill(null), ...wild]) {
      now += move?.do === 'pass' ? move.ms : 1;
      if ((!move || move.do === 'work') && next(rollout, now).kind === 'wait')
        now = Math.max(now, nextLook(rollout) ?? now);
      const event = move ? eventOf(move, rollout, now, told) : wellDone(rollout, now);
      if (!event) continue;
      const decided = decide(rollout, event, now);
      if (!decided.ok) continue;
      checkTransition(rollout, event, decided.rollout);
      ({ rollout } = decided);
      told.push({ event, at: now });
      checkState(rollout, now);
    }
    holds(isDeepStrictEqual(replay(told), rollout), 'I14: the same events give the same rollout');
    reached.set(label(rollout.phase), (reached.get(label(rollout.phase)) ?? 0) + 1);
  };
  fc.assert(fc.property(stories, tell), { numRuns: 20_000 });
  // Not vacuous: the stories end everywhere.
  for (const phase of [
    'stepping judge',
    'waiting',
    'drifted',
    'halted',
    'promoting ready',
    'promoting clean',
    'succeeded',
    'aborted',
  ]) {
    expect(reached.get(phase) ?? 0, phase).toBeGreaterThan(5);
  }
}, 60_000);

// ---- every reachable state -----------------------------------------------------------------------------------------

/*
 * Modelled: one rollout with the real `decide` and `next`; a route, a stable Deployment and a canary behind the fence; two
 * workers that each read what is wanted, write, and tell, with any pause in between. A worker may die (crash) before its write,
 * between write and answer, and after its answer was recorded, so that it is told again; it starts anew from what is recorded.
 * People approve, with old buttons too, decide about drift and halts, and abort at any time; one hand may change the route;
 * samples, tests and pods may say anything. Time is reduced to what is due and what has ended. Not modelled: Redis that goes
 * back in time and aborts that are made without it (app and faults), two rollouts of one service (the store's lock).
 */

/** What one fenced object carries. `foreign`: somebody else wrote it last. */
type Marks = { readonly epoch: number; readonly seq: number };
type Cluster = {
  readonly route: Marks & { readonly weight: number; readonly foreign: boolean };
  readonly stable: Marks & { readonly template: 'old' | 'new' };
  /** Weight that the canary is large enough for; null: there is none. */
  readonly canary: number | null;
};

/** A worker between two awaits: it was sent for an effect, or carries an answer home. It may stop there for ever. */
type Worker =
  | { readonly is: 'idle' }
  | { readonly is: 'sent'; readonly effect: Effect; readonly from: Rollout }
  | { readonly is: 'back'; readonly event: Event };

type State = {
  readonly rollout: Rollout;
  readonly cluster: Cluster;
  readonly workers: readonly Worker[];
  /** Whether somebody may change the route by hand once, and whether it has happened. */
  readonly hand: boolean;
  readonly meddled: boolean;
};
type Edge = { readonly to: State; readonly by: 'machine' | 'people' | 'trouble' };

/** Writes race; looking does not, so its answer is at hand at once (and may still come home late). */
const WRITES = new Set<Effect['kind']>([
  'claim',
  'create canary',
  'scale canary',
  'set route',
  'promote',
  'end route',
  'revert',
  'raise epoch',
]);

/** Test of epoch and seq in one patch, as design section 8 has it. */
const fence = (marks: Marks, epoch: number, seq: number) =>
  marks.epoch !== epoch || marks.seq > seq ? 'fenced' : marks.seq === seq ? 'mine' : 'free';

/** One atomic write: the cluster after it, and the answer; null: the fence stopped it, silently. */
function write(cluster: Cluster, effect: Effect, from: Rollout): { cluster: Cluster; event: Event | null } {
  const { epoch, seq } = from;
  const { route, stable } = cluster;
  const done = (changed: Partial<Cluster>) => ({
    cluster: { ...cluster, ...changed },
    event: goodAnswer(effect, from),
  });
  const stopped = { cluster, event: null };
  switch (effect.kind) {
    case 'claim':
      if (route.epoch > epoch) return stopped;
      if (route.epoch === epoch) return done({});
      return done({ route: { ...route, epoch, seq }, stable: { ...stable, epoch, seq } });
    case 'create canary':
    case 'scale canary':
      return done({ canary: Math.max(cluster.canary ?? 0, effect.weight) });
    case 'set route':
    case 'end route': {
      const passed = fence(route, epoch, seq);
      if (passed === 'fenced') return stopped;
      if (passed === 'mine') return done({});
      if (route.foreign && !effect.overwrite)
        return { cluster, event: { type: 'drifted', seq, drift: drift(route.weight) } };
      const weight = effect.kind === 'set route' ? effect.route.weight : 0;
      return done({ route: { epoch, seq, weight, foreign: false } });
    }
    case 'promote': {
      const passed = fence(stable, epoch, seq);
      if (passed === 'fenced') return stopped;
      return done(passed === 'mine' ? {} : { stable: { epoch, seq, template: 'new' } });
    }
    case 'revert': {
      if (route.epoch > epoch) return stopped;
      const back = effect.demote && stable.epoch <= epoch ? ({ epoch, seq, template: 'old' } as const) : stable;
      return done({ route: { epoch, seq, weight: 0, foreign: false }, stable: back });
    }
    case 'raise epoch':
      return stable.epoch > epoch ? stopped : done({ stable: { ...stable, epoch, seq } });
    default:
      return done({});
  }
}

/** Everything that looking may find. */
function sights(effect: Effect, rollout: Rollout): readonly Event[] {
  const good = goodAnswer(effect, rollout);
  const { seq } = rollout;
  switch (effect.kind) {
    case 'sample':
      return VERDICTS.map((verdict) => goodAnswer(effect, rollout, verdict));
    case 'test canary':
      return [good, goodAnswer(effect, rollout, 'fail')];
    case 'await canary':
      return [good, { type: 'start_failed', seq, message: 'not Ready' }];
    case 'await stable':
      return [good, { type: 'promotion_late', seq, message: 'not Ready' }];
    default:
      return [good];
  }
}

/**
 * Time has no place in the state: it can always move to where samples are due, or on to where bakes, cool-downs and gates
 * end.
 */
const soon = ({ phase, guard }: Rollout) => Math.max(phase.since, ...Object.values(guard?.next ?? {}));
const late = (rollout: Rollout) => soon(rollout) + 99 * HOUR;

function transition(state: State, event: Event, now = soon(state.rollout)): State | null {
  const decided = decide(state.rollout, event, now);
  if (!decided.ok) return null;
  checkTransition(state.rollout, event, decided.rollout);
  return { ...state, rollout: decided.rollout };
}

function edges(state: State): readonly Edge[] {
  const { rollout, cluster, workers } = state;
  const found: Edge[] = [];
  const go = (by: Edge['by'], to: State | null) => to && found.push({ to, by });
  const withWorker = (n: number, worker: Worker, over: Partial<State> = {}): State => ({
    ...state,
    ...over,
    workers: workers.map((other, m) => (m === n ? worker : other)),
  });

  workers.forEach((worker, n) => {
    if (worker.is === 'idle') {
      for (const now of [rollout.phase.since, soon(rollout)]) {
        const wish = next(rollout, now);
        if (wish.kind !== 'effect') continue;
        const { effect } = wish;
        if (WRITES.has(effect.kind)) go('machine', withWorker(n, { is: 'sent', effect, from: rollout }));
        else for (const event of sights(effect, rollout)) go('machine', withWorker(n, { is: 'back', event }));
      }
    } else if (worker.is === 'sent') {
      const { cluster: after, event } = write(cluster, worker.effect, worker.from);
      checkWrite(state, worker.effect, after);
      go('machine', withWorker(n, event ? { is: 'back', event } : { is: 'idle' }, { cluster: after }));
      go('trouble', withWorker(n, { is: 'idle' }));
      // Done, and the process died before it could tell.
      if (event) go('trouble', withWorker(n, { is: 'idle' }, { cluster: after }));
    } else {
      const told = transition(state, worker.event);
      go('machine', told ? { ...withWorker(n, { is: 'idle' }), rollout: told.rollout } : withWorker(n, { is: 'idle' }));
      // Told, and it will be told again.
      go('trouble', told);
    }
  });

  const timed = next(rollout, late(rollout));
  if (timed.kind === 'event') go('machine', transition(state, timed.event, late(rollout)));
  if (rollout.messages.root === undefined)
    go('machine', transition(state, { type: 'message_delivered', key: 'root', ts: '1' }));

  const gate = openGate(rollout);
  const early = rollout.gates.at(-2);
  if (early)
    holds(
      !transition(state, { type: 'approved', gate: early.id, actor: bob, reason: 'x' }),
      'I4: an old button decides',
    );
  if (gate) {
    const selfish = { type: 'approved', gate: gate.id, actor: requester, reason: 'x' } as const;
    holds(!transition(state, selfish), 'I4: the requester approves');
    go('people', transition(state, { type: 'approved', gate: gate.id, actor: ann, reason: 'x' }));
    for (const type of ['reapplied', 'accepted', 'retried'] as const) {
      go('people', transition(state, { type, gate: gate.id, actor: ann }));
    }
  }
  go('people', transition(state, abortBy(ann)));
  if (state.hand && rollout.routeSeq > 0 && !isTerminal(rollout)) {
    const route = { ...cluster.route, weight: 30, foreign: true };
    go('trouble', { ...state, hand: false, meddled: true, cluster: { ...cluster, route } });
  }
  return found;
}

/** What must be true of each single write, whoever makes it and however late. */
function checkWrite({ rollout, cluster, meddled }: State, effect: Effect, after: Cluster): void {
  const { plan, gates, phase } = rollout;
  const aborted = phase.kind === 'aborting' || phase.kind === 'aborted';
  const weights = [cluster.route.weight, after.route.weight] as const;
  if (weights[1] > weights[0]) {
    holds(!(aborted && cluster.route.epoch >= rollout.epoch), `I2: ${effect.kind} raised the weight after the abort`);
    holds(
      cluster.canary !== null && cluster.canary >= weights[1],
      `I16: ${weights[1]}% to a canary for ${cluster.canary}%`,
    );
    const approved = approvedSteps(gates);
    const step = plan.steps.findIndex(({ route }) => route.weight === weights[1]);
    const accepted = gates.some(({ decision }) => decision?.kind === 'accepted');
    holds(step >= 0 || accepted, `I3: ${weights[1]}% is no weight of the plan`);
    for (let below = 0; below < step; below++)
      holds(approved.has(below), `I5: ${weights[1]}% before gate ${below} was approved`);
    const planned = [0, ...plan.steps.map(({ route }) => route.weight)];
    if (!meddled) holds(planned.indexOf(weights[1]) === planned.indexOf(weights[0]) + 1, `I3: ${weights} skips a step`);
  }
  if (cluster.stable.template === 'old' && after.stable.template === 'new') {
    holds(approvedSteps(gates).size === plan.steps.length, 'promoted before the last approval');
    holds(!(aborted && cluster.stable.epoch >= rollout.epoch), 'promoted after the abort');
    if (!meddled) holds(cluster.route.weight === 100, 'promoted while stable had traffic');
  }
}

function checkReached({ rollout, cluster, workers, meddled }: State): void {
  checkState(rollout, soon(rollout));
  if (rollout.phase.kind === 'aborted') holds(cluster.stable.template === 'old', 'I6: aborted with the new template');
  if (rollout.phase.kind === 'succeeded')
    holds(cluster.stable.template === 'new', 'I6: succeeded with the old template');
  if (isTerminal(rollout) && !meddled) holds(cluster.route.weight === 0, 'I6: ended with traffic on the canary');
  // However late the rest of the workers is, it changes nothing any more.
  if (!isTerminal(rollout)) return;
  for (const worker of workers) {
    if (worker.is !== 'sent' || worker.effect.kind === 'claim') continue;
    const { route, stable } = write(cluster, worker.effect, worker.from).cluster;
    const same = route.weight === cluster.route.weight && stable.template === cluster.stable.template;
    holds(same || meddled, `I6: ${worker.effect.kind} came through after the end`);
  }
}

/** Equal for states that behave the same: epochs count from the rollout's, seqs by their order, times not at all. */
function keyOf({ rollout, cluster, workers, hand, meddled }: State): string {
  const seqOf = (worker: Worker) =>
    worker.is === 'sent' ? worker.from.seq : worker.is === 'back' && 'seq' in worker.event ? worker.event.seq : -1;
  const seqs = [rollout.seq, rollout.routeSeq, cluster.route.seq, cluster.stable.seq, ...workers.map(seqOf)];
  const order = [...new Set(seqs)].sort((a, b) => a - b);
  const rank = (seq: number) => order.indexOf(seq);
  const { phase, step, route, guard, gates, acceptedWeight, tests, messages } = rollout;
  const { since: _, ...stage } = {
    startedAt: 0,
    cause: null,
    ...phase,
    ...(phase.kind === 'aborting' ? { startedAt: 0, cause: null } : {}),
  };
  const gate = gates.at(-1);
  const asked = gate && [
    gate.kind,
    gate.step,
    gate.decision?.kind,
    gate.approvals.length,
    gate.results.map((r) => r.verdict),
    gate.reminders,
  ];
  const accepted = gates.some(({ decision }) => decision?.kind === 'accepted');
  const carried = workers.map((worker) => {
    if (worker.is === 'idle') return 'idle';
    if (worker.is === 'sent')
      return JSON.stringify([worker.effect, worker.from.epoch - rollout.epoch, rank(seqOf(worker))]);
    const { epoch = rollout.epoch } = worker.event as { epoch?: number };
    return JSON.stringify({ ...worker.event, seq: rank(seqOf(worker)), epoch: epoch - rollout.epoch });
  });
  return JSON.stringify([
    stage,
    [step, route.weight, acceptedWeight, rank(rollout.seq), rank(rollout.routeSeq), messages.root],
    guard && [Math.min(2, guard.failures['success rate'] ?? 0), guard.last.map((r) => r.verdict)],
    tests.map(({ passed }) => passed),
    [...approvedSteps(gates)],
    asked,
    accepted,
    [cluster.route.epoch - rollout.epoch, rank(cluster.route.seq), cluster.route.weight, cluster.route.foreign],
    [cluster.stable.epoch - rollout.epoch, rank(cluster.stable.seq), cluster.stable.template, cluster.canary],
    carried,
    hand,
    meddled,
  ]);
}

/** Not every worker may be late: the others drop what is older than the rollout's wish. */
function inTime(state: State, late: number): State {
  const { seq, epoch } = state.rollout;
  const isOld = (worker: Worker) =>
    worker.is === 'sent'
      ? worker.from.seq !== seq
      : worker.is === 'back' &&
        ('seq' in worker.event ? worker.event.seq !== seq : 'epoch' in worker.event && worker.event.epoch !== epoch);
  if (!state.workers.slice(late).some(isOld)) return state;
  return {
    ...state,
    workers: state.workers.map((worker, n) => (n >= late && isOld(worker) ? { is: 'idle' } : worker)),
  };
}

function explore(first: State, late: number, limit: number) {
  const known = new Map<string, number>([[keyOf(first), 0]]);
  const states: State[] = [first];
  /** For each state, where the machine alone, and where it with people, could have come from. */
  const before: { from: number; by: Edge['by'] }[][] = [[]];
  for (let n = 0; n < states.length; n++) {
    const state = states[n];
    if (!state) break;
    if (states.length > limit) throw new Error(`more than ${limit} states`);
    for (const { to: reached, by } of edges(state)) {
      const to = inTime(reached, late);
      const key = keyOf(to);
      let m = known.get(key);
      if (m === undefined) {
        m = states.length;
        known.set(key, m);
        states.push(to);
        before.push([]);
        checkReached(to);
      }
      before[m]?.push({ from: n, by });
    }
  }
  /** Indexes of the states from which a good one can be reached by these edges. */
  const canReach = (good: (state: State) => boolean, by: readonly Edge['by'][]) => {
    const marked = new Set(states.flatMap((state, n) => (good(state) ? [n] : [])));
    for (const n of marked) for (const edge of before[n] ?? []) if (by.includes(edge.by)) marked.add(edge.from);
    return marked;
  };
  return { states, transitions: before.reduce((sum, edges) => sum + edges.length, 0), canReach };
}

it.each([
  [
    'a late and a prompt worker, a check and a hand that meddles',
    { late: 1, hand: true, plan: aPlan({ steps: [aStep(10), aStep(100)], tests: [] }), without: ['stepping test'] },
  ],
  [
    'two late workers and two gates',
    {
      late: 2,
      hand: false,
      plan: aPlan({ steps: [aStep(10, { bakeMs: 0 }), aStep(100, { bakeMs: 0 })], tests: [], checks: [] }),
      without: ['stepping test', 'stepping bake', 'drifted'],
    },
  ],
])(
  'every reachable state is safe and can go on: %s',
  (what, { late, hand, plan, without }) => {
    const { rollout } = begin({ type: 'requested', id: 'world-1', plan, epoch: 7 }, START);
    const none = { epoch: 0, seq: 0 };
    const first: State = {
      rollout,
      cluster: { route: { ...none, weight: 0, foreign: false }, stable: { ...none, template: 'old' }, canary: null },
      workers: [{ is: 'idle' }, { is: 'idle' }],
      hand,
      meddled: false,
    };
    const { states, transitions, canReach } = explore(first, late, 1_000_000);
    const phases = new Map<string, number>();
    for (const { rollout: at } of states) phases.set(label(at.phase), (phases.get(label(at.phase)) ?? 0) + 1);
    const died = `${states.length} states, ${transitions} transitions, two workers that may die at any point`;
    process.stdout.write(`machine: ${what}: ${died}, ${phases.size} phases\n`);

    // Not vacuous: all phases that this plan has are among them.
    expect(states.length).toBeGreaterThan(1_000);
    expect(Object.keys(AT).filter((phase) => !phases.has(phase))).toEqual(without);

    // I12: left alone, everything ends or asks people; with people, everything ends; what can be aborted gets there.
    const stuck = (good: (at: Rollout) => boolean, by: Edge['by'][]) => {
      const reaching = canReach((state) => good(state.rollout), by);
      return states.filter((_, n) => !reaching.has(n)).map((state) => state.rollout);
    };
    expect(
      stuck((at) => isTerminal(at) || openGate(at) !== null, ['machine']).map(({ phase }) => label(phase)),
    ).toEqual([]);
    expect(stuck(isTerminal, ['machine', 'people']).map(({ phase }) => label(phase))).toEqual([]);
    const aborted = (at: Rollout) => at.phase.kind === 'aborted';
    expect(
      stuck(aborted, ['machine', 'people']).filter((at) => isAbortable(at) || at.phase.kind === 'aborting'),
    ).toEqual([]);
  },
  60_000,
);
