import { expect, it } from 'vitest';
import type { Sample } from './support/metrics-proxy.ts';
import { deploy, expectBackToStable, type Rollout } from './support/rollout.ts';
import { useStage } from './support/stage.ts';
import { until } from './support/wait.ts';

const INTERVAL_MS = 5_000;
const stage = useStage({ interval: '5s' });

it('v3-err20 goes back by itself, and the thread says which check failed with which numbers', async () => {
  const { world } = stage();
  const load = world.users.stream(100);
  const rollout = await deploy(stage(), 'world v3-err20 short');
  await rollout.approve(1);
  await expectGuarded(rollout, tooManyErrors);
  await rollout.said(/success rate is \d+(\.\d+)?% on the canary.*at least 99%/i);
  await rollout.ended(/world v3-err20 is aborted.*a check failed/);
  await rollout.titled(/v3-err20.*aborted/);
  expect((await load.stop()).failed).toEqual([]);
  await expectBackToStable(rollout);
});

it('v3-err20 goes back while a gate is open, which is closed with it', async () => {
  const { world, slack } = stage();
  const load = world.users.stream(100);
  const rollout = await deploy(stage(), 'world v3-err20 brisk');
  await rollout.approve(1);
  const gate = await rollout.gate(2);
  await expectGuarded(rollout, tooManyErrors);
  await rollout.ended(/world v3-err20 is aborted.*a check failed/);
  const closed = await rollout.said(/Gate 2 of 4.*aborted.*check success rate failed/is);
  expect(closed.ts).toBe(gate.ts);
  const late = await slack.clickStale('bo', gate, 'Approve');
  expect(late.acked_ms).not.toBeNull();
  expect((await load.stop()).failed).toEqual([]);
  await expectBackToStable(rollout);
});

it('v4-slow800 goes back by its latency', async () => {
  const { world } = stage();
  const load = world.users.stream(100);
  const rollout = await deploy(stage(), 'world v4-slow800 short');
  await rollout.approve(1);
  await expectGuarded(rollout, tooSlow);
  await rollout.said(/p99 latency is [\d,.]+ ms on the canary.*at most 500 ms/i);
  await rollout.ended(/world v4-slow800 is aborted.*a check failed/);
  await rollout.titled(/v4-slow800.*aborted/);
  expect((await load.stop()).failed).toEqual([]);
  await expectBackToStable(rollout);
});

const isOfCanary = (query: string) => query.includes('deployment="world-canary"');
const tooManyErrors = ({ query, values }: Sample) =>
  isOfCanary(query) && query.startsWith('100 *') && values.some((value) => value < 99);
const tooSlow = ({ query, values }: Sample) =>
  isOfCanary(query) && query.includes('histogram_quantile') && values.some((value) => value > 500);

/** The canary gets nothing any more within two intervals and 5 s of the first sample that fails. */
async function expectGuarded({ history, from }: Rollout, fails: (sample: Sample) => boolean) {
  const { metrics } = stage();
  await history.reaches(10, { from });
  const first = await until('a sample fails', () =>
    metrics.samples.find((sample) => sample.at > from && fails(sample)),
  );
  const back = await until('the canary gets nothing', () =>
    history.since(from).find(({ at, canary }) => at > first.at && canary === 0),
  );
  console.info(`the route was back on stable ${back.at - first.at} ms after the first sample that failed`);
  expect(back.at - first.at).toBeLessThanOrEqual(2 * INTERVAL_MS + 5_000);
}
