/**
 * The store against a model of a few dozen lines: two actors do anything in any order, each on what it saw last, and Redis must
 * answer and hold what the model says.
 */
import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { verifyChain } from '../../../src/adapters/redis/chain.ts';
import { createStore } from '../../../src/adapters/redis/store.ts';
import type { Loaded, Store } from '../../../src/app/ports/store.ts';
import { begin } from '../../../src/core/decide.ts';
import type { Event, Outgoing } from '../../../src/core/event.ts';
import type { Rollout } from '../../../src/core/rollout.ts';
import { aService, loaded } from '../../contracts/store.ts';
import { BO, samplePlan } from '../../support/played.ts';
import { recordingLog, redisCorner } from '../../support/redis.ts';
import { search } from '../../support/search.ts';

const corner = redisCorner();
const aStore = () => createStore({ ...corner, log: recordingLog() });
const stores = [aStore(), aStore()] as const;
afterAll(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await corner.clear();
});

type Name = 'a' | 'b';
type Actor = 0 | 1;

/** What Redis must hold of one rollout; `fence`: the epoch that a transition has to know. */
type ModelRollout = {
  version: number;
  fence: number;
  asked: boolean;
  phase: 'queued' | 'aborting' | 'aborted';
  outbox: string[];
};
type Model = {
  epoch: number;
  holder: Name | null;
  readonly rollouts: Map<Name, ModelRollout>;
  /** Bodies of the inbox, oldest first. */
  inbox: string[];
  readonly taken: Set<string>;
  lease: Actor | null;
  /** What each actor loaded last: the version and the epoch that it knows. */
  readonly seen: Map<string, { version: number; fence: number; asked: boolean }>;
};
type Real = {
  readonly service: string;
  readonly seen: Map<string, Loaded>;
  readonly entries: Map<string, string>;
  readonly leases: Map<Actor, Awaited<ReturnType<Store['lease']>>>;
};
type Command = fc.AsyncCommand<Model, Real>;

const key = (actor: Actor, name: Name) => `${actor}${name}`;
const idOf = ({ service }: Real, name: Name) => `${service}-aaaaa${name}`;
const NOTE: Event = { type: 'message_delivered', key: 'note:1', ts: '1' };

const happened = new Map<string, number>();
const count = (what: string) => happened.set(what, (happened.get(what) ?? 0) + 1);

function command(name: string, run: (model: Model, real: Real) => Promise<void>): Command {
  return { check: () => true, run, toString: () => name };
}

const create = (actor: Actor, name: Name, body: string | null) =>
  command(`${actor} creates ${name} from ${body}`, async (model, real) => {
    const store = stores[actor];
    const epoch = await store.nextEpoch(real.service, 0);
    expect(epoch).toBe(model.epoch + 1);
    const event = {
      type: 'requested',
      id: idOf(real, name),
      plan: samplePlan(real.service, corner.env),
      epoch,
    } as const;
    const intake = body === null ? null : (real.entries.get(body) ?? '1-1');
    const created = store.create(begin(event, await store.now()), event, intake);
    if (body !== null && !model.inbox.includes(body)) {
      expect(await created).toEqual({ kind: 'gone' });
      count('create gone');
    } else if (model.holder !== null) {
      expect(await created).toEqual({ kind: 'busy', by: idOf(real, model.holder) });
      count('busy');
    } else if (model.rollouts.has(name)) {
      await expect(created).rejects.toThrow('with this id');
      count('exists');
    } else {
      expect(await created).toEqual({ kind: 'created' });
      count('created');
      model.rollouts.set(name, { version: 1, fence: epoch, asked: false, phase: 'queued', outbox: ['root'] });
      Object.assign(model, { epoch, holder: name, inbox: model.inbox.filter((one) => one !== body) });
    }
  });

const load = (actor: Actor, name: Name) =>
  command(`${actor} loads ${name}`, async (model, real) => {
    const found = await stores[actor].load(idOf(real, name));
    const rollout = model.rollouts.get(name);
    expect(found && { version: found.rollout.version, asked: found.abort !== null }).toEqual(
      rollout ? { version: rollout.version, asked: rollout.asked } : null,
    );
    if (!found || !rollout) return;
    expect(found.abort?.epoch ?? found.rollout.epoch).toBe(rollout.fence);
    real.seen.set(key(actor, name), found);
    model.seen.set(key(actor, name), { version: rollout.version, fence: rollout.fence, asked: rollout.asked });
  });

/** `note`: any transition; `abort`: into the abort; `end`: the last one. */
type Does = 'note' | 'abort' | 'end';

