/**
 * Two replicas, people who press buttons and abort, and a process that may die, in every order of their steps that fast-check
 * finds: the app itself, on the real store, in front of a modelled cluster. Leases are always given, since correctness must not
 * depend on them.
 */
import fc from 'fast-check';
import { afterAll, expect, it, vi } from 'vitest';
import { createStore } from '../../src/adapters/redis/store.ts';
import type { Answer } from '../../src/app/answers.ts';
import type { Chat } from '../../src/app/ports/chat.ts';
import type { RecordedEvent } from '../../src/app/ports/store.ts';
import type { Click, Request } from '../../src/app/requests.ts';
import { HOLD_MS } from '../../src/core/decide.ts';
import type { Actor } from '../../src/core/plan.ts';
import { isTerminal, openGate, type Rollout } from '../../src/core/rollout.ts';
import { aService, loaded } from '../contracts/store.ts';
import { createModelCluster } from '../support/model-cluster.ts';
import { ADA } from '../support/played.ts';
import { recordingLog, redisCorner } from '../support/redis.ts';
import { replay, replayAll } from '../support/replay.ts';
import { begun, clicked, createReplica } from '../support/replica.ts';
import { search } from '../support/search.ts';

// Pauses only space out retries: the order of steps is the scheduler's.
vi.mock('../../src/app/pause.ts', () => ({ pause: async () => {} }));

const corner = redisCorner();
const aStore = () => createStore({ ...corner, log: recordingLog() });
const first = aStore();
const stores = [first, aStore()];
afterAll(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await corner.clear();
});

/** Calls whose order matters; the others are answered at once. */
const STEPS = new Set(['load', 'save', 'requestAbort', 'isWaiting', 'drop', 'tell']);
const WRITES = new Set([
  ...['claim', 'setRoute', 'reset', 'release', 'createCanary', 'scaleCanary', 'promote', 'demote', 'raise', 'cleanUp'],
  'getRoute',
]);
const DIED = new Error('the process died');

type Scheduler = typeof aScheduler extends () => fc.Arbitrary<infer T> ? T : never;
let flying = 0;

/** The next step is let go when all that the last one led to has come to rest. */
function aScheduler() {
  return fc.scheduler({
    act: async (step) => {
      await step();
      do await new Promise((resolve) => setImmediate(resolve));
      while (flying > 0);
    },
  });
}

/** One replica: each of its calls waits for its turn, and after `life` of them none gets through. */
function createProcess(scheduler: Scheduler | null, name: string, life: number) {
  let left = life;
  async function call(label: string, isStep: boolean, work: () => unknown): Promise<unknown> {
    if (scheduler && isStep) await scheduler.schedule(Promise.resolve(), `${name} ${label}`);
    if (left <= 0) throw DIED;
    if (isStep) left -= 1;
    flying += 1;
    try {
      const result = await work();
      // Done, and nobody hears of it.
      if (left <= 0) throw DIED;
      return result;
    } finally {
      flying -= 1;
    }
  }
  return <T extends object>(port: T, steps: ReadonlySet<string>): T =>
    new Proxy(port, {
      get(target, key) {
        const member = Reflect.get(target, key);
        if (typeof member !== 'function') return member;
        return (...given: unknown[]) =>
          call(String(key), steps.has(String(key)), () => Reflect.apply(member, target, given));
      },
    });
}

const PEOPLE = ['U0A', 'U0B', 'U0C', 'U0D', 'U0E'] as const;

type Press = { readonly user: string; readonly action: string; readonly answers: Answer['kind'][] };

const press = fc.record({
  action: fc.constantFrom('approve' as const, 'approve' as const, 'hold' as const),
  /** Pressed when this gate is open, and so many steps later: another one may be open by then. */
  gate: fc.constantFrom(1, 1, 2),
  later: fc.constantFrom(0, 0, 0, 40, 80),
  /** Both replicas work on the entry: the first one's lease ran out. */
  twice: fc.boolean(),
  replica: fc.nat(1),
});
const story = fc.record({
  presses: fc.array(press, { minLength: 2, maxLength: 5 }),
  /** After so many steps somebody aborts; null: nobody does. */
  abort: fc.option(fc.nat(90)),
  /** So many calls the first replica makes before it dies. */
  life: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 1, max: 60 })),
});
type Story = typeof story extends fc.Arbitrary<infer T> ? T : never;

