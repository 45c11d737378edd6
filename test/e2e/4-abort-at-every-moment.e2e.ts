import { expect, it } from 'vitest';
import type { Asked } from './support/api-proxy.ts';
import { deploy, expectBackToStable, expectOneResult, type Rollout } from './support/rollout.ts';
import { useStage } from './support/stage.ts';
import { until } from './support/wait.ts';

const stage = useStage();

const patches = (plural: string, body: RegExp) => (asked: Asked) =>
  asked.method === 'PATCH' && asked.path.includes(`/${plural}/world`) && body.test(asked.body);
const claim = patches('httproutes', /sluice\.dev~1rollout/);
const weight10 = patches('httproutes', /"weight":\s*10\b/);
const newTemplate = patches('deployments', /buoyantio\/world:v2/);

/** Resolves when the moment has come. */
type Moment = (rollout: Rollout) => Promise<void>;

const atGate: Moment = async (rollout) => {
  await rollout.approveUpTo(10);
  await rollout.gate(2);
};

it.each<[string, string, Moment]>([
  [
    'starting',
    'world v2-missing brisk',
    async ({ world }) => {
      await until('the canary is made', async () => (await world.getDeployment('world-canary')).metadata.name);
    },
  ],
  ['at the first gate', 'world v2 brisk', async ({ gate }) => void (await gate(1))],
  ['at a gate with traffic', 'world v2 brisk', atGate],
  ['baking', 'world v2 short', ({ approveUpTo }) => approveUpTo(10)],
  [
    'waiting for the promoted pods (P2)',
    'world v2 brisk',
    async ({ approveUpTo, approve, world }) => {
      await approveUpTo(100);
      await approve(4);
      await until('world has the new template', async () => {
        return (await world.getDeployment()).spec.template.spec.containers[0]?.image === 'buoyantio/world:v2';
      });
    },
  ],
])('abort while %s: stable serves, and nothing is left', async (_, command, moment) => {
  const load = stage().world.users.stream(50);
  const rollout = await deploy(stage(), command);
  await moment(rollout);
  await expectAborted(rollout, () => rollout.abort());
  expect((await load.stop()).failed).toEqual([]);
});

it.each<[string, (asked: Asked) => boolean, Moment]>([
  ['queued', claim, async () => {}],
  ['a weight is being set', weight10, ({ approve }) => approve(1)],
  [
    'the new template is being written (P1)',
    newTemplate,
    async ({ approveUpTo, approve }) => {
      await approveUpTo(100);
      await approve(4);
    },
  ],
])('abort while %s: the write that was on its way is refused', async (_, write, moment) => {
  const { bot, world } = stage();
  const load = world.users.stream(50);
  const held = bot.api.hold(write);
  const rollout = await deploy(stage(), 'world v2 brisk');
  await moment(rollout);
  const { release } = await held.arrived;
  await expectAborted(rollout, () => rollout.abort());
  expect(await release()).toBeGreaterThanOrEqual(409);
  await expectBackToStable(rollout);
  expect((await load.stop()).failed).toEqual([]);
});

it('abort with a stable pod that is not Ready', async () => {
  const rollout = await deploy(stage(), 'world v2 brisk');
  await atGate(rollout);
  await stage().world.unreadyOne();
  await expectAborted(rollout, () => rollout.abort());
  await stage().world.replacePods();
});

it('abort while Prometheus is away', async () => {
  const { metrics } = stage();
  const rollout = await deploy(stage(), 'world v2 brisk');
  await atGate(rollout);
  metrics.goAway();
  await expectAborted(rollout, () => rollout.abort());
  await metrics.comeBack();
});

it('abort from the command line while Slack is away, told when it is back', async () => {
  const { slack, history, cli } = stage();
  const rollout = await deploy(stage(), 'world v2 brisk');
  await atGate(rollout);
  await slack.goAway();
  const pressed = Date.now();
  const { code, output } = await cli('abort', 'world');
  expect({ code, output }).toMatchObject({ code: 0 });
  await history.reaches(0, { from: pressed, withinMs: 3_000 });
  await slack.comeBack(1);
  await rollout.ended(/world v2 is aborted/);
  await expectBackToStable(rollout);
});

it.each(['dead', 'frozen'])('abort by the button while Redis is %s', async (state) => {
  const { redis, history } = stage();
  const load = stage().world.users.stream(50);
  const rollout = await deploy(stage(), 'world v2 brisk');
  await atGate(rollout);
  await (state === 'dead' ? redis.kill() : redis.freeze());
  const pressed = Date.now();
  await rollout.abort();
  await history.reaches(0, { from: pressed, withinMs: 5_000 });
  await (state === 'dead' ? redis.restart() : redis.thaw());
  await rollout.ended(/world v2 is aborted/, 90_000);
  expect((await load.stop()).failed).toEqual([]);
  await expectBackToStable(rollout);
  await rollout.said(/aborted by .{0,4}ana/i);
});

// The last of this file: it changes what stable is.
it('abort after the promotion is answered with Roll back, which brings the old version back', async () => {
  const { slack, world, history } = stage();
  const load = world.users.stream(50);
  const rollout = await deploy(stage(), 'world v2 brisk');
  await rollout.approveUpTo(100);
  const promoted = Date.now();
  await rollout.approve(4);
  await history.reaches(0, { from: promoted });
  await slack.deploy('ana', 'abort world');
  const answer = await slack.said(/already/i, { to: 'ana', after: rollout.posted.ts });
  expect(JSON.stringify(answer)).toMatch(/roll ?back/i);
  await rollout.ended(/world v2 is live/);
  await expectOneResult(rollout);
  const result = await rollout.said(/world v2 is live/);
  await slack.click('ana', result, 'Roll back');
  await slack.said(/world.*v1.*is live|rolled back to v1/is, { after: result.ts, withinMs: 60_000 });
  await until(
    'v1 is back',
    async () => (await world.getDeployment()).spec.template.spec.containers[0]?.image === 'buoyantio/world:v1',
  );
  await until('nothing of the canary is left', async () => (await world.leftovers()).length === 0);
  expect((await load.stop()).failed).toEqual([]);
});

async function expectAborted(rollout: Rollout, press: () => Promise<unknown>) {
  const { history } = stage();
  const pressed = Date.now();
  const routed = (history.last()?.canary ?? 0) > 0;
  await press();
  if (routed) {
    const { at } = await history.reaches(0, { from: pressed, withinMs: 5_000 });
    console.info(`the route was back on stable ${at - pressed} ms after Abort was pressed`);
  }
  await rollout.ended(/world v2(-missing)? is aborted/);
  await expectBackToStable(rollout);
}
