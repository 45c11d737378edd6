import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { linkHash, verifyChain } from '../../../src/adapters/redis/chain.ts';
import { connectBounded, disconnect } from '../../../src/adapters/redis/connect.ts';
import { createKeys } from '../../../src/adapters/redis/keys.ts';
import { createRolloutStore } from '../../../src/adapters/redis/rollouts.ts';
import { scripts } from '../../../src/adapters/redis/scripts.ts';
import { createStore, type RedisStore } from '../../../src/adapters/redis/store.ts';
import { Unreadable } from '../../../src/app/unreadable.ts';
import { begin } from '../../../src/core/decide.ts';
import type { Event } from '../../../src/core/event.ts';
import { aService, loaded, playTo, record, start, storeContract } from '../../contracts/store.ts';
import { BO, samplePlan } from '../../support/played.ts';
import { recordingLog, redisCorner, startPrivateRedis, withRedis } from '../../support/redis.ts';

const log = recordingLog();
const closing = (stores: readonly RedisStore[]) => Promise.all(stores.map((store) => store.close()));

storeContract('redis', async () => {
  const { url, env, clear } = redisCorner();
  const stores = [createStore({ url, env, log }), createStore({ url, env, log })] as const;
  const close = async () => {
    await closing(stores);
    await clear();
  };
  return { stores, close };
});

storeContract('redis cluster', async () => {
  const redis = await startPrivateRedis({ cluster: true });
  const { url } = redis;
  const stores = [createStore({ url, env: 'test', log }), createStore({ url, env: 'test', log })] as const;
  const close = async () => {
    await closing(stores);
    await redis.stop();
  };
  return { stores, close };
});

