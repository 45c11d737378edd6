/** The way to Redis: cut, slow, silent, half-open, and a reply that is lost after the work was done. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { startRedisServer } from '../support/redis-server.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { useRedisStage } from './redis-stage.ts';

const set = useRedisStage(async () => {
  const server = await startRedisServer();
  const way = await startTcpProxy(server.url);
  return {
    url: way.url,
    server,
    way,
    stop: async () => {
      await way.stop();
      await server.stop();
    },
  };
});

const script = (name: string) => readFileSync(`src/adapters/redis/${name}.lua`);
/** The script, by its hash or whole when Redis does not know it yet, with this among what it is given. */
const runs = (name: string, given: RegExp) => (request: Buffer) => {
  const text = request.toString('latin1');
  return (
    (text.includes(createHash('sha1').update(script(name)).digest('hex')) || text.includes(String(script(name)))) &&
    given.test(text)
  );
};
/** Transitions that a person asked for carry the entry of the inbox. */
const INTAKE = /\r\n\d{13}-\d+\r\n/;

test.each([
  ['an approval', 'save', INTAKE],
  ['the click that approves', 'take', /approve/],
])('the reply to %s is lost: it counts at most once, and the channel shows which', async (_, name, given) => {
  const now = set();
  await now.begin();
  const lost = now.redis.way.loseReply(runs(name, given));
  await now.approve('bo', 'Approve 100%');
  await lost;
  if (name === 'take') {
    await now.told('bo', /Not recorded, so nothing happened/);
    expect(now.stage.weights.at(-1)).toBe(50);
    await now.insist('cy', 'Approve 100%');
  }
  await now.approve('bo', 'Promote');
  await now.live();
});

test('the replies to many transitions are lost: each happens once', async () => {
  const now = set();
  let lost = 0;
  const lose = (): void => {
    void now.redis.way.loseReply(runs('save', /world-/)).then(() => {
      if (++lost < 4) setTimeout(lose, 400);
    });
  };
  lose();
  await now.stage.slack.command('ana', 'world v2 brisk');
  // Each loss costs the lease of the tick that failed.
  await now.weightIs(50, 40_000);
  await now.approve('bo', 'Approve 100%');
  await now.approve('bo', 'Promote');
  await now.live();
  expect(lost).toBeGreaterThan(2);
  // The claim, one for each step, the way back to stable and the release.
  expect(now.stage.writes).toEqual([0, 50, 100, 0, 0]);
});

test('the reply to an abort is lost: the traffic is back all the same', async () => {
  const now = set();
  await now.begin();
  const lost = now.redis.way.loseReply(runs('abort', /world-/));
  await now.abort('bo');
  await lost;
  await now.weightIs(0, 3_000);
  await now.back(/is aborted by @bo/i);
});

test('half-open: who is connected hears nothing any more; new connections are made, and the rollout goes on', async () => {
  const now = set();
  await now.begin();
  now.redis.way.stall();
  await now.insist('bo', 'Approve 100%');
  // The consumer of the queue hears of it last.
  await now.weightIs(100, 30_000);
  await now.approve('bo', 'Promote');
  await now.live();
});

test('silent for everybody: an abort goes straight to the cluster', async () => {
  const now = set();
  await now.begin();
  now.redis.way.silence();
  await now.abort('bo');
  await now.weightIs(0, 3_000);
  await now.told('bo', /written straight to the cluster/);
  await now.redis.way.mend();
  await now.back(/is aborted by @bo/i);
});

test('slow, 60 ms each way: everything works, an abort too', async () => {
  const now = set();
  now.redis.way.slow(60);
  await now.begin();
  await now.approve('bo', 'Approve 100%');
  await now.gate('Promote');
  await now.abort('bo');
  await now.weightIs(0, 3_000);
  await now.back(/is aborted by @bo/i);
});

test('slower than a click may take: it is not recorded, and an abort goes straight to the cluster', async () => {
  const now = set();
  await now.begin();
  now.redis.way.slow(400);
  await now.approve('bo', 'Approve 100%');
  await now.told('bo', /Not recorded, so nothing happened/);
  await now.abort('bo');
  await now.weightIs(0, 3_000);
  await now.redis.way.mend();
  await now.back(/is aborted by @bo/i);
});
