/** Redis loses everything, or the bot is stopped: what people see. */
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import { type Stage, setStage } from '../scenarios/support/stage.ts';
import { replayAll } from '../support/replay.ts';

let stage: Stage;
let bot: Awaited<ReturnType<Stage['startBot']>>;
beforeEach(async () => {
  stage = await setStage();
  bot = await stage.startBot();
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') process.stderr.write(`${stage.slack.transcript()}\n${stage.log()}\n`);
  const replayed = await replayAll(stage.corner);
  await stage.stop();
  expect(replayed.problems).toEqual([]);
});

const LONG = { timeoutMs: 15_000 };

const gate = (label: string) =>
  stage.slack.until(() => stage.slack.thread().find((message) => stage.slack.buttons(message).includes(label)), {
    what: `a gate with "${label}"`,
    ...LONG,
  });

const image = (name: string) => stage.get(kinds.deployments, name)?.spec.template.spec.containers[0]?.image;

test.each([
  ['the button', () => stage.slack.click('bo', stage.slack.root(), 'Abort')],
  ['its service', () => stage.slack.command('bo', 'abort world')],
])(
  'an abort by %s works at once after Redis lost everything',
  async (_, abort) => {
    await stage.slack.command('ana', 'world v2 brisk');
    await gate('Abort');
    await stage.corner.clear();
    await abort();
    await stage.slack.until(() => stage.weights.at(-1) === 0, { what: 'the traffic is back', timeoutMs: 2_000 });
    await stage.slack.until(
      () => stage.slack.ephemerals('bo').some((text) => /back on the stable version/.test(text)),
      {
        what: 'bo is told',
      },
    );
    // Found at once, not with the next look of the minute.
    await stage.slack.until(() => stage.get(kinds.deployments, 'world-canary') === undefined, {
      what: 'clean-up',
      ...LONG,
    });
    await stage.slack.until(() => stage.slack.thread().some(({ text }) => /Redis had lost this rollout/.test(text)), {
      what: 'the words in the thread',
    });
    expect(image('world')).toBe('buoyantio/world:v1');
  },
  40_000,
);

test('a version that is live stays live though Redis lost its rollout before the clean-up', async () => {
  const users = stage.users(50);
  await stage.slack.command('ana', 'world v2 short');
  for (const label of ['Approve 10%', 'Approve 50%', 'Approve 100%', 'Promote']) {
    await stage.slack.click('bo', await gate(label), label);
  }
  await stage.slack.until(() => stage.slack.thread().find(({ text }) => /v2 is live/.test(text)), {
    what: 'v2',
    ...LONG,
  });
  await bot.kill();
  await stage.corner.clear();
  bot = await stage.startBot();
  await stage.slack.until(() => stage.get(kinds.deployments, 'world-canary') === undefined, {
    what: 'clean-up',
    ...LONG,
  });
  await users.stop();
  expect(image('world')).toBe('buoyantio/world:v2');
  expect(stage.weights.at(-1)).toBe(0);
}, 60_000);

test('the bot stops within its time though neither Slack nor Prometheus answers', async () => {
  await stage.slack.command('ana', 'world v2 brisk');
  await gate('Abort');
  stage.slack.fail({ kind: 'hang' });
  stage.playground.prometheus.disturb({ kind: 'hang' });
  await setTimeout(1_500);
  await stage.slack.command('bo', 'status world');
  const asked = performance.now();
  expect(await bot.kill('SIGTERM')).toBe(0);
  expect(performance.now() - asked).toBeLessThan(9_900);
}, 40_000);
