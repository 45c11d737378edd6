import { expect, it } from 'vitest';
import type { Asked, Held } from './support/api-proxy.ts';
import type { Bot } from './support/bot.ts';
import { deploy, expectBackToStable, type Rollout } from './support/rollout.ts';
import { useStage } from './support/stage.ts';
import { sleep, until } from './support/wait.ts';

const AWAY_MS = 10_000;
const stage = useStage({ replicas: 2 });

const patches = (plural: string, body: RegExp) => (asked: Asked) =>
  asked.method === 'PATCH' && asked.path.includes(`/${plural}/world`) && body.test(asked.body);
const weight10 = patches('httproutes', /"weight":\s*10\b/);
const newTemplate = patches('deployments', /buoyantio\/world:v2/);

it('killed at a gate and back 10 s later: the old button works, nothing is repeated', async () => {
  const { bots, slack, history } = stage();
  const rollout = await deploy(stage(), 'world v2 brisk');
  await rollout.approveUpTo(10);
  const gate = await rollout.gate(2);
  await Promise.all(bots.map((bot) => bot.process().kill()));
  await slack.forgetTheDead(0);
  const before = history.revisions.length;
  await sleep(AWAY_MS);
  await Promise.all(bots.map((bot) => bot.restart()));
  await sleep(1_000);
  expect(history.revisions).toHaveLength(before);
  rollout.approvals.push(await slack.approve('bo', gate));
  await history.reaches(50, { from: rollout.from });
  await rollout.gate(3);
  expect(await slack.gates(rollout.posted)).toHaveLength(3);
  expect(history.weights(rollout.from)).toEqual([0, 10, 50]);
  await abort(rollout);
});

it.each<[string, (held: Held) => Promise<unknown>]>([
  ['before its write arrived', async () => {}],
  ['after its write, before the answer', ({ loseAnswer }) => loseAnswer()],
])('one of two is killed in mid-step, %s: the other goes on', async (_, then) => {
  const { slack, history, world, bots } = stage();
  const load = world.users.stream(50);
  const rollout = await deploy(stage(), 'world v2 brisk');
  const write = holdOnce(weight10);
  await rollout.approve(1);
  const { bot, held } = await write;
  await bot.process().kill();
  await slack.forgetTheDead(bots.length - 1);
  await then(held);
  const killed = Date.now();
  await history.reaches(10, { from: rollout.from });
  await rollout.gate(2);
  console.info(`the other replica stood at the next gate ${Date.now() - killed} ms after the kill`);
  expect(await slack.gates(rollout.posted)).toHaveLength(2);
  expect(history.weights(rollout.from)).toEqual([0, 10]);
  await abort(rollout);
  await bot.restart();
  expect((await load.stop()).failed).toEqual([]);
});

it.each<[string, (asked: Asked) => boolean, (rollout: Rollout) => Promise<void>]>([
  ['a weight', weight10, ({ approve }) => approve(1)],
  [
    'the promoted template',
    newTemplate,
    async ({ approveUpTo, approve }) => {
      await approveUpTo(100);
      await approve(4);
    },
  ],
])(
  'one of two freezes while it writes %s, and thaws after the abort: the cluster refuses it',
  async (_, matches, moment) => {
    const { history, world } = stage();
    const load = world.users.stream(50);
    const rollout = await deploy(stage(), 'world v2 brisk');
    const write = holdOnce(matches);
    await moment(rollout);
    const { bot, held } = await write;
    bot.process().freeze();
    await abort(rollout);
    const aborted = Date.now();
    bot.process().thaw();
    expect(await held.release()).toBe(422);
    // Long enough for everything the thawed one still wants to try.
    await sleep(3_000);
    expect(history.since(aborted).filter(({ at, canary }) => at > aborted && canary > 0)).toEqual([]);
    await expectBackToStable(rollout);
    expect((await load.stop()).failed).toEqual([]);
  },
);

/** Holds the write of whichever replica makes it; the other's is free from then on. */
async function holdOnce(matches: (asked: Asked) => boolean): Promise<{ readonly bot: Bot; readonly held: Held }> {
  const { bots } = stage();
  const holds = bots.map((bot) => ({ bot, ...bot.api.hold(matches) }));
  let first: { readonly bot: Bot; readonly held: Held } | undefined;
  for (const { bot, arrived } of holds)
    void arrived.then((held) => {
      first ??= { bot, held };
    });
  const held = await until('a replica makes the write', () => first, { withinMs: 60_000 });
  for (const { cancel } of holds) cancel();
  return held;
}

async function abort(rollout: Rollout) {
  await rollout.abort();
  await until('the canary gets nothing', () => rollout.history.last()?.canary === 0);
  await rollout.ended(/world v2 is aborted/);
  await expectBackToStable(rollout);
}