async function play(scheduler: Scheduler, { presses, abort, life }: Story) {
  const service = aService();
  const id = await begun(first, service, corner.env, [...PEOPLE, 'U0F', 'U0Z']);

  const busy = new Set<Promise<unknown>>();
  const begins = (work: Promise<unknown>) => {
    const done = work.catch(() => undefined).finally(() => busy.delete(done));
    busy.add(done);
  };
  const made: Press[] = [];
  async function click(user: string, what: Click, on: readonly number[]): Promise<void> {
    const mine: Press = { user, action: what.action, answers: [] };
    made.push(mine);
    const request = clicked(user, what);
    await scheduler.schedule(Promise.resolve(), `${user} presses ${what.action}`);
    const taken = await first.take(service, request.key, request);
    if (taken.kind !== 'new') throw new Error('not taken');
    await Promise.allSettled(on.map((n) => replicas[n]?.commands.carryOut(request, { service, id: taken.id })));
  }
  async function inAWhile(steps: number, then: () => Promise<void>): Promise<void> {
    for (let n = 0; n < steps; n++) await scheduler.schedule(Promise.resolve(), 'a moment');
    await then();
  }
  const waiting = new Map(presses.map((one, n) => [PEOPLE[n] ?? '', one]));
  const transition = (after: Rollout) => {
    const open = openGate(after);
    for (const [user, { action, gate, later, twice, replica }] of waiting) {
      if (open?.id !== `${id}.${gate}`) continue;
      waiting.delete(user);
      begins(inAWhile(later, () => click(user, { action, rollout: id, gate: open.id }, twice ? [0, 1] : [replica])));
    }
  };
  const cluster = createModelCluster();
  const nothing = async () => {};
  const lease = async () => ({
    ...{ abandoned: 0, failingSince: null, lastingSince: null },
    ...{ begin: nothing, renew: nothing, release: async () => true },
  });
  const chat: Pick<Chat, 'tell'> = {
    tell: async ({ user }, { kind }) => void made.find((one) => one.user === user)?.answers.push(kind),
  };
  const replicas = stores.map((store, n) => {
    const guard = createProcess(scheduler, `replica ${n}`, n === 0 ? life : Number.POSITIVE_INFINITY);
    return createReplica({
      env: corner.env,
      store: guard({ ...store, lease }, STEPS),
      chat: guard(chat, STEPS),
      cluster: { router: guard(cluster.router, WRITES), workload: guard(cluster.workload, WRITES) },
      onTick: begins,
      onTransition: transition,
    });
  });

  for (const { tick } of replicas) {
    const ticks = async () => {
      for (let n = 0; n < 6; n++) await tick(id).catch(() => undefined);
    };
    begins(ticks());
  }
  const stop: Click = { action: 'abort', rollout: id, env: corner.env, service };
  if (abort !== null) begins(inAWhile(abort, () => click('U0F', stop, [0, 1])));
  const rest = async () => {
    while (busy.size > 0) await Promise.all(busy);
  };
  await scheduler.waitFor(rest());

  // Another replica finishes: what the dead one had in hand, the gates, the rest.
  const last = createReplica({ env: corner.env, store: first, cluster, chat, onTick: begins });
  for (const { id: entry, body } of await first.intakes(service))
    await last.commands.carryOut(body as Request, { service, id: entry });
  for (let turns = 0; turns < 30; turns++) {
    await last.tick(id);
    await rest();
    const { rollout } = await loaded(first, id);
    if (isTerminal(rollout)) break;
    const gate = openGate(rollout);
    if (gate) await last.commands.answer(clicked('U0Z', { action: 'approve', rollout: id, gate: gate.id }));
  }
  return { id, cluster, made, events: await first.events(id), end: (await loaded(first, id)).rollout };
}

/** The rollout after each of its events: `states[n]` has version n + 1. */
function statesOf(events: readonly RecordedEvent[]): readonly Rollout[] {
  return events.map((_, n) => {
    const state = replay(events.slice(0, n + 1));
    if (typeof state === 'string') throw new Error(state);
    return state;
  });
}

