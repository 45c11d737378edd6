/** What callers see of a Redis that is frozen, gone, emptied or restarted. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createQueue } from '../../../src/adapters/bullmq.ts';
import { createStore, type RedisStore } from '../../../src/adapters/redis/store.ts';
import { aService, loaded, record, start } from '../../contracts/store.ts';
import { BO } from '../../support/played.ts';
import { type PrivateRedis, recordingLog, startDoor, startPrivateRedis, withRedis } from '../../support/redis.ts';

let redis: PrivateRedis;
let store: RedisStore;
beforeEach(async () => {
  redis = await startPrivateRedis();
  store = createStore({ url: redis.url, env: 'test', log: recordingLog() });
  await store.now();
});
afterEach(async () => {
  redis.thaw();
  await store.close();
  await redis.stop();
});

/** How long a call takes to fail, ms. */
async function failsAfter(call: Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await expect(call).rejects.toThrow();
  return performance.now() - begun;
}

describe('a frozen Redis', () => {
  it('holds up neither an abort nor an acknowledgement', async () => {
    const { id } = await start(store, aService());
    redis.freeze();
    const took = await Promise.all([
      failsAfter(store.requestAbort(id, BO, null)),
      failsAfter(store.take('world', 'key', {})),
    ]);
    expect(Math.max(...took)).toBeLessThan(500);
    expect(await failsAfter(store.requestAbort(id, BO, null))).toBeLessThan(500);
  });

  it('holds up no other call for longer than 3 s, and works again when it is back', async () => {
    const service = aService();
    const { id } = await start(store, service);
    const found = await loaded(store, id);
    redis.freeze();
    expect(await failsAfter(record(store, found, { type: 'message_delivered', key: 'root', ts: '1' }))).toBeLessThan(
      3_000,
    );
    redis.thaw();
    await expect.poll(() => store.load(id), { timeout: 6_000 }).toMatchObject({ rollout: { id } });
    await expect
      .poll(() => store.requestAbort(id, BO, null), { timeout: 6_000 })
      .toMatchObject({ loaded: { abort: {} } });
  });
});

describe('a Redis that is gone', () => {
  it('fails every call at once, and serves them again when it is back', async () => {
    const door = await startDoor(redis.url);
    const away = createStore({ url: door.url, env: 'test', log: recordingLog() });
    const { id } = await start(away, aService());
    await door.shut();
    const took = await Promise.all([
      failsAfter(away.requestAbort(id, BO, null)),
      failsAfter(away.take('world', 'key', {})),
      failsAfter(away.load(id)),
    ]);
    expect(Math.max(...took)).toBeLessThan(500);
    await door.open();
    await expect.poll(() => away.load(id).catch(() => null), { timeout: 5_000 }).toMatchObject({ abort: null });
    await expect
      .poll(() => away.take('world', 'key', {}).catch(() => null), { timeout: 5_000 })
      .toMatchObject({ kind: 'new' });
    await away.close();
    await door.shut();
  });

  it('never does later what failed while it was away', async () => {
    const door = await startDoor(redis.url);
    const away = createStore({ url: door.url, env: 'test', log: recordingLog() });
    // Both connections are there: the first calls of each may wait for it.
    await Promise.all([away.now(), away.take('elsewhere', 'first', {})]);
    await door.shut();
    // By then the next try to connect is so far off that a call which waited for it would time out first.
    await sleep(750);
    await failsAfter(away.take('world', 'key', {}));
    await door.open();
    await expect.poll(() => away.take('world', 'another', {}).catch(() => null), { timeout: 5_000 }).not.toBeNull();
    expect(await store.intakes('world')).toHaveLength(1);
    await away.close();
    await door.shut();
  });

  it('is left for another connection when it vanished without a word', async () => {
    const door = await startDoor(redis.url);
    const away = createStore({ url: door.url, env: 'test', log: recordingLog() });
    await away.now();
    door.stall();
    await failsAfter(away.take('world', 'key', {}));
    await expect.poll(() => away.take('world', 'another', {}).catch(() => null), { timeout: 3_000 }).not.toBeNull();
    await away.close();
    await door.shut();
  });

  it('lets a store start, fail, close, and say so once', async () => {
    const door = await startDoor(redis.url);
    await door.shut();
    const log = recordingLog();
    const alone = createStore({ url: door.url, env: 'test', log });
    expect(await failsAfter(alone.take('world', 'key', {}))).toBeLessThan(500);
    await expect.poll(() => log.lines).toEqual(Array(2).fill({ level: 'warn', message: 'Redis connection failed' }));
    await alone.close();
  });
});

describe('an emptied Redis', () => {
  it('knows no rollout any more, and begins new ones above what the cluster shows', async () => {
    const service = aService();
    const { id } = await start(store, service);
    const found = await loaded(store, id);
    await withRedis(redis.url, (client) => client.flushall());
    expect(await store.load(id)).toBeNull();
    expect(await store.requestAbort(id, BO, null)).toBeNull();
    expect(await store.active([service])).toEqual([]);
    expect(await record(store, found, { type: 'message_delivered', key: 'root', ts: '1' })).toBe('conflict');
    expect(await store.nextEpoch(service, 7)).toBe(8);
    expect((await start(store, service)).created).toEqual({ kind: 'created' });
  });
});

describe('an account that may not look at the server', () => {
  it('works all the same, and is told what it cannot see', async () => {
    await withRedis(redis.url, (client) =>
      client.call('ACL', 'SETUSER', 'bot', 'on', '>pw', '~*', '&*', '+@all', '-info', '-config'),
    );
    const url = redis.url.replace('//', '//bot:pw@');
    const limited = createStore({ url, env: 'test', log: recordingLog() });
    const { created } = await start(limited, aService());
    expect(created).toEqual({ kind: 'created' });
    expect(await limited.warnings()).toEqual([expect.stringContaining('INFO is refused')]);
    await limited.reach();
    const queue = createQueue({ url, env: 'test', log: recordingLog(), concurrency: 1 });
    const ticked: string[] = [];
    queue.onTick(async (id) => void ticked.push(id));
    await queue.wake('world-aaaaaa');
    await expect.poll(() => ticked, { timeout: 5_000 }).toEqual(['world-aaaaaa']);
    await queue.close();
    await limited.close();
  });

  it('is told what INFO shows where only CONFIG is refused', async () => {
    await withRedis(redis.url, (client) =>
      client.call('ACL', 'SETUSER', 'bot', 'on', '>pw', '~*', '&*', '+@all', '-config'),
    );
    const limited = createStore({ url: redis.url.replace('//', '//bot:pw@'), env: 'test', log: recordingLog() });
    expect(await limited.warnings()).toEqual([expect.stringContaining('appendonly off')]);
    await limited.close();
  });
});
