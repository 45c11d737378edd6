import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Answer } from '../../src/app/answers.ts';
import { createCommands } from '../../src/app/commands.ts';
import type { Deploy } from '../../src/app/deploy.ts';
import type { Rollouts } from '../../src/app/handle.ts';
import { createPeople } from '../../src/app/people.ts';
import type { Store } from '../../src/app/ports/store.ts';
import { THREADS } from '../../src/app/requests.ts';
import type { Target } from '../../src/core/plan.ts';
import { loaded, record, start } from '../contracts/store.ts';
import { aPlan, createStory } from '../core/support.ts';
import { recordingLog } from '../support/redis.ts';
import { configOf, listeningChat, only, openCorner, typed } from './support.ts';

let corner: ReturnType<typeof openCorner>;
beforeEach(() => {
  corner = openCorner();
});
afterEach(() => corner.close());

function someCommands(
  store: Store,
  onTold: (kind: Answer['kind']) => void = () => {},
  parts: { rollouts: Rollouts; deploy: Deploy } = { rollouts: only({}), deploy: only({}) },
) {
  const log = recordingLog();
  const told: Answer['kind'][] = [];
  const { chat } = listeningChat({
    tell: async (_, { kind }) => {
      told.push(kind);
      onTold(kind);
    },
  });
  const people = createPeople({ store, chat, log, clock: () => performance.now() });
  const aborted: string[] = [];
  const commands = createCommands({
    ...{ config: configOf('test'), store, chat, people, log },
    ...parts,
    abort: async (id) => {
      aborted.push(id);
      const { rollout } = await loaded(store, id);
      return { kind: 'started', rollout, done: Promise.resolve() };
    },
  });
  return { commands, aborted, told };
}

/** The requester of the sample rollout, who may always abort it. */
const byAda = (...said: Parameters<typeof typed>) => ({ ...typed(...said), user: 'U0ADA' });

async function taken(store: Store, key: string) {
  const request = byAda('abort world');
  const answer = await store.take('world', key, request);
  if (answer.kind !== 'new') throw new Error('it is new');
  return { request, entry: { service: 'world', id: answer.id } };
}

it('an inbox entry is worked on once, though two found it', async () => {
  const { store } = corner;
  const { id } = await start(store, 'world', corner.env);
  const { commands, aborted, told } = someCommands(store);
  await new Promise((resolve) => setTimeout(resolve, 2));
  const { request, entry } = await taken(store, 'one');
  await commands.carryOut(request, entry);
  // The sweep still holds the listing of before.
  await commands.carryOut(request, entry);
  expect(told).toEqual(['aborting']);
  expect(aborted).toEqual([id]);
});

it('an abort that was left over does not mean a rollout that began after it', async () => {
  const { store } = corner;
  const { request, entry } = await taken(store, 'one');
  await new Promise((resolve) => setTimeout(resolve, 2));
  await start(store, 'world', corner.env);
  const { commands, aborted, told } = someCommands(store);
  await commands.carryOut(request, entry);
  expect(told).toEqual(['no rollout']);
  expect(aborted).toEqual([]);
  expect(await store.intakes('world')).toEqual([]);
});

it("an abort means the rollout that runs, though Redis' clock was set back since it began", async () => {
  const { store } = corner;
  const { request, entry } = await taken(store, 'one');
  await new Promise((resolve) => setTimeout(resolve, 2));
  const { id } = await start(store, 'world', corner.env);
  const hourBefore: Store = {
    ...store,
    async load(one) {
      const found = await store.load(one);
      return found && { ...found, now: found.now - 3_600_000 };
    },
  };
  const { commands, aborted } = someCommands(hourBefore);
  await commands.carryOut(request, entry);
  expect(aborted).toEqual([id]);
});

describe('what is said in a thread is recorded before its service is known', () => {
  async function said(store: Store, text: string) {
    const { id } = await start(store, 'world', corner.env);
    await record(store, await loaded(store, id), { type: 'message_delivered', key: 'root', ts: '1700.1' });
    await new Promise((resolve) => setTimeout(resolve, 2));
    const request = byAda(text, { channel: 'C0DEPLOYS', ts: '1700.1' });
    const recorded = await store.take(THREADS, request.key, request);
    if (recorded.kind !== 'new') throw new Error('it is new');
    return { id, request, entry: { service: THREADS, id: recorded.id } };
  }
  const left = async (store: Store) => [...(await store.intakes(THREADS)), ...(await store.intakes('world'))];

  it('an abort that was left over is carried out', async () => {
    const { store } = corner;
    const { id, request, entry } = await said(store, 'abort');
    const { commands, aborted, told } = someCommands(store);
    await commands.carryOut(request, entry);
    expect(aborted).toEqual([id]);
    expect(told).toEqual(['aborting']);
    expect(await left(store)).toEqual([]);
  });

  it('a word whose worker died with it in both inboxes is worked on once', async () => {
    const { store } = corner;
    const { request, entry } = await said(store, 'approve');
    await store.take('world', request.key, request);
    const [own] = await store.intakes('world');
    const { commands, told } = someCommands(store);
    await commands.carryOut(request, entry);
    await commands.carryOut(request, { service: 'world', id: own?.id ?? '' });
    expect(told).toEqual(['rejected']);
    expect(await left(store)).toEqual([]);
  });

  it('a word that fails is tried again, and nothing of it is left once it is given up', async () => {
    const { store } = corner;
    const { request, entry } = await said(store, 'approve');
    const broken: Store = { ...store, load: () => Promise.reject(new Error('a bug')) };
    const { commands, told } = someCommands(broken);
    const carry = () => commands.carryOut(request, entry);
    await expect(carry()).rejects.toThrow('a bug');
    await expect(carry()).rejects.toThrow('a bug');
    await someCommands(store).commands.giveUp(request, entry);
    expect(told).toEqual([]);
    expect(await left(store)).toEqual([]);
  });

  it('a word in a thread of no rollout is told so, and goes', async () => {
    const { store } = corner;
    const request = byAda('approve', { channel: 'C0DEPLOYS', ts: '1.1' });
    const recorded = await store.take(THREADS, request.key, request);
    const { commands, told } = someCommands(store);
    await commands.carryOut(request, { service: THREADS, id: recorded.kind === 'new' ? recorded.id : '' });
    expect(told).toEqual(['no rollout']);
    expect(await left(store)).toEqual([]);
  });
});