const userOf = (actor: Actor) => (actor.kind === 'system' ? '' : actor.user);

function check({ id, cluster, made, events, end }: Awaited<ReturnType<typeof play>>): void {
  const states = statesOf(events);
  expect(cluster.broken).toEqual([]);
  expect(states.at(-1), 'I14: its events give its state').toEqual(end);

  // I2: from the abort on nothing raises the weight.
  const aborted = states.find(({ phase }) => phase.kind === 'aborting');
  for (const { epoch, weight, before } of cluster.revisions)
    expect(aborted && epoch >= aborted.epoch && weight > before, `I2: ${before}% to ${weight}%`).not.toBe(true);

  // I3: 10, 100, 0 and nothing else; I5: each raise was wished for by a state whose earlier gates were approved.
  for (const { weight, before, seq } of cluster.revisions) {
    if (weight <= before) continue;
    expect([`0 to 10`, '10 to 100'], 'I3').toContain(`${before} to ${weight}`);
    const wished = states[seq - 1];
    const approved = wished?.gates.filter(({ decision }) => decision?.kind === 'approved').length;
    expect(approved, `I5: ${weight}%`).toBe(weight === 10 ? 0 : 1);
  }

  // I4: one decision for each gate, by people who may, never by the requester alone.
  for (const gate of end.gates) {
    expect(gate.decision, 'I4: decided').not.toBeNull();
    expect(gate.approvals.map(({ actor }) => userOf(actor))).not.toContain(userOf(ADA));
    expect(gate.approvals.length).toBeLessThanOrEqual(1);
    const pressed = events.flatMap(({ event }) =>
      event.type === 'approved' && event.gate === gate.id ? [userOf(event.actor)] : [],
    );
    expect(pressed, 'I4: by the button of this gate').toEqual(gate.approvals.map(({ actor }) => userOf(actor)));
  }
  const holds = events.filter(({ event }) => event.type === 'held').length;
  expect(end.gates.reduce((sum, { heldMs }) => sum + heldMs, 0)).toBe(holds * HOLD_MS);

  // I6, I10: it ended, and no press was lost, counted twice, or done although it was refused.
  expect(isTerminal(end), `ended at ${JSON.stringify(end.phase)}`).toBe(true);
  expect(cluster.state).toMatchObject({
    route: { weight: 0 },
    stable: { template: end.phase.kind === 'succeeded' ? 'new' : 'old' },
    canary: null,
  });
  for (const { user, action, answers } of made) {
    const own = events.filter(({ event }) =>
      event.type === 'abort_requested'
        ? event.cause.kind === 'person' && userOf(event.cause.actor) === user
        : 'actor' in event && userOf(event.actor) === user,
    );
    const what = `I10: ${action} by ${user}, answered ${answers}, in ${id}`;
    const refused = answers.includes('rejected') || answers.includes('no rollout');
    expect(own.length, what).toBeLessThanOrEqual(1);
    // Who was refused hears so, whoever died: the others see what became of it.
    if (own.length === 0 && action !== 'abort') expect(refused, what).toBe(true);
    // Two aborts are one: the second is told that it is on its way.
    if (action !== 'abort') expect(refused ? own.length === 0 : own.length === 1, what).toBe(true);
  }
}

it('every order of steps keeps traffic safe and loses no press', async () => {
  const ends = { succeeded: 0, aborted: 0 };
  const played = await search(
    fc.asyncProperty(aScheduler(), story, async (scheduler, told) => {
      const one = await play(scheduler, told);
      check(one);
      if (one.end.phase.kind === 'succeeded' || one.end.phase.kind === 'aborted') ends[one.end.phase.kind] += 1;
    }),
    { least: 25, most: 60, withinMs: 7_000 },
  );
  // Not vacuous.
  expect(Math.min(ends.succeeded, ends.aborted)).toBeGreaterThan(0);
  const replayed = await replayAll(corner);
  expect(replayed.problems).toEqual([]);
  process.stdout.write(
    `interleavings: ${played} orders, ${JSON.stringify(ends)}, ${replayed.events} events replayed\n`,
  );
}, 60_000);
