/**
 * Somebody stands still for long: the process, the API server, or a rollout whose work ends the process. The others go on, and
 * people hear of it. At the same time, since most of it is waiting.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import { createKeys } from '../../src/adapters/redis/keys.ts';
import { STALLED_MS } from '../../src/core/schedule.ts';
import type { Stage } from '../scenarios/support/stage.ts';
import type { Message } from '../support/fake-slack/index.ts';
import { withRedis } from '../support/redis.ts';
import { createEdits } from './support/edits.ts';
import { onStage } from './support/open-stage.ts';

const BLOCK_MS = 60_000;
const LONG = { timeoutMs: 45_000 };
const preload = { NODE_OPTIONS: `--import ${new URL('./support/process-faults.mjs', import.meta.url).href}` };
const bare = { checks: [], tests: [] };
const service = (name: string) => ({
  ...{ namespace: 'hello', deployment: name, image: 'buoyantio/world:{version}', coolDown: '1s', ...bare },
  traffic: { router: 'gateway-api', route: name },
  strategies: ['brisk'],
  access: { deploy: ['S_DEVS'], approve: ['S_APPROVERS'] },
});
const BESIDE = { config: { services: { world: service('world'), moon: service('moon') } } };
const short = [10, 50, 100].map((weight) => ({ weight, bake: '1s', gate: true }));

const image = ({ get }: Stage, name: string) => get(kinds.deployments, name)?.spec.template.spec.containers[0]?.image;

/** So many bots begin at once that the first try may come too early for Redis. */
async function deploy({ slack }: Stage, text: string): Promise<Message | undefined> {
  const before = { roots: slack.roots().length, told: 0 };
  do {
    before.told = slack.ephemerals('ana').length;
    await slack.command('ana', text);
    await slack.until(() => slack.roots().length > before.roots || slack.ephemerals('ana').length > before.told, {
      what: 'an answer',
      ...LONG,
    });
  } while (/Not recorded/.test(slack.ephemerals('ana').at(-1) ?? ''));
  await slack.until(() => slack.roots().length > before.roots, { what: 'the root', ...LONG });
  return slack.root();
}

/** Approves what stands under `root` until it is live; a press that meets no process is made again. */
async function approveAll({ slack }: Stage, root: Message | undefined): Promise<void> {
  for (const label of ['Approve 100%', 'Promote']) {
    const open = () => slack.thread(root).find((message) => slack.buttons(message).includes(label));
    const message = await slack.until(open, { what: `"${label}" of the other service`, ...LONG });
    while ((await slack.click('bo', message, label)).error !== null) await pause(200);
  }
  await slack.until(() => slack.thread(root).find(({ text }) => /v2 is live/.test(text)), {
    what: 'moon live',
    ...LONG,
  });
}

/** As if the failures that Redis knows of had begun five minutes earlier. */
const fiveMinutesOn = ({ corner: { url, env } }: Stage) =>
  withRedis(url, async (redis) => {
    const [left] = await redis.keys(`${createKeys(env).lease('tick:world-*')}:left`);
    if (left === undefined) throw new Error('nothing fails');
    await redis.hincrby(left, 'failing', -STALLED_MS);
  });

