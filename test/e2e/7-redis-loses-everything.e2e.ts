import { expect, it } from 'vitest';
import { deploy, expectBackToStable, expectStable } from './support/rollout.ts';
import { useStage } from './support/stage.ts';

const stage = useStage();

it('finds the rollout by its marks in the cluster, takes the traffic back, and says so', async () => {
  const { world, slack, redis, bot, history } = stage();
  const load = world.users.stream(50);
  const rollout = await deploy(stage(), 'world v2 brisk');
  await rollout.approve(1);
  await history.reaches(10, { from: rollout.from });
  await rollout.gate(2);
  const before = (await slack.all()).at(-1)?.ts ?? '0';
  await bot.process().kill();
  await slack.forgetTheDead(0);
  await redis.loseEverything();
  const lost = Date.now();
  await bot.restart();
  await history.reaches(0, { from: lost, withinMs: 30_000 });
  await slack.said(/Redis had lost this rollout/, { after: before, withinMs: 30_000 });
  await slack.said(/world v2 is stopped/, { after: before });
  expect((await load.stop()).failed).toEqual([]);
  await expectStable(rollout);
  expect(await slack.violations()).toEqual([]);
});

it('starts the next rollout with a higher epoch', async () => {
  const rollout = await deploy(stage(), 'world v2 brisk');
  await rollout.gate(1);
  await rollout.abort();
  await rollout.ended(/world v2 is aborted/);
  await expectBackToStable(rollout);
});
