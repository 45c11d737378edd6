/** Redis keeps its connections and does not answer: frozen, paused by somebody, or busy with one long command. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startRedisServer } from '../support/redis-server.ts';
import { type RedisStage, useRedisStage } from './redis-stage.ts';

const set = useRedisStage(() => startRedisServer({ 'enable-debug-command': 'yes' }));
type Set = RedisStage<Awaited<ReturnType<typeof startRedisServer>>>;

const STANDS_MS = 4_000;
const BEGUN_MS = 300;

/** Each answers with how to end it; what ends by itself is waited for. */
const faults: readonly [string, (now: Set) => Promise<() => Promise<unknown>>][] = [
  [
    'frozen (SIGSTOP)',
    async ({ redis }) => {
      redis.freeze();
      return async () => redis.thaw();
    },
  ],
  [
    'paused for everything (CLIENT PAUSE)',
    async ({ redis }) => {
      const paused = redis.run('CLIENT', 'PAUSE', STANDS_MS, 'ALL');
      await sleep(BEGUN_MS);
      return async () => {
        await paused;
        await redis.run('CLIENT', 'UNPAUSE').catch(() => undefined);
      };
    },
  ],
  [
    'busy (DEBUG SLEEP)',
    async ({ redis }) => {
      const slept = redis.run('DEBUG', 'SLEEP', STANDS_MS / 1_000).catch(() => undefined);
      await sleep(BEGUN_MS);
      return () => slept;
    },
  ],
];

test.each(faults)('%s: an approval is answered as not recorded, and has no effect later', async (_, begin) => {
  const now = set();
  await now.begin();
  const end = await begin(now);
  await now.approve('bo', 'Approve 100%');
  await now.told('bo', /Not recorded, so nothing happened/);
  expect(now.stage.weights.at(-1)).toBe(50);
  await end();
  // Only the one that comes now counts.
  await now.insist('cy', 'Approve 100%');
  await now.gate('Promote');
  expect(
    now.stage.slack
      .thread()
      .filter(({ text }) => /approved/i.test(text))
      .every(({ text }) => !/@bo/.test(text)),
  ).toBe(true);
  await now.abort('bo');
  await now.back(/aborted by @bo/i);
});

test.each(faults)(
  '%s: an abort works at once, straight at the cluster, and is told with its name',
  async (_, begin) => {
    const now = set();
    await now.begin();
    const end = await begin(now);
    await now.abort('bo');
    await now.weightIs(0, 3_000);
    await now.told('bo', /written straight to the cluster/);
    await end();
    await now.back(/aborted by @bo/i);
  },
);

test('frozen in the middle of a step, for longer than every lease: nothing moves, then it goes on', async () => {
  const now = set();
  await now.stage.slack.command('ana', 'world v2 brisk');
  await now.weightIs(50);
  now.redis.freeze();
  const moved = now.stage.weights.length;
  await sleep(8_000);
  expect(now.stage.weights).toHaveLength(moved);
  now.redis.thaw();
  await now.insist('bo', 'Approve 100%');
  await now.approve('bo', 'Promote');
  await now.live();
});
