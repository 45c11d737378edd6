/**
 * A bot is killed or frozen exactly at a write to the cluster; another one goes on, and meets what the API server took or did
 * not take. The whole matrix runs on the simulated cluster (`npm run chaos`).
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, it } from 'vitest';
import { deploy, expectBackToStable, expectOneResult, type Rollout } from './support/rollout.ts';
import { approveButton, wordsOf } from './support/slack.ts';
import { useStage } from './support/stage.ts';
import { sleep, until } from './support/wait.ts';

/** Longer than every lease: that of a tick (3 s) and of a queue's job (10 s), and than what was loaded may be saved (5 s). */
const FROZEN_MS = 11_000;
/** Each bot asks Slack for two groups when it starts, and Slack answers that 20 times a minute. */
const PACE_MS = 20_000;
const TRIES = 3;
const AGAIN_MS = 30_000;
const stage = useStage({ replicas: 2 });
const folder = mkdtempSync(join(tmpdir(), 'sluice-e2e-places-'));
let begun = 0;
beforeEach(async () => {
  await sleep(Math.max(0, begun + PACE_MS - Date.now()));
  begun = Date.now();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const BOTH = ['before %s:SIGSTOP', 'after %s:SIGKILL'];
const ALL = [...BOTH, 'before %s:SIGKILL', 'after %s:SIGSTOP'];
const ways = (kinds: readonly string[], ...places: readonly string[]) =>
  places.flatMap((place) => kinds.map((way) => way.replace('%s', place)));

it.each([...ways(BOTH, 'router.claim', 'workload.createCanary', 'router.reset'), ...ways(ALL, 'router.setRoute#2')])(
  '%s, in a rollout that is aborted',
  async (failpoint) => {
    const disturbed = await disturb(failpoint);
    const rollout = await begin('world v2 brisk');
    await press(rollout, 1);
    await rollout.history.reaches(10, { from: rollout.from, withinMs: 40_000 });
    await rollout.abort();
    await rollout.ended(/world v2 is aborted/, 40_000);
    await disturbed();
    await expectBackToStable(rollout);
  },
);

// The last ones: they change what stable is.
it.each(
  [...ways(ALL, 'workload.promote'), ...ways(BOTH, 'router.reset')].map(
    (failpoint, n) => [failpoint, `v${n + 2}`] as const,
  ),
)('%s, in a rollout of %s that goes live', async (failpoint, version) => {
  const disturbed = await disturb(failpoint);
  const rollout = await begin(`world ${version} brisk`);
  for (const gate of [1, 2, 3, 4]) await press(rollout, gate);
  await rollout.ended(new RegExp(`world ${version} is live`), 60_000);
  await disturbed();
  await expectOneResult(rollout);
  const { world, history } = rollout;
  await until('nothing of the canary is left', async () => (await world.leftovers()).length === 0);
  await until('the claim is off', async () => (await world.marks()).route?.phase === 'done');
  expect((await world.getDeployment()).spec.template.spec.containers[0]?.image).toBe(`buoyantio/world:${version}`);
  expect(history.last()?.canary).toBe(0);
  expect(rollout.complaints()).toEqual([]);
});

/**
 * One bot with the failpoint, alone; as soon as it stands there, the other one starts. What it resolves with waits for that,
 * and for what the thawed one still wants to do.
 */
async function disturb(failpoint: string): Promise<() => Promise<void>> {
  const [bot, other] = stage().bots;
  if (!bot || !other) throw new Error('two bots');
  await Promise.all([bot, other].map((each) => each.process().kill()));
  await stage().slack.forgetTheDead(0);
  const log = join(folder, 'places');
  rmSync(log, { force: true });
  await bot.restart({ SLUICE_FAILPOINT: failpoint, SLUICE_FAILPOINT_LOG: log });
  const {
    place = '',
    hit = '1',
    signal,
  } = /^(?<place>[^:#]+)(#(?<hit>\d+))?:(?<signal>.*)$/.exec(failpoint)?.groups ?? {};
  const reached = () =>
    readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line === place).length >= Number(hit);
  const over = (async () => {
    await until(`${failpoint} is reached`, reached, { withinMs: 90_000 });
    const stopped = Date.now();
    await other.restart();
    if (signal === 'SIGKILL') return;
    await sleep(Math.max(0, stopped + FROZEN_MS - Date.now()));
    bot.process().thaw();
    await sleep(1_500);
    expect(bot.process().isAlive()).toBe(true);
  })();
  over.catch(() => undefined);
  return () => over;
}

/** Types it again where Slack had been asked too often who may: the refusal says so, and nothing was begun. */
async function begin(text: string): Promise<Rollout> {
  for (let tries = 1; ; tries += 1) {
    const after = (await stage().slack.all()).at(-1)?.ts ?? '0';
    try {
      return await deploy(stage(), text);
    } catch (error) {
      const isRefused = (await stage().slack.all()).some(
        (message) =>
          message.ts > after && message.ephemeral_to === 'ana' && /Try again in a minute/.test(wordsOf(message)),
      );
      if (!isRefused || tries === TRIES) throw error;
      await sleep(AGAIN_MS);
    }
  }
}

/** Approves the gate; a press that a stopped bot was given is made again. */
async function press(rollout: Rollout, gate: number): Promise<void> {
  const at = Date.now();
  await until(
    `gate ${gate} is approved`,
    async () => {
      const message = (await stage().slack.gates(rollout.posted))[gate - 1];
      if (message && approveButton(message.blocks) !== undefined) await stage().slack.approve('bo', message);
      return message !== undefined;
    },
    { withinMs: 90_000 },
  );
  rollout.approvals.push(at);
}
