/**
 * Redis' own clock is set, by somebody or by a failover to a machine whose clock is wrong. Sluice has no other time: what waits for
 * time may come an hour early or late, but nothing that keeps traffic safe may stop for that long.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { canSetClock, startClockedRedis } from '../support/redis-clock.ts';
import { useRedisStage } from './redis-stage.ts';

let value = '1';
let asked = 0;
const prometheus = createServer((request, response) => {
  request.resume();
  asked += 1;
  const result = [{ metric: {}, value: [Date.now() / 1000, value] }];
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }));
});
beforeAll(() => new Promise<void>((resolve) => prometheus.listen(0, '127.0.0.1', resolve)));
beforeEach(() => {
  value = '1';
});
afterAll(() => void prometheus.close());

const checks = [{ name: 'queue', query: 'queue{app="{{workload}}"}', max: 5, interval: '1s', window: '10s' }];

describe.runIf(canSetClock)("Redis' clock is set", () => {
  const set = useRedisStage(startClockedRedis, () => ({
    service: { checks, tests: [] },
    config: { metrics: { prometheus: `http://127.0.0.1:${(prometheus.address() as AddressInfo).port}` } },
  }));

  test('an hour back at a gate: within about a minute the canary is watched again, and a check that fails takes the traffic back', async () => {
    const now = set();
    await now.begin();
    await now.redis.setClock(-1);
    // The sweep compares once a minute; until then a bot that has just looked waits for the hour.
    const before = asked;
    await expect.poll(() => asked - before, { timeout: 100_000, interval: 250 }).toBeGreaterThan(8);
    value = '9';
    await now.weightIs(0, 20_000);
    await now.back(/all traffic is on v1/i);
  }, 150_000);

  test('an hour back, and the process dies with the rollout in hand: another goes on at once, and an abort that is typed counts', async () => {
    const now = set();
    await now.begin();
    await now.redis.setClock(-1);
    await now.bot.kill();
    await now.stage.startBot();
    await now.approve('bo', 'Approve 100%');
    await now.weightIs(100);
    await now.stage.slack.command('bo', 'abort world');
    await now.weightIs(0);
    await now.back(/all traffic is on v1/i);
  }, 90_000);

  test('an hour ahead at a gate: nothing moves by itself, and people decide as ever', async () => {
    const now = set();
    await now.begin();
    await now.redis.setClock(1);
    await now.approve('bo', 'Approve 100%');
    await now.weightIs(100);
    await now.approve('bo', 'Promote');
    await now.live();
    expect(now.stage.weights).toEqual([0, 50, 100, 0]);
  }, 90_000);
});
