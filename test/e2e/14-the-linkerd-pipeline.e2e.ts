/** The published pipeline of Linkerd 1, played by the bot: an independent namerd and its router, a real API server and pods. */
import { afterAll, describe, expect, it } from 'vitest';
import { calls, table } from './support/audit.ts';
import { linkerd1 } from './support/linkerd1.ts';
import { startNamerd } from './support/namerd.ts';
import { deploy, expectBackToStable, expectOneResult, type Rollout } from './support/rollout.ts';
import { expectShare, expectUnnoticed } from './support/shares.ts';
import { wordsOf } from './support/slack.ts';
import { useStage } from './support/stage.ts';
import { until } from './support/wait.ts';

/** What the first gate tells testers to send. */
async function override(rollout: Rollout): Promise<Record<string, string>> {
  const words = wordsOf(await rollout.gate(1)).replaceAll('&gt;', '>');
  const [, header, value] = /curl -H '([\w-]+): ([^']+)'/.exec(words) ?? [];
  if (header === undefined || value === undefined) throw new Error(`no curl line in ${words}`);
  return { [header]: value };
}

describe.each(['twin', 'versioned'] as const)('the Linkerd pipeline, with the workload %s', async (workload) => {
  const namerd = await startNamerd(['--proxy', '0', '--seed', '7']);
  afterAll(() => namerd.close());
  const stage = useStage({ system: linkerd1(namerd, workload) });
  const canary = workload === 'twin' ? 'canary' : 'v2';

  const expectTestersOnly = async (rollout: Rollout) => {
    const { users } = stage().world;
    const header = await override(rollout);
    expect(header).toEqual({ 'l5d-dtab': `/host/world => /srv/world-${canary}` });
    expect((await users.send(40, header)).byVersion).toEqual({ v2: 40 });
    expect((await users.send(40)).byVersion).toEqual({ v1: 40 });
  };

  type Moment = readonly [string, (rollout: Rollout) => Promise<unknown>];
  /** A promotion of `versioned` makes no pods, so nothing of it can be waited for. */
  const promoting: readonly Moment[] = [
    [
      'while the promoted pods come',
      async ({ approveUpTo, approve, world }) => {
        await approveUpTo(100);
        await approve(3);
        await until('world has the new template', async () => {
          return (await world.getDeployment()).spec.template.spec.containers[0]?.image === 'buoyantio/world:v2';
        });
      },
    ],
  ];

  it.each<Moment>([
    ['while the canary is made', ({ world }) => until('it is', () => world.getDeployment(`world-${canary}`))],
    ['after the test request', expectTestersOnly],
    ['at 10%', ({ approveUpTo, gate }) => approveUpTo(10).then(() => gate(2))],
    ['at 100%', ({ approveUpTo, gate }) => approveUpTo(100).then(() => gate(3))],
    [
      'after the bot was killed at 10%',
      async ({ approveUpTo, gate, slack }) => {
        await approveUpTo(10);
        await gate(2);
        await stage().bot.process().kill();
        await slack.forgetTheDead(0);
        await stage().bot.restart();
      },
    ],
    ...(workload === 'twin' ? promoting : []),
  ])('aborted %s: the dtabs of before are back to the letter', async (_, moment) => {
    const { world } = stage();
    const load = world.users.stream(50);
    const rollout = await deploy(stage(), 'world v2 pipeline');
    await moment(rollout);
    await rollout.abort();
    await rollout.ended(/world v2 is aborted/);
    await expectBackToStable(rollout);
    await expectUnnoticed(load);
  });

  it('8 to 2, then 8 to 8, of 300 requests each: the walkthrough of a gray release', async () => {
    const { world } = stage();
    const rollout = await deploy(stage(), 'world v2 gray');
    for (const [n, percent] of [20, 50].entries()) {
      if (n > 0) await rollout.approve(n);
      await rollout.gate(n + 1);
      await expectShare(world, percent);
    }
    await rollout.abort();
    await rollout.ended(/world v2 is aborted/);
    await expectBackToStable(rollout);
  });

  // The last one: it changes what stable is.
  it('test request, gate, 10%, gate, 100%, gate, cleanup: the new version is permanent, and nobody noticed', async () => {
    const { world, history, bot } = stage();
    const load = world.users.stream(100);
    const rollout = await deploy(stage(), 'world v2 pipeline');
    await expectTestersOnly(rollout);
    await rollout.approve(1);
    await rollout.gate(2);
    await expectShare(world, 10);
    await rollout.approve(2);
    await rollout.gate(3);
    expect((await world.users.send(40)).byVersion).toEqual({ v2: 40 });
    await rollout.approve(3);
    await rollout.ended(/world v2 is live/, 60_000);
    await expectUnnoticed(load);
    expect(history.weights(rollout.from)).toEqual([0, 10, 100, 0]);
    expect(rollout.complaints()).toEqual([]);
    const dtabs = JSON.stringify(world.before.route);
    const permanent = workload === 'twin' ? dtabs : dtabs.replaceAll('/srv/world-v1', '/srv/world-v2');
    await until('nothing of Sluice is in the dtabs', async () => {
      const { spec } = await world.getRoute();
      return JSON.stringify(spec) === permanent;
    });
    await until('the old version is retired', async () =>
      workload === 'twin'
        ? (await world.leftovers()).length === 0
        : (await world.getDeployment('world-v1')).spec.replicas === 0,
    );
    expect((await world.users.send(40)).byVersion).toEqual({ v2: 40 });
    await expectOneResult(rollout);
    const made = calls(bot.api.agentName, rollout.from);
    console.info(`API requests of one approved rollout\n${table(made)}`);
    expect(made.length).toBeLessThanOrEqual(30);
  });
});