it('a service without a rollout is still a service', async () => {
  const { commands } = someCommands(corner.store);
  expect(await commands.answer(typed('abort world'))).toEqual({ kind: 'no rollout', given: 'world' });
  expect(await commands.answer(typed('abort wrold'))).toMatchObject({ kind: 'unknown service', near: 'world' });
});

it.each([
  ['its own channel', '1700.1', 'C0DEPLOYS'],
  ['the fallback channel', 'C0OPS/1700.1', 'C0OPS'],
])('a thread in %s is found', async (_, root, channel) => {
  const { store } = corner;
  const { id } = await start(store, 'world', corner.env);
  await record(store, await loaded(store, id), { type: 'message_delivered', key: 'root', ts: root });
  const { commands, aborted } = someCommands(store);
  await commands.answer(byAda('abort', { channel, ts: '1700.1' }));
  await commands.answer(byAda('abort', { channel: 'C0OTHER', ts: '1700.1' }));
  expect(aborted).toEqual([id]);
});

it.each<[string, Partial<Target>, RegExp[]]>([
  [
    'says what still runs, and how to take it away',
    { deployment: 'world-v1', versioned: { base: 'world', canary: 'world-v2' } },
    [/scaled by somebody/, /hello\/world-v1 keeps its pods.*kubectl -n hello scale deployment world-v1 --replicas=0/],
  ],
  ['says no more where nothing does', {}, [/scaled by somebody/]],
])('a rollback that cuts a cool-down short and is refused %s', async (_, names, said) => {
  const plan = aPlan({ access: { ...aPlan().access, deploy: ['U0BO'] } });
  const story = createStory({ ...plan, target: { ...plan.target, ...names } }).until('promoting cool');
  const rollout = { ...story.rollout, id: 'world-7k2q9x' };
  const held = { rollout, head: '', now: 0, abort: null };
  const store: Store = { ...corner.store, holder: async () => rollout.id, load: async () => held };
  const { commands } = someCommands(store, undefined, {
    rollouts: only<Rollouts>({ record: async () => ({ ok: true, loaded: held }), tick: async () => {} }),
    deploy: only<Deploy>({
      rollBack: async () => ({ kind: 'refused', service: 'world', version: 'v1', refusals: ['scaled by somebody'] }),
    }),
  });
  const answer = await commands.answer(typed('rollback world'));
  expect(answer).toMatchObject({ refusals: said.map((one) => expect.stringMatching(one)) });
});

describe('a request that comes to nothing', () => {
  const order = (store: Store) => {
    const done: string[] = [];
    const noting: Store = {
      ...store,
      drop: async (...given) => {
        done.push('dropped');
        await store.drop(...given);
      },
    };
    return { done, noting };
  };

  it('is told before it is dropped: a process that dies in between leaves it to be told again', async () => {
    const { done, noting } = order(corner.store);
    const { request, entry } = await taken(noting, 'one');
    await someCommands(noting, (kind) => done.push(kind)).commands.carryOut(request, entry);
    expect(done).toEqual(['no rollout', 'dropped']);
  });

  it('is told what was decided, not decided anew, when its teller died', async () => {
    const { store } = corner;
    const { request, entry } = await taken(store, 'one');
    const dying: Store = { ...store, drop: () => Promise.reject(new Error('dead')) };
    await someCommands(dying).commands.carryOut(request, entry);
    // By now there would be one to abort.
    await start(store, 'world', corner.env);
    const { commands, aborted, told } = someCommands(store);
    await commands.carryOut(request, entry);
    expect([told, aborted]).toEqual([['no rollout'], []]);
    expect(await store.intakes('world')).toEqual([]);
  });

  it('is told once where it cannot be dropped at once', async () => {
    const { request, entry } = await taken(corner.store, 'one');
    const stuck: Store = { ...corner.store, drop: () => Promise.reject(new Error('no Redis')) };
    const { commands, told } = someCommands(stuck);
    await commands.carryOut(request, entry);
    expect(told).toEqual(['no rollout']);
    expect(await corner.store.intakes('world')).toHaveLength(1);
  });

  it('that nobody carried out in time is told, and goes', async () => {
    const { request, entry } = await taken(corner.store, 'one');
    const { commands, told } = someCommands(corner.store);
    await commands.expire(request, entry);
    expect(told).toEqual(['replayed']);
    expect(await corner.store.intakes('world')).toEqual([]);
  });
});