function transition(does: Does, { rollout, abort }: Loaded): { event: Event; rollout: Rollout } {
  const next = { ...rollout, version: rollout.version + 1, epoch: abort?.epoch ?? rollout.epoch };
  const cause = { kind: 'not started', message: 'no image' } as const;
  const base = { since: 0, cause, from: '' } as const;
  if (does === 'note') return { event: NOTE, rollout: next };
  if (does === 'end')
    return { event: { type: 'cleaned', seq: 1 }, rollout: { ...next, phase: { kind: 'aborted', ...base } } };
  const epoch = Math.max(abort?.epoch ?? 0, rollout.epoch + 1);
  const phase = { kind: 'aborting', stage: 'route', startedAt: 0, demote: false, stalled: false, ...base } as const;
  return { event: { type: 'abort_requested', cause, epoch }, rollout: { ...next, epoch, phase } };
}

const save = (actor: Actor, name: Name, does: Does, keys: readonly string[], body: string | null) =>
  command(`${actor} saves ${does} of ${name} with ${keys} from ${body}`, async (model, real) => {
    const from = real.seen.get(key(actor, name));
    const seen = model.seen.get(key(actor, name));
    const kept = model.rollouts.get(name);
    if (!from || !seen || !kept) return;
    const { event, rollout } = transition(does, from);
    const messages: Outgoing[] = keys.map((one) => ({ key: one }));
    const intake = body === null ? {} : { intake: real.entries.get(body) ?? '1-1' };
    const saved = await stores[actor].save(from, event, { rollout, messages }, intake);
    if (body !== null && !model.inbox.includes(body)) {
      count('save gone');
      return expect(saved).toBe('gone');
    }
    const isCurrent = seen.version === kept.version && seen.fence === kept.fence;
    if (!isCurrent || (kept.asked && does !== 'abort')) {
      count(isCurrent ? 'abort first' : 'conflict');
      return expect(saved).toBe('conflict');
    }

    count(`saved ${does}`);
    if (typeof saved === 'string') throw new Error(`${saved}, though nothing stood against it`);
    const phase = does === 'note' ? kept.phase : does === 'end' ? ('aborted' as const) : ('aborting' as const);
    Object.assign(kept, { version: kept.version + 1, fence: rollout.epoch, asked: false, phase });
    // The phase is what the saver knew, which is what there was.
    kept.outbox.push(...keys);
    model.epoch = Math.max(model.epoch, rollout.epoch);
    model.inbox = model.inbox.filter((one) => one !== body);
    if (phase === 'aborted' && model.holder === name) model.holder = null;
    real.seen.set(key(actor, name), saved);
    model.seen.set(key(actor, name), { version: kept.version, fence: kept.fence, asked: false });
  });

const both = (one: Command, then: Command) =>
  command(`${one}, ${then}`, async (model, real) => {
    await one.run(model, real);
    await then.run(model, real);
  });

const abort = (actor: Actor, name: Name) =>
  command(`${actor} aborts ${name}`, async (model, real) => {
    const asked = await stores[actor].requestAbort(idOf(real, name), BO, null);
    const kept = model.rollouts.get(name);
    const recorded = kept !== undefined && kept.phase === 'queued' && !kept.asked;
    expect(asked?.recorded ?? null).toBe(kept ? recorded : null);
    if (!kept || !recorded) return;
    count('abort recorded');
    model.epoch += 1;
    Object.assign(kept, { asked: true, fence: model.epoch });
  });

const take = (actor: Actor, body: string) =>
  command(`${actor} takes ${body}`, async (model, real) => {
    const taken = await stores[actor].take(real.service, body, body);
    expect(taken.kind).toBe(model.taken.has(body) ? 'duplicate' : 'new');
    if (taken.kind !== 'new') return;
    real.entries.set(body, taken.id);
    model.taken.add(body);
    model.inbox.push(body);
  });

const untake = (actor: Actor, body: string) =>
  command(`${actor} takes ${body} back`, async (model, real) => {
    await stores[actor].untake(real.service, body);
    model.taken.add(body);
    model.inbox = model.inbox.filter((one) => one !== body);
  });

const drop = (actor: Actor, body: string) =>
  command(`${actor} drops ${body}`, async (model, real) => {
    const entry = real.entries.get(body);
    if (entry !== undefined) await stores[actor].drop(real.service, entry);
    model.inbox = model.inbox.filter((one) => one !== body);
  });

