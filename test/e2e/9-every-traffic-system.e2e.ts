/** Real requests through whatever routes: Traefik for Ingresses, the mesh proxy for the rest. */
import { describe, expect, it } from 'vitest';
import { deploy, expectBackToStable, expectOneResult } from './support/rollout.ts';
import { planOf, useStage } from './support/stage.ts';
import { SYSTEMS } from './support/systems.ts';
import { until } from './support/wait.ts';

describe.each(Object.entries(SYSTEMS))('routed by %s', (_, system) => {
  const stage = useStage({ system });
  const strategy = system.previews ? 'brisk' : system.switches ? 'switch' : 'plain';
  const plan = planOf(system);
  const [, first = 0] = plan;
  const middle = system.switches ? 100 : 50;

  it(`world v2 is aborted at ${middle}%, and all is as it was`, async () => {
    const { history } = stage();
    const rollout = await deploy(stage(), `world v2 ${strategy}`);
    await rollout.approveUpTo(middle);
    await rollout.gate(plan.indexOf(middle) + 1);
    await rollout.abort();
    await until('the canary gets nothing', () => history.last()?.canary === 0);
    await rollout.ended(/world v2 is aborted/);
    await expectBackToStable(rollout);
  });

  it('world v2 goes live step by step, while nobody notices', async () => {
    const { world, history } = stage();
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
    const sent = 300;
    const canary = (await world.users.send(sent)).byVersion.v2 ?? 0;
    const share = first / 100;
    const threeSigma = 3 * Math.sqrt(sent * share * (1 - share));
    expect(Math.abs(canary - sent * share), `${canary} of ${sent} to the canary`).toBeLessThanOrEqual(threeSigma);
    for (const n of plan.slice(1).keys()) await rollout.approve(n + 2);
    await rollout.ended(/world v2 is live/, 60_000);
    const { failed, byStatus, sent: all } = await load.stop();
    expect({ failed, byStatus }).toEqual({ failed: [], byStatus: { 200: all } });
    expect(history.weights(rollout.from)).toEqual(expect.arrayContaining([...plan, 0]));
    expect(rollout.complaints()).toEqual([]);
    await until('the canary is gone', async () => (await world.leftovers()).length === 0);
    expect((await world.users.send(40)).byVersion).toEqual({ v2: 40 });
    expect((await world.getRoute()).spec).toEqual(world.before.route);
    await expectOneResult(rollout);
  });
});
