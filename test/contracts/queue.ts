/** What the queue promises, on any Redis. `start` gives one that `close` ends. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createQueue } from '../../src/adapters/bullmq.ts';
import type { Queue } from '../../src/app/ports/queue.ts';
import { keysOf, recordingLog } from '../support/redis.ts';

let queues = 0;

/** Ticks as they come, and a way to keep one from ending. */
export function ticks() {
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

/** Lets the 6 s that closing may take pass at once; what needs longer never ends. */
export async function closeInTime(queue: Queue): Promise<void> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const closing = queue.close();
    await vi.advanceTimersByTimeAsync(6_000);
    await closing;
  } finally {
    vi.useRealTimers();
  }
}

export function queueContract(
  name: string,
  start: () => Promise<{ readonly url: string; close(): Promise<void> }>,
): void {
  describe(`queue: ${name}`, () => {
    let url: string;
    let env: string;
    let close: () => Promise<void>;
    let queue: Queue;
    let ticked: ReturnType<typeof ticks>;
    const open: Queue[] = [];
    const newQueue = (log = recordingLog()) => {
      const made = createQueue({ url, env, log, concurrency: 50 });
      open.push(made);
      return made;
    };
    beforeAll(async () => {
      ({ url, close } = await start());
    });
    afterAll(() => close());
    beforeEach(() => {
      env = `queue-${++queues}`;
      queue = newQueue();
      ticked = ticks();
    });
    afterEach(async () => {
      await Promise.all(open.splice(0).map((one) => one.close()));
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
      expect(await keysOf(url, `{sluice-${env}}:ticks:delayed`)).toEqual([]);
    });

    it('goes on after a tick that failed, and does not repeat it', async () => {
      const log = recordingLog();
      const failing = newQueue(log);
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
      const left = () => keysOf(url, `{sluice-${env}}:ticks:*`);
      const lasting = ['events', 'id', 'marker', 'meta', 'stalled-check'].map(
        (name) => `{sluice-${env}}:ticks:${name}`,
      );
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
      await closeInTime(queue);
      open.length = 0;
    });
  });
}
