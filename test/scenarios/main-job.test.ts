/** The main job, as the channel sees it. */
import { expect, test } from 'vitest';
import { useStage } from './support/use-stage.ts';

const set = useStage();

test('world v2 goes live gate by gate', async () => {
  const { stage, press, said, cleaned, image } = set();
  const users = stage.users(50);
  await stage.slack.command('ana', 'world v2 short --reason "fix login"');
  await press('bo', 'Approve 10%');
  await press('bo', 'Approve 50%');
  await press('bo', 'Approve 100%');
  await press('bo', 'Promote');
  await said(/v2 is live/i);
  await cleaned();
  expect(stage.weights).toEqual([0, 10, 50, 100, 0]);
  expect(image('world')).toBe('buoyantio/world:v2');
  const counts = await users.stop();
  expect({ broken: counts.broken, gatewayErrors: counts.gatewayErrors }).toEqual({ broken: 0, gatewayErrors: 0 });
}, 60_000);

test('a version that fails is taken back by itself, with the numbers', async () => {
  const { stage, said, cleaned, image } = set();
  const users = stage.users(60);
  await stage.slack.command('ana', 'world v3-err20 brisk');
  const result = await said(/success rate/i);
  expect(stage.slack.words(result)).toMatch(/99/);
  await cleaned();
  expect(stage.weights.at(-1)).toBe(0);
  expect(image('world')).toBe('buoyantio/world:v1');
  await users.stop();
}, 60_000);

test('bo aborts at a gate: all traffic is back at once, one result', async () => {
  const { stage, gate, said, cleaned } = set();
  await stage.slack.command('ana', 'world v2 brisk');
  await gate('Hold 15 min');
  await stage.slack.click('bo', stage.slack.root(), 'Abort');
  await said(/aborted/i);
  await cleaned();
  expect(stage.weights.at(-1)).toBe(0);
  expect(stage.slack.thread().filter(({ text }) => /all traffic is on/i.test(text))).toHaveLength(1);
}, 40_000);

test('a second deploy is told who runs what', async () => {
  const { stage, gate, told } = set();
  await stage.slack.command('ana', 'world v2 brisk');
  await gate('Hold 15 min');
  await stage.slack.command('bo', 'world v3 brisk');
  expect(await told('bo', /ana/i)).toMatch(/v2/);
}, 40_000);

test('what cannot start is answered with what to do, and nothing is posted', async () => {
  const { stage, told } = set();
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
  const { stage, bot, gate, approveAnyway } = set();
  await stage.slack.command('ana', 'world v2 brisk');
  await gate('Hold 15 min');
  await bot.kill();
  await stage.startBot();
  await approveAnyway('bo', 'nobody uses it at night');
  await stage.slack.until(() => stage.weights.includes(100), { what: 'the next weight', timeoutMs: 15_000 });
  expect(stage.weights).toEqual([0, 50, 100]);
  // Decided or not yet shown as decided.
  expect(stage.slack.thread().filter(({ text }) => /\bgate 1 of/i.test(text))).toHaveLength(1);
}, 40_000);
