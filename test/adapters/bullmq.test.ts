import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createQueue } from '../../src/adapters/bullmq.ts';
import type { Queue } from '../../src/app/ports.ts';
import { recordingLog, redisCorner, startDoor, startPrivateRedis, withRedis } from '../support/redis.ts';

const open: Queue[] = [];
const newQueue = (url: string, env: string, log = recordingLog()) => {
  const queue = createQueue({ url, env, log, concurrency: 50 });
  open.push(queue);
  return queue;
};
const closeAll = () => Promise.all(open.splice(0).map((queue) => queue.close()));

/** Ticks as they come, and a way to keep one from ending. */
function ticks() {
  const seen: string[] = [];
  let hold: Promise<void> | undefined;
  return {
    seen,
    handler: async (id: string) => {
      seen.push(id);
      await hold;
    },
    holdNext() {
      const { promise, resolve } = Promise.withResolvers<void>();
      hold = promise;
      return () => {
        hold = undefined;
        resolve();
      };
    },
  };
}

const untilTicked = (queue: Queue, seen: readonly string[]) =>
  expect
    .poll(() => queue.wake('world-cccccc').then(() => seen), { timeout: 8_000, interval: 200 })
    .toContain('world-cccccc');

describe('the queue', () => {
  const { url, env, clear } = redisCorner();
  let queue: Queue;
  let ticked: ReturnType<typeof ticks>;
  beforeEach(() => {
    queue = newQueue(url, env);
    ticked = ticks();
  });
  afterEach(async () => {
    await closeAll();
    await clear();
  });

  it('brings each wake-up to the handler', async () => {
    queue.onTick(ticked.handler);
    await Promise.all([queue.wake('world-aaaaaa'), queue.wake('world-bbbbbb')]);
    await expect.poll(() => ticked.seen.toSorted()).toEqual(['world-aaaaaa', 'world-bbbbbb']);
  });

  it('keeps a wake-up that comes during a tick of the same rollout for right after it', async () => {
    const release = ticked.holdNext();
    queue.onTick(ticked.handler);
    await queue.wake('world-aaaaaa');
    await expect.poll(() => ticked.seen).toHaveLength(1);
    for (let n = 0; n < 5; n++) await queue.wake('world-aaaaaa');
    release();
    await expect.poll(() => ticked.seen).toHaveLength(2);
    await queue.wake('world-bbbbbb');
    await expect.poll(() => ticked.seen).toEqual(['world-aaaaaa', 'world-aaaaaa', 'world-bbbbbb']);
  });

  it('runs a wake-up at once while a timer of the same rollout waits', async () => {
    queue.onTick(ticked.handler);
    await queue.wakeAt('world-aaaaaa', 60_000, 0);
    await queue.wake('world-aaaaaa');
    await expect.poll(() => ticked.seen).toEqual(['world-aaaaaa']);
  });

  it('ticks at the time it was asked for, and not before', async () => {
    const release = ticked.holdNext();
    queue.onTick(ticked.handler);
    const asked = performance.now();
    await queue.wakeAt('world-aaaaaa', 1_000_400, 1_000_000);
    await expect.poll(() => ticked.seen, { interval: 5, timeout: 3_000 }).toHaveLength(1);
    expect(performance.now() - asked).toBeGreaterThan(390);
    release();
  });

  it('makes one timer of those for the same time, even if asked for during that tick', async () => {
    const release = ticked.holdNext();
    queue.onTick(ticked.handler);
    for (let n = 0; n < 5; n++) await queue.wakeAt('world-aaaaaa', 1_000_000, 999_900);
    await expect.poll(() => ticked.seen).toHaveLength(1);
    await queue.wakeAt('world-aaaaaa', 1_000_000, 999_990);
    release();
    await expect.poll(() => ticked.seen).toHaveLength(2);
    const jobs = await withRedis(url, (redis) => redis.zcard(`{sluice-${env}}:ticks:delayed`));
    expect(jobs).toBe(0);
  });

  it('goes on after a tick that failed, and does not repeat it', async () => {
    const log = recordingLog();
    const failing = newQueue(url, env, log);
    failing.onTick(async (id) => {
      ticked.seen.push(id);
      if (id === 'world-aaaaaa') throw new Error('no cluster');
    });
    await failing.wake('world-aaaaaa');
    await expect.poll(() => log.lines).toContainEqual({ level: 'error', message: 'tick failed' });
    await failing.wake('world-bbbbbb');
    await expect.poll(() => ticked.seen).toEqual(['world-aaaaaa', 'world-bbbbbb']);
  });

  it('leaves nothing in Redis of what is done', async () => {
    queue.onTick(ticked.handler);
    for (let n = 0; n < 20; n++) await queue.wake(`world-00000${n % 10}`);
    await queue.wakeAt('world-aaaaaa', 10, 0);
    await expect.poll(() => ticked.seen).toContain('world-aaaaaa');
    const left = () => withRedis(url, (redis) => redis.keys(`{sluice-${env}}:ticks:*`));
    const lasting = ['events', 'id', 'marker', 'meta', 'stalled-check'].map((name) => `{sluice-${env}}:ticks:${name}`);
    await expect.poll(async () => (await left()).filter((key) => !lasting.includes(key))).toEqual([]);
  });

  it('shows progress without traffic', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      queue.onTick(ticked.handler);
      const before = queue.lastProgress();
      await sleep(5);
      await vi.advanceTimersByTimeAsync(10_000);
      await expect.poll(() => queue.lastProgress()).toBeGreaterThan(before);
      expect(ticked.seen).toEqual([]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('closes within its time even if a tick never ends', async () => {
    ticked.holdNext();
    queue.onTick(ticked.handler);
    await queue.wake('world-aaaaaa');
    await expect.poll(() => ticked.seen).toHaveLength(1);
    const asked = performance.now();
    await queue.close();
    expect(performance.now() - asked).toBeLessThan(6_000);
    open.length = 0;
  });
});

describe('the queue without Redis', () => {
  it('loses hints without harm, and comes to life with Redis', async () => {
    const { url, env, clear } = redisCorner();
    const door = await startDoor(url);
    await door.shut();
    const log = recordingLog();
    const queue = newQueue(door.url, env, log);
    const ticked = ticks();
    queue.onTick(ticked.handler);
    const asked = performance.now();
    await queue.wake('world-aaaaaa');
    await queue.wakeAt('world-aaaaaa', 1, 0);
    expect(performance.now() - asked).toBeLessThan(2_500);
    expect(log.lines).toContainEqual({ level: 'warn', message: 'hint not queued' });
    await door.open();
    await untilTicked(queue, ticked.seen);

    await door.shut();
    await door.open();
    ticked.seen.length = 0;
    await untilTicked(queue, ticked.seen);
    await closeAll();
    await door.shut();
    await clear();
  });

  it('is not overdue while Redis is away: a restart would not bring it back', async () => {
    const door = await startDoor('redis://127.0.0.1:1');
    await door.shut();
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const queue = newQueue(door.url, 'test');
      queue.onTick(async () => {});
      const before = queue.lastProgress();
      await sleep(5);
      await vi.advanceTimersByTimeAsync(10_000);
      await expect.poll(() => queue.lastProgress(), { timeout: 5_000 }).toBeGreaterThan(before);
    } finally {
      vi.useRealTimers();
    }
    await closeAll();
  });

  it('is overdue when Redis answers and ticks do not come', async () => {
    const { url, env, clear } = redisCorner();
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const queue = createQueue({ url, env, log: recordingLog(), concurrency: 1 });
      open.push(queue);
      const ticked = ticks();
      const release = ticked.holdNext();
      queue.onTick(ticked.handler);
      await queue.wake('world-aaaaaa');
      await expect.poll(() => ticked.seen).toHaveLength(1);
      const before = queue.lastProgress();
      await vi.advanceTimersByTimeAsync(10_000);
      await sleep(300);
      expect(queue.lastProgress()).toBe(before);
      release();
    } finally {
      vi.useRealTimers();
    }
    await closeAll();
    await clear();
  });

  it('closes although Redis never came', async () => {
    const door = await startDoor('redis://127.0.0.1:1');
    await door.shut();
    const queue = newQueue(door.url, 'test');
    queue.onTick(async () => {});
    const asked = performance.now();
    await closeAll();
    expect(performance.now() - asked).toBeLessThan(6_000);
  });

  it('fails a wake-up within its time while Redis is frozen, and ticks again after it', async () => {
    const redis = await startPrivateRedis();
    const queue = newQueue(redis.url, 'test');
    const ticked = ticks();
    queue.onTick(ticked.handler);
    await queue.wake('world-aaaaaa');
    await expect.poll(() => ticked.seen).toHaveLength(1);
    redis.freeze();
    const asked = performance.now();
    await queue.wake('world-bbbbbb');
    expect(performance.now() - asked).toBeLessThan(1_500);
    redis.thaw();
    await untilTicked(queue, ticked.seen);
    await closeAll();
    await redis.stop();
  });
});