describe.concurrent('for long', () => {
  test('a process that stands still for 60 s in the middle of a write: the other goes on, and nothing is done twice', () =>
    onStage(
      { service: { ...bare, strategies: ['short'] }, config: { strategies: { short } } },
      async ({ stage, bot, gate, press, said, cleaned }) => {
        await deploy(stage, 'world v2 short');
        await press('bo', 'Approve 50%');
        const stoodStill = pause(BLOCK_MS + 2_000);
        await pause(1_000);
        const asked = () => fetch(bot.url(), { signal: AbortSignal.timeout(1_000) });
        await expect(asked()).rejects.toThrow('timeout');
        await stage.startBot();
        await gate('Approve 100%');
        await press('bo', 'Approve 100%');
        await press('bo', 'Promote');
        await said(/v2 is live/);
        await cleaned();
        await stoodStill;
        await asked();
        await pause(2_000);
        // The claim, one for each step, the way back to stable and the release.
        expect(stage.writes).toEqual([0, 10, 50, 100, 0, 0]);
        expect(stage.slack.thread().filter(({ text }) => /gate \d of 3/i.test(text))).toHaveLength(3);
        expect(stage.slack.thread().filter(({ text }) => /v2 is live/.test(text))).toHaveLength(1);
      },
      { ...preload, BLOCK_MS: String(BLOCK_MS), SLUICE_FAILPOINT: 'before router.setRoute#2:SIGUSR2' },
    ));

  test('the API server is away for minutes without an abort: told once what stands still and why, and once that it goes on', () =>
    onStage({ service: bare }, async ({ stage, gate, press, said }) => {
      const { slack, playground } = stage;
      await deploy(stage, 'world v2 brisk');
      await gate('Approve 100%');
      await playground.api.stop();
      await press('bo', 'Approve 100%');
      await pause(4_000);
      expect(slack.transcript()).not.toMatch(/stood still/);
      await fiveMinutesOn(stage);
      const told = await said(/has stood still since .* UTC/);
      for (const words of [/ECONNREFUSED/, /press .?Abort/, /npm run sluice -- abort world-/])
        expect(slack.words(told)).toMatch(words);
      await slack.until(() => /not been able to go on since/.test(slack.root()?.text ?? ''), { what: 'the root' });
      await pause(6_000);
      await playground.api.start();
      await gate('Promote');
      await said(/goes on again; it stood still for 5 min/);
      expect(stage.weights).toEqual([0, 50, 100]);
      expect(slack.thread().filter(({ text }) => /stood still/.test(text))).toHaveLength(2);
      expect(slack.root()?.text).not.toMatch(/able to go on/);
    }));

  test('one rollout only never gets through: told likewise, and the one beside it ends well', () =>
    onStage(BESIDE, async ({ stage, gate, press, said }) => {
      const { slack, playground } = stage;
      createEdits(stage).add('moon');
      const world = await deploy(stage, 'world v2 brisk');
      await gate('Approve 100%');
      playground.api.disturb({
        ...{ verb: 'patch', resource: 'httproutes', name: 'world', times: Number.POSITIVE_INFINITY },
        effect: { kind: 'status', code: 500 },
      });
      await press('bo', 'Approve 100%');
      await pause(4_000);
      await fiveMinutesOn(stage);
      await said(/has stood still since/);
      await approveAll(stage, await deploy(stage, 'moon v2 brisk'));
      expect(image(stage, 'moon')).toBe('buoyantio/world:v2');
      expect(slack.thread(world).filter(({ text }) => /stood still/.test(text))).toHaveLength(1);
    }));

  test('a rollout whose tick ends the process each time is aborted after five times and says so; the one beside it ends well', () =>
    onStage(BESIDE, async ({ stage, bot, gate }) => {
      const { slack } = stage;
      const edits = createEdits(stage);
      edits.add('moon');
      const world = await deploy(stage, 'world v2 brisk');
      await gate('Approve 100%');
      // Only what was changed by hand is ever re-applied: `moon` never comes there.
      edits.strip(kinds.httpRoutes, 'world');
      const open = await gate('Re-apply');
      await bot.kill();
      const poisoned = { SLUICE_FAILPOINT: 'before workload.reapply:SIGKILL' };
      let running = await stage.startBot(poisoned);
      const moon = await deploy(stage, 'moon v2 brisk');
      const healthy = approveAll(stage, moon);
      await slack.click('bo', open, 'Re-apply');
      for (let crashes = 1; crashes <= 5; crashes++) {
        await running.ended;
        running = await stage.startBot(poisoned);
      }
      const result = await slack.until(() => slack.thread(world).find(({ text }) => /given up by Sluice/.test(text)), {
        what: 'that it is given up',
        ...LONG,
      });
      expect(slack.words(result)).toMatch(/ended 5 times in a row/);
      await healthy;
      expect(running.isAlive()).toBe(true);
      expect(image(stage, 'moon')).toBe('buoyantio/world:v2');
      expect(image(stage, 'world')).toBe('buoyantio/world:v1');
      expect(slack.thread(moon).filter(({ text }) => /abort|given up|stood still/i.test(text))).toEqual([]);
    }));
});
