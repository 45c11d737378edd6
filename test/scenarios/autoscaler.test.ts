/** A service with a HorizontalPodAutoscaler, which takes pods away where there is no load, and adds some where there is. */
import { expect, test } from 'vitest';
import { useAutoscaler } from './support/autoscaler.ts';
import { useStage } from './support/use-stage.ts';

const set = useStage({ world: { replicas: 4 }, service: { checks: [], tests: [] } });

test('stable keeps its pods until it has all the traffic again, and the canary is never smaller', async () => {
  const { stage, told, press, gate, said, cleaned } = set();
  const { appear, asksFor, least, size, until, released } = useAutoscaler(stage);
  appear();
  await stage.slack.command('ana', 'world v2 brisk --dry-run');
  expect(await told('ana', /Dry run/)).toMatch(/HorizontalPodAutoscaler hello\/world: .*minReplicas 1 → 4.*4 → 1/s);
  expect(least()).toBe(1);
  await stage.slack.command('ana', 'world v2 brisk');
  await gate('Approve 100%');
  expect([least(), size('world'), size('world-canary')]).toEqual([4, 4, 2]);
  asksFor(6);
  await until('stable and canary have grown', () => size('world') === 6 && size('world-canary') === 3);
  await until('so has the least', () => least() === 6);
  await press('bo', 'Approve 100%');
  asksFor(1);
  await gate('Promote');
  expect([size('world'), size('world-canary')]).toEqual([6, 6]);
  await press('bo', 'Promote');
  await said(/v2 is live/);
  await cleaned();
  await released();
  await until('stable has what its load needs', () => size('world') === 1);
  expect(least()).toBe(1);
}, 40_000);

test('an abort brings the traffic back to all the pods that it left, and only then some go', async () => {
  const { stage, press, gate, said, cleaned } = set();
  const { appear, asksFor, least, size, until, released } = useAutoscaler(stage);
  appear();
  await stage.slack.command('ana', 'world v2 brisk');
  await press('bo', 'Approve 100%');
  asksFor(1);
  await gate('Promote');
  await press('bo', 'Abort');
  await until('the traffic is back', () => stage.weights.at(-1) === 0);
  expect([least(), size('world')]).toEqual([4, 4]);
  await said(/aborted by @bo/);
  await cleaned();
  await released();
  await until('stable has what its load needs', () => size('world') === 1);
  expect(least()).toBe(1);
}, 40_000);
