import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createKeys } from '../../src/adapters/redis/keys.ts';
import { createOutbox } from '../../src/app/outbox.ts';
import type { Sent } from '../../src/app/ports/chat.ts';
import type { Store } from '../../src/app/ports/store.ts';
import type { Event } from '../../src/core/event.ts';
import { loaded, record, start } from '../contracts/store.ts';
import { recordingLog, withRedis } from '../support/redis.ts';
import { listeningChat, openCorner } from './support.ts';

let corner: ReturnType<typeof openCorner>;
beforeEach(() => {
  corner = openCorner();
});
afterEach(() => corner.close());

/**
 * A rollout with these messages to send, and an outbox that Slack answers by key; `find`: what looking for one finds; `failing`: how
 * often nothing can be recorded; `waitMs`: for one more call; `clock`: of the process; `isBroken`: nothing can be read.
 */
async function outboxWith(
  keys: readonly string[],
  answer: (key: string) => Sent | Promise<Sent>,
  messages = {},
  {
    find = async () => null,
    findOther = async () => null,
    failing = 0,
    waitMs = () => 0,
    clock = () => performance.now(),
    isBroken = () => false,
    home = async () => 'C0HOME',
  }: {
    find?: () => Promise<string | null>;
    findOther?: () => Promise<string | null>;
    failing?: number;
    waitMs?: (bucket: string) => number;
    clock?: () => number;
    isBroken?: () => boolean;
    home?: () => Promise<string>;
  } = {},
) {
  let looks = 0;
  const held: [bucket: string, ms: number][] = [];
  const store: Store = {
    ...corner.store,
    throttle: async (bucket) => waitMs(bucket),
    holdBack: async (bucket, _, __, ms) => void held.push([bucket, ms]),
    async unsent(one) {
      looks++;
      if (isBroken()) throw new Error('no Redis');
      return corner.store.unsent(one);
    },
  };
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
  const retracted: string[] = [];
  const searched: string[] = [];
  const { chat } = listeningChat({
    home,
    find: async (_, key) => {
      searched.push(key);
      return find();
    },
    show: async (rollout, { key }) => {
      shown.push(rollout.messages[key] === undefined ? key : `edit of ${key}`);
      return answer(key);
    },
    findOther,
    retract: async (_, ts) => void retracted.push(ts),
  });
  const recorded: Event[] = [];
  const rollouts = {
    record: async (_: string, event: Event) => {
      if (failing-- > 0) throw new Error('no Redis');
      recorded.push(event);
      if (event.type === 'message_delivered') await record(store, await loaded(store, id), event);
      return null;
    },
  };
  const outbox = createOutbox({ store, queue: { wake: async () => {} }, chat, rollouts, log: recordingLog(), clock });
  return { ...{ id, shown, searched, retracted, recorded, held, outbox }, looks: () => looks };
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

it('a message whose post was not answered is looked for, and not posted again but drawn anew', async () => {
  const edited: Sent = { kind: 'sent', ts: '7' };
  const { id, shown, recorded, outbox } = await outboxWith(
    ['gate:1'],
    () => edited,
    { root: '1' },
    { find: async () => '7' },
  );
  // Another process was about to post it, and died; since then the gate may have been decided.
  await corner.store.markSending(id, 'gate:1');
  await outbox.flush(id);
  expect(recorded).toEqual([{ type: 'message_delivered', key: 'gate:1', ts: '7' }]);
  expect(shown).toEqual(['edit of gate:1']);
  expect(await corner.store.unsent(id)).toEqual([]);
});

it('an edit that came after its lease had run out is made again, from the newest state', async () => {
  const standsStill = async (): Promise<Sent> => {
    const lease = createKeys(corner.env).lease(`outbox:${id}`);
    if (shown.length === 1) await withRedis(corner.url, (redis) => redis.del(lease));
    return { kind: 'sent', ts: '1' };
  };
  const { id, shown, outbox } = await outboxWith(['root'], standsStill, { root: '1' });
  await outbox.flush(id);
  expect(shown).toEqual(['edit of root', 'edit of root']);
});

it('a message that somebody else posted meanwhile is taken back', async () => {
  const posted: Event = { type: 'message_delivered', key: 'gate:1', ts: '7' };
  const standsStill = async (): Promise<Sent> => {
    await record(corner.store, await loaded(corner.store, id), posted);
    return { kind: 'sent', ts: '8' };
  };
  const { id, retracted, recorded, outbox } = await outboxWith(['gate:1'], standsStill, { root: '1' });
  await outbox.flush(id);
  expect({ retracted, recorded }).toEqual({ retracted: ['8'], recorded: [] });
});

it('a post that had no answer, and came through after that of somebody else, is taken back', async () => {
  const standsStill = async (): Promise<Sent> => {
    if (shown.length > 1) return { kind: 'sent', ts: '7' };
    await record(corner.store, await loaded(corner.store, id), {
      type: 'message_delivered',
      key: 'gate:1',
      ts: '7',
    });
    await withRedis(corner.url, (redis) => redis.del(createKeys(corner.env).lease(`outbox:${id}`)));
    throw new Error('no answer within 3 s');
  };
  const others = { findOther: async () => '8' };
  const { id, shown, retracted, outbox } = await outboxWith(['gate:1'], standsStill, { root: '1' }, others);
  await outbox.flush(id);
  expect(new Set(shown.slice(1))).toEqual(new Set(['edit of gate:1']));
  expect(retracted).toEqual(['8']);
});

it('what cannot be put right at once is for the sweep, and done once', async () => {
  let now = 0;
  const standsStill = async (): Promise<Sent> => {
    const lease = createKeys(corner.env).lease(`outbox:${id}`);
    if (shown.length === 1) await withRedis(corner.url, (redis) => redis.del(lease));
    return shown.length === 2 ? { kind: 'later', ms: 30_000 } : { kind: 'sent', ts: '1' };
  };
  const { id, shown, outbox } = await outboxWith(['root'], standsStill, { root: '1' }, { clock: () => now });
  await outbox.flush(id);
  expect(await corner.store.pendingOutbox(100)).toEqual([]);
  expect(outbox.doubts()).toEqual([id]);
  now = 120_000;
  await outbox.flush(id);
  expect(outbox.doubts()).toEqual([]);
  await outbox.flush(id);
  expect(shown).toHaveLength(3);
});

it('a doubt that has to wait keeps no other from being drawn anew', async () => {
  const waitMs = (bucket: string) => (bucket === 'find' ? 60_000 : 0);
  const answers = async (key: string): Promise<Sent> => {
    if (key === 'note:2') {
      await record(corner.store, await loaded(corner.store, id), { type: 'message_delivered', key, ts: '7' });
      throw new Error('no answer within 3 s');
    }
    const lease = createKeys(corner.env).lease(`outbox:${id}`);
    if (shown.length < 3) await withRedis(corner.url, (redis) => redis.del(lease));
    return { kind: 'sent', ts: '1' };
  };
  const { id, shown, outbox } = await outboxWith(['note:2', 'root'], answers, { root: '1' }, { waitMs });
  await outbox.flush(id);
  expect(shown.filter((one) => one === 'edit of root')).toHaveLength(2);
  expect(outbox.doubts()).toEqual([id]);
});

it('a message that was looked for, and is not there, is not looked for again while its channel has to wait', async () => {
  const looks: string[] = [];
  const waitMs = (bucket: string) => (bucket === 'find' ? looks.push(bucket) && 0 : 30_000);
  const { id, shown, outbox } = await outboxWith(
    ['gate:1'],
    () => ({ kind: 'sent', ts: '8' }),
    { root: '1' },
    { waitMs },
  );
  await corner.store.markSending(id, 'gate:1');
  for (let n = 0; n < 5; n++) await outbox.flush(id);
  expect({ looks, shown }).toEqual({ looks: ['find'], shown: [] });
});

it('a message that Slack took while Redis went away is not posted again', async () => {
  const sent = (): Sent => ({ kind: 'sent', ts: '8' });
  const { id, shown, retracted, recorded, outbox } = await outboxWith(['gate:1'], sent, { root: '1' }, { failing: 1 });
  await outbox.flush(id);
  expect(shown).toEqual(['gate:1', 'edit of gate:1']);
  expect(recorded).toEqual([{ type: 'message_delivered', key: 'gate:1', ts: '8' }]);
  expect(retracted).toEqual([]);
  expect(await corner.store.unsent(id)).toEqual([]);
});

it('a post that Slack refused because of its rates is tried again, and not looked for', async () => {
  const refusedOnce = (): Sent => (shown.length === 1 ? { kind: 'later', ms: 10 } : { kind: 'sent', ts: '8' });
  const { id, shown, searched, recorded, held, outbox } = await outboxWith(['gate:1'], refusedOnce, { root: '1' });
  await outbox.flush(id);
  expect(shown).toEqual(['gate:1', 'gate:1']);
  expect(held).toEqual([['post:C0HOME', 10]]);
  expect(searched).toEqual([]);
  expect(recorded).toEqual([{ type: 'message_delivered', key: 'gate:1', ts: '8' }]);
});

it('a message that has to be looked for takes nothing of its channel while nobody may look', async () => {
  const taken: string[] = [];
  const waitMs = (bucket: string) => (taken.push(bucket) && bucket === 'find' ? 60_000 : 0);
  const { id, shown, outbox } = await outboxWith(['gate:1'], () => impossible, { root: '1' }, { waitMs });
  await corner.store.markSending(id, 'gate:1');
  await outbox.flush(id);
  expect({ taken, shown }).toEqual({ taken: ['find'], shown: [] });
});

it.each([
  ['was looked for once', true, ['gate:1']],
  ['nobody has tried to post yet', false, []],
])('a message that %s is not looked for because its channel makes it wait', async (_, isTried, looks) => {
  const sent = (): Sent => ({ kind: 'sent', ts: '8' });
  let waits = 1;
  const waitMs = (bucket: string) => (bucket === 'post:C0HOME' && waits-- > 0 ? 10 : 0);
  const { id, shown, searched, outbox } = await outboxWith(['gate:1'], sent, { root: '1' }, { waitMs });
  if (isTried) await corner.store.markSending(id, 'gate:1');
  await outbox.flush(id);
  expect({ shown, searched }).toEqual({ shown: ['gate:1'], searched: looks });
});

it('who waits for Slack to take more holds no lease meanwhile, and tells at once what comes then', async () => {
  const sent = (): Sent => ({ kind: 'sent', ts: '8' });
  let looks = 0;
  const waitMs = (bucket: string) => {
    looks++;
    return bucket.startsWith('post') || shown.length > 0 ? 0 : 2_900;
  };
  const { id, shown, outbox } = await outboxWith(['root'], sent, { root: '1' }, { waitMs });
  const flushed = outbox.flush(id);
  const lease = () => withRedis(corner.url, (redis) => redis.exists(createKeys(corner.env).lease(`outbox:${id}`)));
  await expect.poll(() => looks).toBeGreaterThan(0);
  await expect.poll(lease).toBe(0);
  const found = await loaded(corner.store, id);
  const event: Event = { type: 'message_delivered', key: 'note:3', ts: '3' };
  const { rollout } = found;
  await corner.store.save(found, event, {
    rollout: { ...rollout, version: rollout.version + 1 },
    messages: [{ key: 'result' }],
  });
  void outbox.flush(id);
  await flushed;
  expect(shown).toEqual(['result', 'edit of root']);
});

it('an edit that has to wait keeps no post waiting', async () => {
  const sent = (): Sent => ({ kind: 'sent', ts: '8' });
  const waitMs = (bucket: string) => (bucket.startsWith('post') ? 0 : 60_000);
  const { id, shown, outbox } = await outboxWith(['gate:1', 'result'], sent, { root: '1', 'gate:1': '2' }, { waitMs });
  await outbox.flush(id);
  expect(shown).toEqual(['result']);
  expect((await corner.store.unsent(id)).map(({ outgoing }) => outgoing.key)).toEqual(['gate:1']);
});

it('a picture that ends the process each time it is drawn is given up, and the words are sent', async () => {
  const sent = (): Sent => ({ kind: 'sent', ts: '8' });
  const { id, shown, outbox } = await outboxWith(['chart:1', 'result'], sent, { root: '1', 'gate:1': '2' });
  for (let died = 0; died < 5; died++) await expect.poll(() => corner.store.lease(`outbox:${id}`, 20)).not.toBeNull();
  await expect
    .poll(() => withRedis(corner.url, (redis) => redis.exists(createKeys(corner.env).lease(`outbox:${id}`))))
    .toBe(0);
  await outbox.flush(id);
  expect(shown).toEqual(['result']);
  expect(await corner.store.unsent(id)).toEqual([]);
});

describe('a message that fails', () => {
  const broken = (key: string): Sent => {
    if (key === 'note:2') throw new Error('Slack did not answer');
    return { kind: 'sent', ts: '8' };
  };

  it('rests for longer each time, whoever calls', async () => {
    let now = 0;
    const { id, shown, looks, outbox } = await outboxWith(['note:2'], broken, { root: '1' }, { clock: () => now });
    const tried: [at: number, times: number][] = [];
    for (const at of [0, 249, 250, 1_249, 1_250, 4_249, 4_250, 7_249, 7_250]) {
      now = at;
      for (let calls = 0; calls < 3; calls++) {
        const before = looks();
        void outbox.flush(id);
        await expect.poll(looks).toBeGreaterThan(before);
      }
      tried.push([at, shown.length]);
    }
    expect(tried.map(([, times]) => times)).toEqual([1, 1, 2, 2, 3, 3, 4, 4, 5]);
    await outbox.settled();
  });

  it('rests with all others of its rollout where nothing can be read', async () => {
    let now = 0;
    let isBroken = false;
    const given = { clock: () => now, isBroken: () => isBroken };
    const { id, shown, looks, outbox } = await outboxWith(['result'], broken, { root: '1' }, given);
    const tried: number[] = [];
    isBroken = true;
    const before = looks();
    for (now of [0, 249, 250, 999]) {
      for (let calls = 0; calls < 3; calls++) {
        void outbox.flush(id);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      tried.push(looks() - before);
    }
    expect(tried).toEqual([1, 1, 2, 2]);
    isBroken = false;
    now = 1_250;
    await outbox.flush(id);
    await expect.poll(() => shown).toEqual(['result']);
  });

  it('keeps no other waiting, and is not given up', async () => {
    const { id, shown, outbox } = await outboxWith(['note:2', 'result', 'root'], broken, { root: '1' });
    void outbox.flush(id);
    await expect.poll(() => shown).toEqual(['result', 'note:2', 'edit of root']);
    expect((await corner.store.unsent(id)).map(({ outgoing }) => outgoing.key)).toEqual(['note:2']);
    await outbox.settled();
    expect((await corner.store.lease(`outbox:${id}`, 1_000))?.abandoned).toBe(0);
    expect((await corner.store.unsent(id)).map(({ outgoing }) => outgoing.key)).toEqual(['note:2']);
  }, 15_000);

  it('has one try in a turn: several that fail slowly keep neither it nor the lease', async () => {
    let now = 0;
    const slow = (): Sent => {
      now += 5_000;
      throw new Error('no answer');
    };
    const { id, shown, outbox } = await outboxWith(['result', 'note:2'], slow, { root: '1' }, { clock: () => now });
    void outbox.flush(id);
    await expect.poll(() => shown).toEqual(['result', 'note:2']);
    // The turn is over: what is left is tried by a later one.
    await expect.poll(async () => (await corner.store.lease(`outbox:${id}`, 1_000)) !== null).toBe(true);
    expect(shown).toHaveLength(2);
    await outbox.settled();
  });

  it('is looked for no sooner than Slack asks, by no replica', async () => {
    let now = 0;
    const find = async () => {
      throw Object.assign(new Error('looking'), { retryAfterMs: 30_000 });
    };
    const sent = (): Sent => ({ kind: 'sent', ts: '8' });
    const given = { find, clock: () => now };
    const { id, shown, searched, held, outbox } = await outboxWith(['gate:1'], sent, { root: '1' }, given);
    await corner.store.markSending(id, 'gate:1');
    for (now of [0, 26_000]) await outbox.flush(id);
    expect({ searched, shown }).toEqual({ searched: ['gate:1'], shown: [] });
    expect(held).toEqual([['find', 30_000]]);
    now = 30_000;
    await outbox.flush(id);
    expect(searched).toHaveLength(2);
  });
});
