/** The process of the bot misbehaves: its clock, its event loop, its end; and two replicas do everything at once. */
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import { onStage } from './support/open-stage.ts';

const HOUR_S = 3_600;
const preload = { NODE_OPTIONS: `--import ${new URL('./support/process-faults.mjs', import.meta.url).href}` };
const service = { checks: [], tests: [], strategies: ['timed', 'brisk', 'short'] };
const gate = { timeout: '20m' };
const options = {
  service,
  config: {
    strategies: {
      timed: [
        { weight: 10, bake: '4s', gate },
        { weight: 100, gate },
      ],
      brisk: [
        { weight: 50, gate: true },
        { weight: 100, gate: true },
      ],
      short: [10, 50, 100].map((weight) => ({ weight, bake: '1s', gate: true })),
    },
  },
};

describe('a wrong clock decides nothing: Redis has the time', () => {
  test.each([
    ['an hour ahead', HOUR_S],
    ['an hour behind', -HOUR_S],
  ])('%s: no bake ends early or late, no gate expires', async (_, skew) =>
    onStage(
      options,
      async ({ stage, gate: opened }) => {
        // People's requests carry the right time, so that this bot would take them for too old: they come with its own.
        await stage.slack.command('ana', 'world v2 timed', { skew });
        await stage.slack.until(() => stage.weights.at(-1) === 10, { what: '10%', timeoutMs: 10_000 });
        const routed = performance.now();
        const open = await opened('Approve 100%');
        expect(performance.now() - routed).toBeGreaterThan(3_500);
        expect(performance.now() - routed).toBeLessThan(8_000);
        await pause(1_500);
        expect(stage.slack.thread().some(({ text }) => /expired|still waits/.test(text))).toBe(false);
        await stage.slack.click('bo', open, 'Approve 100%', { skew });
        await opened('Promote');
        expect(stage.weights).toEqual([0, 10, 100]);
      },
      { ...preload, SHIFT_MS: String(skew * 1_000) },
    ),
  );

  test('it jumps an hour ahead at a gate of 20 minutes: the gate stays open', () =>
    onStage(
      options,
      async ({ stage, bot, gate: opened }) => {
        await stage.slack.command('ana', 'world v2 timed');
        const open = await opened('Approve 100%');
        bot.signal('SIGUSR2');
        await pause(2_500);
        expect(stage.slack.buttons(open)).toContain('Approve 100%');
        // An honest request is now from the past for this bot: no effect, and the person is told.
        await stage.slack.click('bo', open, 'Approve 100%');
        await stage.slack.until(() => stage.slack.ephemerals('bo').some((text) => /older than 5 minutes/.test(text)), {
          what: 'that it has no effect',
        });
        expect(stage.weights).toEqual([0, 10]);
        await stage.slack.click('bo', open, 'Approve 100%', { skew: HOUR_S });
        await opened('Promote');
        expect(stage.weights).toEqual([0, 10, 100]);
      },
      { ...preload, SHIFT_MS: String(HOUR_S * 1_000), SHIFT_AT: 'SIGUSR2' },
    ));
});

test('the clock jumps an hour ahead while a pod fails: it has not failed for an hour', () =>
  onStage(
    options,
    async ({ stage, bot }) => {
      await stage.slack.command('ana', 'world v2-missing brisk');
      await stage.slack.until(() => stage.get(kinds.deployments, 'world-canary'), { what: 'the canary' });
      // By now the bot has looked at its pods.
      await pause(7_000);
      bot.signal('SIGUSR2');
      await pause(3_000);
      expect(stage.slack.thread()).toEqual([]);
      await stage.slack.until(() => stage.slack.thread().some(({ text }) => /ImagePullBackOff/.test(text)), {
        what: 'why it does not start',
        timeoutMs: 30_000,
      });
    },
    { ...preload, SHIFT_MS: String(HOUR_S * 1_000), SHIFT_AT: 'SIGUSR2' },
  ));

describe('two replicas', () => {
  test('every press reaches both at once: one effect each', () =>
    onStage(options, async ({ stage, bot, gate: opened, said, cleaned }) => {
      const { slack } = stage;
      const other = await stage.startBot();
      const both = (press: () => Promise<unknown>) =>
        Promise.all(
          [bot, other].map((one) => {
            slack.botUrl = one.url();
            return press();
          }),
        );
      await both(() => slack.command('ana', 'world v2 short'));
      for (const label of ['Approve 50%', 'Approve 100%', 'Promote']) {
        const open = await opened(label);
        await both(() => slack.click('bo', open, label));
      }
      await said(/v2 is live/);
      await cleaned();
      // The claim, one for each step, the way back to stable and the release.
      expect(stage.writes).toEqual([0, 10, 50, 100, 0, 0]);
      expect(slack.roots()).toHaveLength(1);
      expect(slack.thread().filter(({ text }) => /gate \d of 3/i.test(text))).toHaveLength(3);
      expect(slack.thread().filter(({ text }) => /v2 is live/.test(text))).toHaveLength(1);
    }));
});

test('the configuration changes during a rollout: the running one keeps its plan and its rights', () =>
  onStage(options, async ({ stage, bot, gate: opened, press, said }) => {
    await stage.slack.command('ana', 'world v2 brisk');
    await opened('Approve 100%');
    stage.configure({
      access: { deploy: ['S_DEVS'], approve: ['U0DEE', 'U0CY'], approvals: 2 },
      strategies: ['short'],
    });
    await bot.kill('SIGTERM');
    await stage.startBot();
    await press('bo', 'Approve 100%');
    await press('bo', 'Promote');
    await said(/v2 is live/);
    expect(stage.weights).toEqual([0, 50, 100, 0]);
  }));

describe('a fault that nobody catches ends the process, and another goes on', () => {
  test.each(['throw', 'reject'])('%s', (fault) =>
    onStage(
      options,
      async ({ stage, bot, gate: opened, press }) => {
        await stage.slack.command('ana', 'world v2 brisk');
        await opened('Approve 100%');
        bot.signal('SIGUSR2');
        await bot.ended;
        expect(await bot.kill()).toBe(1);
        expect(stage.log()).toMatch(/planted.*stopping on a fault nobody caught/);
        await stage.startBot();
        await press('bo', 'Approve 100%');
        await opened('Promote');
        expect(stage.weights).toEqual([0, 50, 100]);
      },
      { ...preload, FAULT: fault },
    ),
  );
});

describe('SIGTERM: it is gone within 10 s with code 0, and another goes on where it was', () => {
  test.each<[string, (weights: readonly number[], canary: boolean) => boolean]>([
    ['while the canary starts', (_, canary) => canary],
    ['while a step bakes', (weights) => weights.at(-1) === 10],
  ])('%s', (_, moment) =>
    onStage({ ...options, readyAfterMs: 800 }, async ({ stage, bot, gate: opened }) => {
      await stage.slack.command('ana', 'world v2 short');
      await stage.slack.until(() => moment(stage.weights, stage.get(kinds.deployments, 'world-canary') !== undefined), {
        what: 'the moment',
        timeoutMs: 10_000,
      });
      const asked = performance.now();
      expect(await bot.kill('SIGTERM')).toBe(0);
      expect(performance.now() - asked).toBeLessThan(10_000);
      await stage.startBot();
      await opened('Approve 50%');
      expect(stage.weights).toEqual([0, 10]);
      expect(stage.slack.thread().filter(({ text }) => /^Gate 1/.test(text))).toHaveLength(1);
    }),
  );
});
