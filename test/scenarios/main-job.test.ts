/** The main job, as the channel sees it. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import type { Message } from '../support/fake-slack/index.ts';
import { type Stage, setStage } from './support/stage.ts';

let stage: Stage;
let bot: Awaited<ReturnType<Stage['startBot']>>;
beforeEach(async () => {
  stage = await setStage();
  bot = await stage.startBot();
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') process.stderr.write(`${stage.slack.transcript()}\n${stage.log()}\n`);
  expect(stage.slack.violations).toEqual([]);
  await stage.stop();
});

const LONG = { timeoutMs: 15_000 };

/** The newest gate with this button. */
const gate = (label: string) =>
  stage.slack.until(() => stage.slack.thread().find((message) => stage.slack.buttons(message).includes(label)), {
    what: `a gate with "${label}"`,
    ...LONG,
  });

async function approve(label: string): Promise<Message> {
  const message = await gate(label);
  await stage.slack.click('bo', message, label);
  return message;
}

const said = (words: RegExp) =>
  stage.slack.until(() => stage.slack.thread().find((message) => words.test(message.text)), {
    what: `${words}`,
    ...LONG,
  });

const told = (user: 'ana' | 'bo' | 'cy' | 'dee' | 'eli', words: RegExp) =>
  stage.slack.until(() => stage.slack.ephemerals(user).find((text) => words.test(text)), {
    what: `${words} to ${user}`,
  });

const image = (name: string) => stage.get(kinds.deployments, name)?.spec.template.spec.containers[0]?.image;

test('world v2 goes live gate by gate', async () => {
  const users = stage.users(50);
  await stage.slack.command('ana', 'world v2 short --reason "fix login"');
  await approve('Approve 10%');
  await approve('Approve 50%');
  await approve('Approve 100%');
  await approve('Promote');
  await said(/v2 is live/i);
  await stage.slack.until(() => stage.get(kinds.deployments, 'world-canary') === undefined, {
    what: 'clean-up',
    ...LONG,
  });
  expect(stage.weights).toEqual([0, 10, 50, 100, 0]);
  expect(image('world')).toBe('buoyantio/world:v2');
  const counts = await users.stop();
  expect({ broken: counts.broken, gatewayErrors: counts.gatewayErrors }).toEqual({ broken: 0, gatewayErrors: 0 });
}, 60_000);

test('a version that fails is taken back by itself, with the numbers', async () => {
  const users = stage.users(60);
  await stage.slack.command('ana', 'world v3-err20 brisk');
  const result = await said(/success rate/i);
  expect(stage.slack.words(result)).toMatch(/99/);
  await stage.slack.until(() => stage.get(kinds.deployments, 'world-canary') === undefined, {
    what: 'clean-up',
    ...LONG,
  });
  expect(stage.weights.at(-1)).toBe(0);
  expect(image('world')).toBe('buoyantio/world:v1');
  await users.stop();
}, 60_000);

test('bo aborts at a gate: all traffic is back at once, one result', async () => {
  await stage.slack.command('ana', 'world v2 brisk');
  await gate('Abort');
  await stage.slack.click('bo', stage.slack.root(), 'Abort');
  await said(/aborted/i);
  await stage.slack.until(() => stage.get(kinds.deployments, 'world-canary') === undefined, {
    what: 'clean-up',
    ...LONG,
  });
  expect(stage.weights.at(-1)).toBe(0);
  expect(stage.slack.thread().filter(({ text }) => /all traffic is on/i.test(text))).toHaveLength(1);
}, 40_000);

test('a second deploy is told who runs what', async () => {
  await stage.slack.command('ana', 'world v2 brisk');
  await gate('Abort');
  await stage.slack.command('bo', 'world v3 brisk');
  expect(await told('bo', /ana/i)).toMatch(/v2/);
}, 40_000);

test('what cannot start is answered with what to do, and nothing is posted', async () => {
  for (const [user, text, answer] of [
    ['ana', 'wrold v2', /did you mean.*world/is],
    ['ana', 'world 2', /v\[0-9\]/],
    ['ana', 'world v2 shrot', /short/],
    ['ana', 'world v1', /already/],
    ['dee', 'world v2', /S_DEVS|devs/i],
  ] as const) {
    await stage.slack.command(user, text);
    await told(user, answer);
  }
  expect(stage.slack.root()).toBeUndefined();
});

test('killed at a gate, the bot goes on with the old button and asks nothing twice', async () => {
  await stage.slack.command('ana', 'world v2 brisk');
  const open = await gate('Abort');
  await bot.kill();
  await stage.startBot();
  await stage.slack.click('bo', open, 'Approve anyway…');
  await stage.slack.until(() => stage.slack.form('bo'), { what: 'the form for the reason' });
  await stage.slack.submit('bo', { reason: 'nobody uses it at night' });
  await stage.slack.until(() => stage.weights.includes(100), { what: 'the next weight', ...LONG });
  expect(stage.weights).toEqual([0, 50, 100]);
  expect(stage.slack.thread().filter(({ text }) => /^Gate 1/i.test(text))).toHaveLength(1);
}, 40_000);