describe('the store on Redis', () => {
  const corner = redisCorner();
  const { url, env } = corner;
  let store: RedisStore;
  beforeAll(() => {
    store = createStore({ url, env, log });
  });
  afterAll(async () => {
    await store.close();
    await corner.clear();
  });

  it('takes a whole outage of Slack out of the outbox at once', async () => {
    const { id } = await start(store, aService(), env);
    const { outbox } = createKeys(env).rollout(id);
    const many = 20_000;
    await withRedis(url, async (redis) => {
      const adding = redis.pipeline();
      for (let n = 0; n < many; n++) adding.xadd(outbox, '*', 'key', 'root', 'note', '');
      await adding.exec();
    });
    const entries = (await store.unsent(id)).map(({ entry }) => entry);
    expect(entries.length).toBeGreaterThanOrEqual(many);
    await store.sent(id, entries);
    expect(await store.unsent(id)).toEqual([]);
  });

  it.each([
    { gone: 'a minute', ms: 60_000, known: true },
    { gone: 'nine minutes', ms: 540_000, known: false },
  ])('a failure counts on when nobody tried again for $gone: $known', async ({ ms, known }) => {
    const name = aService();
    await (await store.lease(name, 1_000))?.release('failed');
    // As if it were so long ago.
    const left = `${createKeys(env).lease(name)}:left`;
    await withRedis(url, async (redis) => redis.pexpire(left, (await redis.pttl(left)) - ms));
    expect((await store.lease(name, 1_000))?.failingSince).toEqual(known ? expect.any(Number) : null);
  });

  it("what was set before Redis' clock was set back by an hour keeps nobody waiting for one", async () => {
    const name = aService();
    await store.lease(name, 1_000);
    await store.throttle(name, 60, 1);
    const { id } = await start(store, aService(), env);
    await expect.poll(() => store.pendingOutbox(1_000)).toContain(id);
    const { lease, bucket, unsent } = createKeys(env);
    const hour = 3_600_000;
    await withRedis(url, async (redis) => {
      await redis.zadd(unsent, (await store.now()) + hour, id);
      await redis.pexpire(lease(name), hour);
      await redis.set(bucket(name), (await store.now()) + hour, 'PX', hour);
    });
    expect(await store.lease(name, 1_000)).not.toBeNull();
    expect(await store.throttle(name, 60, 1)).toBe(0);
    expect(await store.pendingOutbox(1_000)).toContain(id);
  });

  it("what failed before Redis' clock was set back by an hour fails anew", async () => {
    const name = aService();
    await (await store.lease(name, 1_000))?.release('lasting');
    const ahead = (await store.now()) + 3_600_000;
    const left = `${createKeys(env).lease(name)}:left`;
    await withRedis(url, async (redis) => redis.hset(left, { failing: ahead, lasting: ahead }));
    expect(await store.lease(name, 1_000)).toMatchObject({ failingSince: null, lastingSince: null });
  });

  it('a full inbox takes nothing more, and loses nothing', async () => {
    const service = aService();
    const { inbox } = createKeys(env).service(service);
    await withRedis(url, async (redis) => {
      const filling = redis.pipeline();
      for (let n = 0; n < 9_999; n++) filling.xadd(inbox, '*', 'body', JSON.stringify(n));
      await filling.exec();
    });
    expect(await store.take(service, 'last', 'last')).toMatchObject({ kind: 'new' });
    expect(await store.take(service, 'more', 'more')).toEqual({ kind: 'full' });
    const waiting = await store.intakes(service);
    expect(waiting.map(({ body }) => body).slice(0, 2)).toEqual([0, 1]);
    expect(waiting).toHaveLength(10_000);
    // It was not taken, so it may come again.
    await store.drop(service, waiting[0]?.id ?? '');
    expect(await store.take(service, 'more', 'more')).toMatchObject({ kind: 'new' });
  });

  const keysOf = (service: string, id: string) => {
    const tag = `sluice:{${env}/${service}}`;
    return {
      lock: `${tag}:lock`,
      epoch: `${tag}:epoch`,
      state: `${tag}:ro:${id}`,
      events: `${tag}:ro:${id}:ev`,
      outbox: `${tag}:ro:${id}:ob`,
    };
  };

  it('needs at most 8 kB for a rollout that waits at its third gate', async () => {
    const service = aService();
    const { id } = await start(store, service, env);
    const waiting = await playTo(store, id, (phase, { gates }) => phase.kind === 'waiting' && gates.length === 3);
    await store.sent(
      id,
      (await store.unsent(id)).map(({ entry }) => entry),
    );
    for (const key of ['root', 'gate:1', 'gate:2', 'gate:3', 'chart:1', 'chart:2', 'chart:3'])
      await store.markSending(id, key);

    const { lock, epoch, state, events, outbox } = keysOf(service, id);
    const keys = { state, events, outbox, sending: `${state}:sending`, lock, epoch };
    const costs = await withRedis(url, (redis) =>
      Promise.all(
        Object.entries(keys).map(
          async ([name, key]) => [name, (await redis.memory('USAGE', key, 'SAMPLES', 0)) ?? 0] as const,
        ),
      ),
    );
    const bytes = costs.reduce((sum, [, cost]) => sum + cost, 0);
    console.log(`waiting at gate 3 after ${waiting.rollout.version} events: ${bytes} bytes`, Object.fromEntries(costs));
    expect(bytes).toBeLessThanOrEqual(8_192);
    expect(Object.fromEntries(costs)).toMatchObject({ outbox: 0 });
  });

  it('keeps what has ended for 30 days', async () => {
    const service = aService();
    const { id } = await start(store, service, env);
    const { state, events } = keysOf(service, id);
    const days = (key: string) => withRedis(url, async (redis) => (await redis.pttl(key)) / 86_400_000);
    expect(await days(state)).toBeLessThan(0);
    await playTo(store, id, (phase) => phase.kind === 'succeeded');
    const ended = await loaded(store, id);
    await record(store, ended, { type: 'message_delivered', key: 'result', ts: '1' });
    for (const key of [state, events]) expect(await days(key)).toBeCloseTo(30, 2);
  });

  it('runs its scripts after Redis has forgotten them', async () => {
    const { id } = await start(store, aService(), env);
    await withRedis(url, (redis) => redis.script('FLUSH'));
    expect(await store.load(id)).not.toBeNull();
    expect(await store.requestAbort(id, BO, null)).toMatchObject({ recorded: true });
  });

  it('finds a message although the sweep dropped its hint just before the message was written', async () => {
    const work = connectBounded(url, 'test', log, 2_000, scripts);
    const keys = createKeys(env);
    // The sweep of another replica looks when the hint is written and the transition is not.
    const interrupted = new Proxy(work, {
      get(target, name) {
        const member = Reflect.get(target, name);
        if (name !== 'sluiceSave') return typeof member === 'function' ? member.bind(target) : member;
        return async (...given: readonly string[]) => {
          await store.pendingOutbox(1_000);
          return target.sluiceSave(...given);
        };
      },
    });
    const { id } = await start(store, aService(), env);
    await store.sent(
      id,
      (await store.unsent(id)).map(({ entry }) => entry),
    );
    const found = await loaded(store, id);
    const messages = [{ key: 'root' }];
    const slow = createRolloutStore({ work: interrupted, urgent: work, keys, log });
    const event = { type: 'message_delivered', key: 'note:1', ts: '1' } as const;
    await slow.save(found, event, { rollout: { ...found.rollout, version: 2 }, messages });
    await work.ping();
    expect(await store.pendingOutbox(1_000)).toContain(id);
    await disconnect(work);
  });

  it('takes over a lock whose rollout was lost', async () => {
    const service = aService();
    const lost = await start(store, service, env);
    await withRedis(url, (redis) => redis.del(keysOf(service, lost.id).state));
    expect(await store.active([service])).toEqual([lost.id]);
    const { id, created } = await start(store, service, env);
    expect(created).toEqual({ kind: 'created' });
    expect(await store.holder(service)).toBe(id);
  });

  it.each(['succeeded', 'aborted'])('takes over a lock that a rollout kept although it %s', async (phase) => {
    const service = aService();
    const { id } = await start(store, service, env);
    await withRedis(url, (redis) => redis.hset(keysOf(service, id).state, 'phase', phase));
    expect((await start(store, service, env)).created).toEqual({ kind: 'created' });
  });

  it("leaves a lock alone that meanwhile is another's", async () => {
    const service = aService();
    const { id } = await start(store, service, env);
    await withRedis(url, (redis) => redis.set(keysOf(service, id).lock, `${service}-abcdef`));
    await playTo(store, id, (phase) => phase.kind === 'succeeded');
    expect(await store.holder(service)).toBe(`${service}-abcdef`);
  });

  it.each([
    ['version', 'ver', '7'],
    ['epoch', 'epoch', '7'],
    ['last event', 'head', 'another'],
  ])(
    'refuses a transition when Redis went to another past: its %s is not the one that was loaded',
    async (_, field, value) => {
      const service = aService();
      const { id } = await start(store, service, env);
      const found = await loaded(store, id);
      await withRedis(url, (redis) => redis.hset(keysOf(service, id).state, field, value));
      expect(await record(store, found, { type: 'message_delivered', key: 'note:1', ts: '1' })).toBe('conflict');
      expect(await store.events(id)).toHaveLength(1);
    },
  );

  it('refuses a transition of a rollout that was lost', async () => {
    const service = aService();
    const { id } = await start(store, service, env);
    const found = await loaded(store, id);
    await withRedis(url, (redis) => redis.del(keysOf(service, id).state));
    expect(await record(store, found, { type: 'message_delivered', key: 'note:1', ts: '1' })).toBe('conflict');
    expect(await store.load(id)).toBeNull();
  });

  it.each([
    ['its state is cut off', { state: '{"id":' }],
    ['its plan is no JSON', { plan: 'x' }],
    ['it is something else', { state: '{}' }],
    ['a part of it is missing', { head: null }],
    ['its recorded abort is cut off', { abort: '{' }],
  ])('says which rollout cannot be read, and how it is found again: %s', async (_, spoilt) => {
    const service = aService();
    const { id } = await start(store, service, env);
    const { state } = keysOf(service, id);
    await withRedis(url, async (redis) => {
      for (const [field, value] of Object.entries(spoilt))
        await (value === null ? redis.hdel(state, field) : redis.hset(state, field, value));
    });
    const failed = await store.load(id).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(Unreadable);
    const [, keys = ''] =
      /^rollout \S+ cannot be read in Redis \(.+\): delete it there \(DEL (.+)\),/.exec(
        `${failed instanceof Error && failed.message}`,
      ) ?? [];
    await withRedis(url, (redis) => redis.del(keys.split(' ')));
    expect(await store.load(id)).toBeNull();
    // As the sweep does with what only the cluster knows.
    const epoch = await store.nextEpoch(service, 9);
    const event = { type: 'requested', id, plan: samplePlan(service, env), epoch } as const;
    expect(await store.create(begin(event, await store.now()), event, null, { actor: BO, reason: null })).toEqual({
      kind: 'created',
    });
    expect(await store.load(id)).toMatchObject({ rollout: { id, epoch }, abort: { actor: BO } });
  });

  it('leaves a rollout alone that a newer Sluice wrote', async () => {
    const service = aService();
    const { id } = await start(store, service, env);
    const { state, epoch } = keysOf(service, id);
    await withRedis(url, (redis) => redis.hset(state, 'schema', 2));
    const kept = () => withRedis(url, (redis) => Promise.all([redis.hgetall(state), redis.get(epoch)]));
    const before = await kept();
    await expect(store.load(id)).rejects.toThrow(Unreadable);
    await expect(store.load(id)).rejects.toThrow('schema 2');
    await expect(store.requestAbort(id, BO, null)).rejects.toThrow('schema 2');
    expect(await kept()).toEqual(before);
  });

  it.each([
    ['a phase', { kind: 'resting', since: 1 }],
    ['a stage', { kind: 'stepping', stage: 'rehearse', since: 1 }],
  ])('leaves a rollout alone that a newer Sluice has brought to %s of its own', async (_, phase) => {
    const service = aService();
    const { id } = await start(store, service, env);
    const { state } = keysOf(service, id);
    const { plan: __, ...rest } = (await loaded(store, id)).rollout;
    const newer = JSON.stringify({ ...rest, phase });
    await withRedis(url, (redis) => redis.hset(state, 'state', newer));
    await expect(store.load(id)).rejects.toThrow(Unreadable);
    await expect(store.load(id)).rejects.toThrow(/newer Sluice/);
    // Its abort is recorded for whoever knows more.
    await expect(store.requestAbort(id, BO, null)).rejects.toThrow(/newer Sluice/);
    const kept = await withRedis(url, (redis) => redis.hmget(state, 'state', 'abort'));
    expect(kept).toEqual([newer, expect.any(String)]);
  });

  it('says how this Redis can lose data', async () => {
    expect(await store.warnings()).toEqual([expect.stringContaining('appendonly')]);
  });

  describe('the chain of events', () => {
    const service = aService();
    let id: string;
    beforeAll(async () => {
      ({ id } = await start(store, service, env));
      await playTo(store, id, (phase) => phase.kind === 'waiting');
    });

    it('verifies, and ends in the head', async () => {
      expect(verifyChain(await store.events(id))).toEqual({ ok: true, head: (await loaded(store, id)).head });
    });

    it.each<[string, (redis: Redis, key: { events: string; state: string }) => Promise<unknown>]>([
      [
        'a changed byte',
        async (redis, { events }) =>
          redis.lset(events, 4, String(await redis.lindex(events, 4)).replace('"root"', '"foot"')),
      ],
      [
        'a changed time',
        async (redis, { events }) => redis.lset(events, 4, String(await redis.lindex(events, 4)).replace('1', '2')),
      ],
      [
        'an event that was written anew together with its own hash',
        async (redis, { events }) => {
          const recorded = await store.events(id);
          const [before, told] = recorded.slice(3, 5);
          if (!before || !told) throw new Error('there are five events');
          const event: Event = { type: 'message_delivered', key: 'root', ts: '2' };
          const hash = linkHash(before.hash, told.version, told.at, event);
          await redis.lset(events, 4, `${told.at} ${hash} ${JSON.stringify(event)}`);
        },
      ],
      ['a dropped event', async (redis, { events }) => redis.lrem(events, 1, String(await redis.lindex(events, 4)))],
      ['a dropped beginning', async (redis, { events }) => redis.lpop(events)],
      ['another plan', async (redis, { state }) => redis.hset(state, 'plan', '{"kind":"rollback"}')],
    ])('shows %s', async (_, tamper) => {
      const { state, events } = keysOf(service, id);
      await withRedis(url, async (redis) => {
        await redis.copy(events, `${events}:copy`, 'REPLACE');
        await redis.copy(state, `${state}:copy`, 'REPLACE');
        await tamper(redis, { state, events });
        const verified = verifyChain(await store.events(id));
        await redis.rename(`${events}:copy`, events);
        await redis.rename(`${state}:copy`, state);
        expect(verified).toMatchObject({ ok: false });
      });
    });
  });
});
