import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { createQueue } from '../../src/adapters/bullmq.ts';
import type { Queue } from '../../src/app/ports/queue.ts';
import { closeInTime, queueContract, ticks } from '../contracts/queue.ts';
import { recordingLog, redisCorner, startDoor, startPrivateRedis } from '../support/redis.ts';

const open: Queue[] = [];
const newQueue = (url: string, env: string, log = recordingLog()) => {
  const queue = createQueue({ url, env, log, concurrency: 50 });
  open.push(queue);
  return queue;
};
const closeAll = (close = (queue: Queue) => queue.close()) => Promise.all(open.splice(0).map((queue) => close(queue)));

const untilTicked = (queue: Queue, seen: readonly string[]) =>
  expect
    .poll(() => queue.wake('world-cccccc').then(() => seen), { timeout: 20_000, interval: 200 })
    .toContain('world-cccccc');

queueContract('redis', async () => {
  const { url } = redisCorner();
  return { url, close: async () => undefined };
});

describe('the queue without Redis', () => {
  it('loses hints without harm, and comes to life with Redis', { timeout: 50_000 }, async () => {
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
    await closeAll(closeInTime);
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
    await closeAll(closeInTime);
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
