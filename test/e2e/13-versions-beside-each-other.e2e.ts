/** Every version under its own name, with real requests through the proxy: there, back at once, and on. */
import { expect, it } from 'vitest';
import { calls, table } from './support/audit.ts';
import { deploy, expectBackToStable, expectOneResult } from './support/rollout.ts';
import { expectShare, expectUnnoticed } from './support/shares.ts';
import { useStage } from './support/stage.ts';
import { VERSIONED } from './support/systems.ts';
import { until } from './support/wait.ts';
import { marksOf } from './support/world.ts';

const stage = useStage({ system: VERSIONED });

/** Ends where the proxy sends everything to this version, and nobody holds the route. */
async function serves(version: string) {
  const { world } = stage();
  await until(`${version} serves`, async () => {
    const { metadata, spec } = await world.getRoute();
    return marksOf(metadata).phase === 'done' && JSON.stringify(spec).includes(`world-${version}`);
  });
  expect((await world.users.send(40)).byVersion).toEqual({ [version]: 40 });
}

it('world v2 is aborted at 50%, and all is as it was', async () => {
  const { world, history } = stage();
  const load = world.users.stream(100);
  const rollout = await deploy(stage(), 'world v2 brisk');
  await rollout.approveUpTo(50);
  await rollout.gate(3);
  await rollout.abort();
  await until('the canary gets nothing', () => history.last()?.canary === 0);
  await rollout.ended(/world v2 is aborted/);
  await expectBackToStable(rollout);
  await expectUnnoticed(load);
});

it('world v2 goes live step by step while v1 stays; then v1 sleeps, comes back at once, and nobody notices', async () => {
  const { world, bot, slack } = stage();
  const load = world.users.stream(100);
  const rollout = await deploy(stage(), 'world v2 short');
  await rollout.approve(1);
  await rollout.gate(2);
  await expectShare(world, 10);
  for (const n of [2, 3, 4]) await rollout.approve(n);
  await rollout.ended(/world v2 is live/, 60_000);
  await serves('v2');
  expect(rollout.complaints()).toEqual([]);
  const made = calls(bot.api.agentName, rollout.from);
  console.info(`API requests of one approved rollout\n${table(made)}`);
  expect(made.length).toBeLessThanOrEqual(30);
  const sleeping = await world.getDeployment();
  expect([sleeping.spec.replicas, sleeping.spec.template]).toEqual([0, world.before.template]);
  await expectOneResult(rollout);

  await slack.deploy('ana', 'rollback world');
  await serves('v1');
  expect((await world.getDeployment()).spec).toMatchObject({ replicas: 2, template: world.before.template });
  expect((await world.getDeployment('world-v2')).spec.replicas).toBe(0);
  expect((await world.getRoute()).spec).toEqual(world.before.route);
  await expectUnnoticed(load);
});
