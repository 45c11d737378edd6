import { expect, it } from 'vitest';
import { deploy, expectBackToStable } from './support/rollout.ts';
import { useStage } from './support/stage.ts';
import { sleep, until } from './support/wait.ts';

const stage = useStage();

it.each([
  ['wrold v2 short', /world/],
  ['world 2.0 short', /\^/],
  ['world v2 shrt', /short/],
])('`/deploy %s` starts nothing and suggests', async (text, suggestion) => {
  const { slack, history } = stage();
  const after = (await slack.all()).at(-1)?.ts ?? '0';
  expect((await slack.deploy('ana', text)).acked_ms).not.toBeNull();
  await slack.said(suggestion, { to: 'ana', after });
  expect((await slack.all()).filter(({ ts, ephemeral_to }) => ts > after && !ephemeral_to)).toEqual([]);
  expect(history.last()?.marks.phase).not.toBe('active');
});

it('tells a second deployer who is first, where it stands, and where to look', async () => {
  const { slack } = stage();
  const rollout = await deploy(stage(), 'world v2 brisk');
  await rollout.gate(1);
  await slack.deploy('bo', 'world v3 brisk');
  const busy = await slack.said(/@ana|<@U0ANA>/, { to: 'bo', after: rollout.posted.ts });
  expect(JSON.stringify(busy)).toMatch(/gate 1 of 4/i);
  expect(JSON.stringify(busy)).toContain(`p${rollout.posted.ts.replace('.', '')}`);
  await rollout.abort();
  await rollout.ended(/world v2 is aborted/);
  await expectBackToStable(rollout);
});

it('tells who is not allowed which group to ask', async () => {
  const { slack, world, history } = stage();
  const start = (await slack.all()).at(-1)?.ts ?? '0';
  await slack.deploy('dee', 'world v2 brisk');
  await slack.said(/S_DEVS/, { to: 'dee', after: start });
  expect(await world.leftovers()).toEqual([]);

  const rollout = await deploy(stage(), 'world v2 brisk');
  const gate = await rollout.gate(1);
  await slack.click('dee', gate, 'Approve 10%');
  await rollout.said(/S_APPROVERS/, { to: 'dee' });
  await slack.click('dee', rollout.posted, 'Abort');
  await slack.said(/abort/i, { to: 'dee', after: gate.ts });
  expect(history.weights(rollout.from)).toEqual([0]);
  await rollout.gate(1);
  await rollout.abort();
  await rollout.ended(/world v2 is aborted/);
  await expectBackToStable(rollout);
});

it('lets no requester approve', async () => {
  const { slack } = stage();
  const rollout = await deploy(stage(), 'world v2 brisk', 'bo');
  await slack.click('bo', await rollout.gate(1), 'Approve 10%');
  await rollout.said(/somebody else must approve/i, { to: 'bo' });
  await rollout.gate(1);
  await rollout.abort('bo');
  await rollout.ended(/world v2 is aborted/);
  await expectBackToStable(rollout);
});

it.each([
  ['a double click', ['bo', 'bo']],
  ['two people within 20 ms', ['bo', 'cy']],
])('makes one decision of %s', async (_, [one, other]) => {
  const { slack, world } = stage();
  const load = world.users.stream(50);
  const rollout = await deploy(stage(), 'world v2 short');
  const gate = await rollout.gate(1);
  const at = Date.now();
  const press = async (who: string | undefined, waitMs: number) => {
    await sleep(waitMs);
    return slack.click(who ?? '', gate, 'Approve 10%');
  };
  const reactions = await Promise.all([press(one, 0), press(other, 10)]);
  expect(reactions.map(({ acked_ms }) => acked_ms)).not.toContain(null);
  rollout.approvals.push(at);
  await rollout.gate(2);
  await sleep(1_000);
  expect(rollout.history.weights(rollout.from)).toEqual([0, 10]);
  expect(await slack.gates(rollout.posted)).toHaveLength(2);
  await until('who came second is told', async () =>
    (await slack.all()).some(({ ephemeral_to, ts }) => ephemeral_to !== undefined && ts > gate.ts),
  );
  await rollout.abort();
  await rollout.ended(/world v2 is aborted/);
  expect((await load.stop()).failed).toEqual([]);
  await expectBackToStable(rollout);
});
