import { afterEach, beforeEach, expect, it } from 'vitest';
import { createCommands } from '../../src/app/commands.ts';
import { createPeople } from '../../src/app/people.ts';
import type { Store } from '../../src/app/ports.ts';
import { loaded, record, start } from '../contracts/store.ts';
import { recordingLog } from '../support/redis.ts';
import { configOf, listeningChat, only, openCorner, typed } from './support.ts';

let corner: ReturnType<typeof openCorner>;
beforeEach(() => {
  corner = openCorner();
});
afterEach(() => corner.close());

function someCommands(store: Store) {
  const log = recordingLog();
  const { chat } = listeningChat();
  const people = createPeople({ store, chat, log, clock: Date.now });
  const aborted: string[] = [];
  const commands = createCommands({
    ...{ config: configOf('test'), store, chat, people, log },
    rollouts: only({}),
    deploy: only({}),
    abort: async (id) => {
      aborted.push(id);
      const { rollout } = await loaded(store, id);
      return { kind: 'started', rollout, done: Promise.resolve() };
    },
  });
  return { commands, aborted };
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
  const { commands, aborted } = someCommands(store);
  await new Promise((resolve) => setTimeout(resolve, 2));
  const { request, entry } = await taken(store, 'one');
  const first = await commands.answer(request, entry);
  expect(first).toMatchObject({ kind: 'aborting' });
  // The sweep still holds the listing of before.
  expect(await commands.answer(request, entry)).toBeNull();
  expect(aborted).toEqual([id]);
});

it('an abort that was left over does not mean a rollout that began after it', async () => {
  const { store } = corner;
  const { request, entry } = await taken(store, 'one');
  await new Promise((resolve) => setTimeout(resolve, 2));
  await start(store, 'world', corner.env);
  const { commands, aborted } = someCommands(store);
  expect(await commands.answer(request, entry)).toEqual({ kind: 'no rollout', given: 'world' });
  expect(aborted).toEqual([]);
  expect(await store.intakes('world')).toEqual([]);
});

it('a service without a rollout is still a service', async () => {
  const { commands } = someCommands(corner.store);
  expect(await commands.answer(typed('abort world'), null)).toEqual({ kind: 'no rollout', given: 'world' });
  expect(await commands.answer(typed('abort wrold'), null)).toMatchObject({ kind: 'unknown service', near: 'world' });
});

it.each([
  ['its own channel', '1700.1', 'C0DEPLOYS'],
  ['the fallback channel', 'C0OPS/1700.1', 'C0OPS'],
])('a thread in %s is found', async (_, root, channel) => {
  const { store } = corner;
  const { id } = await start(store, 'world', corner.env);
  await record(store, await loaded(store, id), { type: 'message_delivered', key: 'root', ts: root });
  const { commands, aborted } = someCommands(store);
  await commands.answer(byAda('abort', { channel, ts: '1700.1' }), null);
  await commands.answer(byAda('abort', { channel: 'C0OTHER', ts: '1700.1' }), null);
  expect(aborted).toEqual([id]);
});
