import { expect, it } from 'vitest';
import { calls, table } from './support/audit.ts';
import { deploy, expectOneResult } from './support/rollout.ts';
import { expectShare } from './support/shares.ts';
import { PLAN, useStage } from './support/stage.ts';
import { sleep, until } from './support/wait.ts';
import { marksOf } from './support/world.ts';

const WAIT_AT_GATE_MS = 5_000;
const stage = useStage();

it('world v2 goes live step by step, while nobody notices', async () => {
  const { world, slack, history, bot } = stage();
  const load = world.users.stream(100);
  const rollout = await deploy(stage(), 'world v2 short');

  const first = await rollout.gate(1);
  expect((await world.users.send(40)).byVersion).toEqual({ v1: 40 });
  // A proxy serves a route some 50 ms after its controller confirmed it; traffic follows within 500 ms.
  const preview = { 'x-canary': 'always' };
  const follows = async () => (await world.users.send(5, preview)).byVersion.v2 === 5;
  await until('the preview reaches the canary', follows, { withinMs: 500 });
  expect((await world.users.send(40, preview)).byVersion).toEqual({ v2: 40 });
  expect(history.weights(rollout.from)).toEqual([0]);
  expect(first.buttons?.map(({ text }) => text)).toEqual(['Approve 10%', 'Abort', 'Hold 15 min']);
  await rollout.approve(1);

  await history.reaches(10, { from: rollout.from });
  await rollout.gate(2);
  const opened = Date.now();
  await expectShare(world, 10);
  await sleep(Math.max(0, opened + WAIT_AT_GATE_MS - Date.now()));
  // The sweep's LIST, once a minute for all rollouts, may fall into any time.
  const whileWaiting = calls(bot.api.agentName, opened, Date.now()).filter(({ verb }) => verb !== 'list');
  expect(whileWaiting).toEqual([]);

  for (const n of [2, 3, 4]) await rollout.approve(n);
  await rollout.ended(/world v2 is live/, 60_000);
  const { sent: all, failed, byVersion, byStatus } = await load.stop();
  expect({ failed, byStatus, answered: (byVersion.v1 ?? 0) + (byVersion.v2 ?? 0) }).toEqual({
    failed: [],
    byStatus: { 200: all },
    answered: all,
  });

  expect(history.weights(rollout.from)).toEqual([...PLAN, 0]);
  expect(rollout.complaints()).toEqual([]);
  await until('the canary is gone', async () => (await world.leftovers()).length === 0);
  expect((await world.users.send(40)).byVersion).toEqual({ v2: 40 });
  const [route, { spec, metadata }] = [await world.getRoute(), await world.getDeployment()];
  expect(route.spec).toEqual(world.before.route);
  expect(spec.template.spec.containers[0]?.image).toBe('buoyantio/world:v2');
  expect([marksOf(route.metadata).phase, marksOf(metadata).phase]).toEqual(['done', 'done']);

  await rollout.titled(/world v2 is live/);
  await expectOneResult(rollout);
  expect(await slack.gates(rollout.posted)).toHaveLength(PLAN.length);
  const stopping = Date.now();
  expect(await bot.process().terminate()).toBe(0);
  expect(Date.now() - stopping).toBeLessThan(10_000);
  const made = calls(bot.api.agentName, rollout.from);
  console.info(`API requests of one approved rollout\n${table(made)}`);
  expect(made.length).toBeLessThanOrEqual(30);
});
