import { afterEach, beforeEach, expect, it } from 'vitest';
import { createOutbox } from '../../src/app/outbox.ts';
import type { Sent } from '../../src/app/ports.ts';
import { loaded, start } from '../contracts/store.ts';
import { recordingLog } from '../support/redis.ts';
import { listeningChat, openCorner } from './support.ts';

let corner: ReturnType<typeof openCorner>;
beforeEach(() => {
  corner = openCorner();
});
afterEach(() => corner.close());

/** A rollout with these messages to send, and an outbox that Slack answers by key. */
async function outboxWith(keys: readonly string[], answer: (key: string) => Sent, messages = {}) {
  const { store } = corner;
  const { id } = await start(store, 'world', corner.env);
  const found = await loaded(store, id);
  await store.sent(
    id,
    (await store.unsent(id)).map(({ entry }) => entry),
  );
  await store.save(
    found,
    { type: 'message_delivered', key: 'note:1', ts: '1' },
    { rollout: { ...found.rollout, version: 2, messages }, messages: keys.map((key) => ({ key })) },
  );
  const shown: string[] = [];
  const { chat } = listeningChat({
    find: async () => null,
    show: async (_, { key }) => {
      shown.push(key);
      return answer(key);
    },
  });
  const rollouts = { record: async () => null };
  const outbox = createOutbox({ store, queue: { wake: async () => {} }, chat, rollouts, log: recordingLog() });
  return { id, shown, outbox };
}

const impossible: Sent = { kind: 'impossible', error: 'is_archived' };

it.each<[string, readonly string[], string, object]>([
  ['a root message', ['root', 'result', 'note:2'], 'root', {}],
  ['a gate', ['gate:1', 'chart:1'], 'gate:1', { root: '1' }],
])('what hangs on %s that Slack never takes is not tried for ever', async (_, keys, refused, messages) => {
  const { id, shown, outbox } = await outboxWith(
    keys,
    (key) => (key === refused ? impossible : { kind: 'sent', ts: '2' }),
    messages,
  );
  await outbox.flush(id);
  expect(shown).toEqual([refused]);
  expect(await corner.store.unsent(id)).toEqual([]);
  expect(await corner.store.pendingOutbox(100)).toEqual([]);
});

it('a chart whose gate only waits is kept for it', async () => {
  const { id, shown, outbox } = await outboxWith(['gate:1', 'chart:1'], () => ({ kind: 'later', ms: 60_000 }), {
    root: '1',
  });
  void outbox.flush(id);
  await expect.poll(() => shown).toContain('gate:1');
  expect((await corner.store.unsent(id)).map(({ outgoing }) => outgoing.key)).toEqual(['gate:1', 'chart:1']);
  await outbox.settled();
  expect(shown).not.toContain('chart:1');
}, 15_000);
