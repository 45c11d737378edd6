/** Redis forgets everything, or comes back as it was before a decision: what the cluster carries wins, on the safe side. */
import { expect, test } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import { createKeys } from '../../src/adapters/redis/keys.ts';
import { startRedisServer } from '../support/redis-server.ts';
import { type RedisStage, useRedisStage } from './redis-stage.ts';

const set = useRedisStage(
  () => startRedisServer(),
  () => ({ readyAfterMs: 800 }),
);
type Set = RedisStage<Awaited<ReturnType<typeof startRedisServer>>>;

/** The bot looks for lost rollouts at its start, and once a minute. */
async function lookAgain({ bot, stage }: Set): Promise<void> {
  await bot.kill();
  await stage.startBot();
}

test.each<[string, (now: Set) => Promise<unknown>]>([
  [
    'while the canary starts',
    async ({ stage }) => {
      await stage.slack.command('ana', 'world v2 brisk');
      await stage.slack.until(() => stage.get(kinds.deployments, 'world-canary'), { what: 'the canary' });
    },
  ],
  ['at a gate', async ({ begin }) => begin()],
  [
    'right after an approval was acknowledged',
    async ({ begin, approve }) => {
      await begin();
      await approve('bo', 'Approve 100%');
    },
  ],
  [
    'while the promoted pods start',
    async ({ begin, approve, stage, image }) => {
      await begin();
      await approve('bo', 'Approve 100%');
      await approve('bo', 'Promote');
      await stage.slack.until(() => image('world') === 'buoyantio/world:v2', {
        what: 'the promotion',
        timeoutMs: 15_000,
      });
    },
  ],
  [
    'while it aborts',
    async ({ begin, abort, weightIs }) => {
      await begin();
      await abort('bo');
      await weightIs(0);
    },
  ],
])('everything is lost %s: stable has all the traffic again, and the channel says why', async (_, there) => {
  const now = set();
  await there(now);
  await now.redis.run('FLUSHALL');
  await lookAgain(now);
  await now.back(/Redis had lost this rollout|aborted by/i);
});

test('the state of a rollout is spoilt: it is named, an abort takes the traffic back, and what is told to do brings the rest', async () => {
  const now = set();
  const { slack, corner, get } = now.stage;
  await now.begin();
  const id = get(kinds.httpRoutes, 'world')?.metadata.annotations?.['sluice.dev/rollout'] ?? '';
  const { state, outbox } = createKeys(corner.env).rollout(id);
  // The news of its last message would write a good state over it.
  await expect.poll(async () => String(await now.redis.run('XLEN', outbox)), { timeout: 10_000 }).toBe('0');
  await now.redis.run('HSET', state, 'state', '{"id":');
  await slack.command('ana', 'world v3 brisk');
  const refusal = await now.told('ana', /^Nothing happened, .*cannot be read in Redis/);
  await now.abort('bo');
  await now.weightIs(0);
  await now.told('bo', /is back on the stable version/);
  const [, keys = ''] = /\(DEL (.+?)\)/.exec(refusal) ?? [];
  await now.redis.run('DEL', ...keys.split(' '));
  await lookAgain(now);
  await now.back(/Redis had lost this rollout.*aborted there by/);
});

test('back before an approval: the gate is not asked again, what was approved is taken back', async () => {
  const now = set();
  await now.begin();
  const snapshot = now.redis.snapshot();
  await now.approve('bo', 'Approve 100%');
  await now.gate('Promote');
  await now.backAfter(() => now.redis.goBack(snapshot));
  await now.back(/newer state/i);
  expect(now.stage.weights.filter((weight) => weight > 0)).toEqual([50, 100]);
});

test('back before an abort: it stays aborted', async () => {
  const now = set();
  await now.begin();
  const snapshot = now.redis.snapshot();
  await now.abort('bo');
  await now.back(/aborted by @bo/i);
  const roots = now.stage.slack.roots().length;
  await now.backAfter(() => now.redis.goBack(snapshot));
  await now.approve('cy', 'Approve 100%').catch(() => undefined);
  await expect.poll(async () => String(await now.redis.run('KEYS', '*:lock')), { timeout: 30_000 }).toBe('');
  expect(now.stage.weights.filter((weight) => weight > 0)).toEqual([50]);
  expect(now.stage.weights.at(-1)).toBe(0);
  expect(now.stage.get(kinds.deployments, 'world-canary')).toBeUndefined();
  expect(now.image('world')).toBe('buoyantio/world:v1');
  expect(now.stage.slack.roots()).toHaveLength(roots);
});
