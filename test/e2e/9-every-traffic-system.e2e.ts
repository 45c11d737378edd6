/** Real requests through whatever routes: Traefik for Ingresses, the mesh proxy for the rest. */
import { describe, expect, it } from 'vitest';
import { calls, table } from './support/audit.ts';
import { deploy, expectBackToStable, expectOneResult } from './support/rollout.ts';
import { expectShare, expectUnnoticed } from './support/shares.ts';
import { planOf, useStage } from './support/stage.ts';
import { SYSTEMS } from './support/systems.ts';
import { until } from './support/wait.ts';

describe.each(Object.entries(SYSTEMS))('routed by %s', (_, system) => {
  const stage = useStage({ system });
  const [strategy = ''] = system.strategies;
  const plan = planOf(strategy);
  const [, first = 0] = plan;
  const middle = plan.includes(50) ? 50 : 100;

  it(`world v2 is aborted at ${middle}%, and all is as it was`, async () => {
    const { world, history } = stage();
    const load = world.users.stream(100);
    const rollout = await deploy(stage(), `world v2 ${strategy}`);
    await rollout.approveUpTo(middle);
    await rollout.gate(plan.indexOf(middle) + 1);
    await rollout.abort();
    await until('the canary gets nothing', () => history.last()?.canary === 0);
    await rollout.ended(/world v2 is aborted/);
    await expectBackToStable(rollout);
    await expectUnnoticed(load);
  });

  it('world v2 goes live step by step, while nobody notices', async () => {
    const { world, history, bot } = stage();
    const load = world.users.stream(100);
    const rollout = await deploy(stage(), `world v2 ${strategy}`);
    await rollout.gate(1);
    if (system.previews) {
      const preview = { 'x-canary': 'always' };
      const follows = async () => (await world.users.send(5, preview)).byVersion.v2 === 5;
      await until('the preview reaches the canary', follows, { withinMs: 2_000 });
    }
    expect((await world.users.send(40)).byVersion).toEqual({ v1: 40 });
    await rollout.approve(1);
    await history.reaches(first, { from: rollout.from });
    await rollout.gate(2);
    await expectShare(world, first);
    for (const n of plan.slice(1).keys()) await rollout.approve(n + 2);
    await rollout.ended(/world v2 is live/, 60_000);
    await expectUnnoticed(load);
    expect(history.weights(rollout.from)).toEqual(expect.arrayContaining([...plan, 0]));
    expect(rollout.complaints()).toEqual([]);
    await until('the canary is gone', async () => (await world.leftovers()).length === 0);
    expect((await world.users.send(40)).byVersion).toEqual({ v2: 40 });
    expect((await world.getRoute()).spec).toEqual(world.before.route);
    await until('nothing is left beside it', async () => !Object.values(await world.marks()).some(isActive));
    expect((await world.getBeside())?.spec).toEqual(world.before.beside);
    await expectOneResult(rollout);
    const made = calls(bot.api.agentName, rollout.from);
    console.info(`API requests of one approved rollout\n${table(made)}`);
    expect(made.length).toBeLessThanOrEqual(30);
  });
});

const isActive = ({ phase }: Readonly<Record<string, string>>) => phase === 'active';