const flush = (actor: Actor, name: Name, count: number) =>
  command(`${actor} sends ${count} of ${name}`, async (model, real) => {
    const id = idOf(real, name);
    const waiting = await stores[actor].unsent(id);
    const outbox = model.rollouts.get(name)?.outbox ?? [];
    expect(waiting.map(({ outgoing }) => outgoing.key)).toEqual(outbox);
    await stores[actor].sent(
      id,
      waiting.slice(0, count).map(({ entry }) => entry),
    );
    outbox.splice(0, count);
  });

const lease = (actor: Actor) =>
  command(`${actor} leases`, async (model, real) => {
    const got = await stores[actor].lease(`model:${real.service}`, 60_000);
    expect(got !== null).toBe(model.lease === null);
    if (!got) return;
    model.lease = actor;
    real.leases.set(actor, got);
  });

const release = (actor: Actor) =>
  command(`${actor} gives its lease back`, async (model, real) => {
    // One that was given back before is somebody else's by now.
    const held = await real.leases.get(actor)?.release();
    expect(held ?? false).toBe(model.lease === actor);
    if (model.lease === actor) model.lease = null;
  });

/** All that can be asked of the store agrees with the model. */
async function compare(model: Model, real: Real): Promise<void> {
  const [store, other] = stores;
  expect(await store.holder(real.service)).toBe(model.holder === null ? null : idOf(real, model.holder));
  expect(await other.nextEpoch(real.service, 0)).toBe(model.epoch + 1);
  expect((await other.intakes(real.service)).map(({ body }) => body)).toEqual(model.inbox);
  for (const [name, { version, outbox, phase }] of model.rollouts) {
    const id = idOf(real, name);
    const events = await store.events(id);
    const { rollout, head } = await loaded(other, id);
    expect(events).toHaveLength(version);
    expect(verifyChain(events)).toEqual({ ok: true, head });
    expect(rollout.phase.kind).toBe(phase);
    expect((await other.unsent(id)).map(({ outgoing }) => outgoing.key)).toEqual(outbox);
  }
}

const actors = fc.constantFrom<Actor>(0, 1);
const names = fc.constantFrom<Name>('a', 'a', 'a', 'b');
const bodies = fc.constantFrom('deploy', 'approve', 'hold');
const maybe = fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: bodies });
const keys = fc.array(fc.constantFrom('root', 'gate:1', 'note:2'), { maxLength: 2 });
const does = fc.constantFrom<Does>('note', 'note', 'note', 'abort', 'end');

const commands = fc.commands(
  [
    fc.tuple(actors, names, maybe).map((given) => create(...given)),
    fc.tuple(actors, names).map((given) => load(...given)),
    fc.tuple(actors, names).map((given) => load(...given)),
    // Right after one another, or hardly any transition would be on top of what there is.
    fc
      .tuple(actors, names, does, keys, maybe)
      .map(([actor, name, ...more]) => both(load(actor, name), save(actor, name, ...more))),
    fc.tuple(actors, names, does, keys, maybe).map((given) => save(...given)),
    fc.tuple(actors, names, does, keys, fc.constant(null)).map((given) => save(...given)),
    fc.tuple(actors, names).map((given) => abort(...given)),
    fc.tuple(actors, bodies).map((given) => take(...given)),
    fc.tuple(actors, bodies).map((given) => untake(...given)),
    fc.tuple(actors, bodies).map((given) => drop(...given)),
    fc.tuple(actors, names, fc.nat(2)).map((given) => flush(...given)),
    actors.map(lease),
    actors.map(release),
  ],
  { size: 'max', maxCommands: 60 },
);

const setUp = () => ({
  model: {
    ...{ epoch: 0, holder: null, lease: null },
    ...{ rollouts: new Map(), inbox: [], taken: new Set<string>(), seen: new Map() },
  } satisfies Model as Model,
  real: { service: aService(), seen: new Map(), entries: new Map(), leases: new Map() } satisfies Real as Real,
});

it('the store does what its model does, whoever acts in whatever order', async () => {
  const played = await search(
    fc.asyncProperty(commands, async (given) => {
      const state = setUp();
      await create(0, 'a', null).run(state.model, state.real);
      await fc.asyncModelRun(() => state, given);
      await compare(state.model, state.real);
    }),
    { least: 60, most: 300, withinMs: 4_000 },
  );
  process.stdout.write(`model of the store: ${played} runs, ${JSON.stringify(Object.fromEntries(happened))}\n`);
  // Not vacuous: everything has happened.
  expect([...happened.keys()].toSorted()).toEqual([
    ...['abort first', 'abort recorded', 'busy', 'conflict', 'create gone', 'created', 'exists'],
    ...['save gone', 'saved abort', 'saved end', 'saved note'],
  ]);
}, 60_000);
