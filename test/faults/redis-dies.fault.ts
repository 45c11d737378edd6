/**
 * Redis is killed and comes back with what it had acknowledged: appendfsync always, since everysec holds writes back for up
 * to two seconds while the disk is busy.
 */
import { expect, test } from 'vitest';
import { startRedisServer } from '../support/redis-server.ts';
import { type RedisStage, useRedisStage } from './redis-stage.ts';

const set = useRedisStage(() => startRedisServer({ appendfsync: 'always' }));
type Set = RedisStage<Awaited<ReturnType<typeof startRedisServer>>>;

const die = async ({ redis, backAfter }: Set) => {
  await redis.kill();
  await backAfter(redis.restart);
};

test.each<[string, (now: Set) => Promise<void>]>([
  [
    'at a gate',
    async (now) => {
      await now.begin();
      await die(now);
      await now.approve('bo', 'Approve 100%');
    },
  ],
  [
    'right after an approval was acknowledged: it counts',
    async (now) => {
      await now.begin();
      await now.approve('bo', 'Approve 100%');
      await die(now);
    },
  ],
  [
    'while the canary starts',
    async (now) => {
      await now.stage.slack.command('ana', 'world v2 brisk');
      await die(now);
      await now.approve('bo', 'Approve 100%');
    },
  ],
])('killed %s, the rollout goes on to its end', async (_, happens) => {
  const now = set();
  await happens(now);
  await now.approve('bo', 'Promote');
  await die(now);
  await now.live();
  expect(now.stage.weights.filter((weight) => weight > 0)).toEqual([50, 100]);
});

test('killed right after an abort was acknowledged: it is carried out', async () => {
  const now = set();
  await now.begin();
  await now.abort('bo');
  await now.redis.kill();
  await now.weightIs(0, 5_000);
  await now.redis.restart();
  await now.back(/aborted by @bo/i);
});

test('away while somebody approves: told that it is not recorded, and nothing moves; the same button works later', async () => {
  const now = set();
  await now.begin();
  await now.redis.kill();
  await now.approve('bo', 'Approve 100%');
  await now.told('bo', /Not recorded, so nothing happened/);
  await now.backAfter(now.redis.restart);
  expect(now.stage.weights.at(-1)).toBe(50);
  await now.approve('bo', 'Approve 100%');
  await now.approve('bo', 'Promote');
  await now.live();
});
