/** Abort, whatever is going on: stable has all the traffic, nothing is left, and the thread says it once. */
import { expect, test } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import { useStage } from './support/use-stage.ts';

const set = useStage({ readyAfterMs: 1_200, service: { checks: [], tests: [] } });
const LONG = { timeoutMs: 15_000 };

/** Nothing but terminal marks, the old version, one result. */
async function expectBackToStable() {
  const { stage, said, cleaned, image } = set();
  await said(/aborted by @bo/i);
  await cleaned();
  expect(stage.weights.at(-1)).toBe(0);
  expect(image('world')).toBe('buoyantio/world:v1');
  // Deleted side by side with the Deployment that `cleaned` waits for.
  for (const name of ['world-canary', 'world-stable'])
    await expect.poll(() => stage.get(kinds.services, name), { timeout: 5_000 }).toBeUndefined();
  await stage.slack.until(
    () => stage.get(kinds.httpRoutes, 'world')?.metadata.annotations?.['sluice.dev/phase'] === 'done',
    { what: 'the route is released', ...LONG },
  );
  expect(stage.slack.thread().filter(({ text }) => /all traffic is on/i.test(text))).toHaveLength(1);
}

const abort = () => set().stage.slack.click('bo', set().stage.slack.root(), 'Abort');

test('while the canary starts', async () => {
  const { stage } = set();
  await stage.slack.command('ana', 'world v2 brisk');
  await stage.slack.until(() => stage.get(kinds.deployments, 'world-canary'), { what: 'the canary', ...LONG });
  await abort();
  await expectBackToStable();
  expect(stage.weights).toEqual([0]);
}, 30_000);

test('while it bakes, by two people at once', async () => {
  const { stage, press } = set();
  await stage.slack.command('ana', 'world v2 short');
  await press('bo', 'Approve 10%');
  await stage.slack.until(() => stage.weights.at(-1) === 10, { what: '10%', ...LONG });
  await Promise.all([abort(), stage.slack.click('cy', stage.slack.root(), 'Abort'), abort()]);
  await stage.slack.until(() => stage.weights.at(-1) === 0, { what: 'the traffic is back', timeoutMs: 2_000 });
  expect(stage.slack.thread().filter(({ text }) => /aborted by/i.test(text)).length).toBeLessThanOrEqual(1);
}, 30_000);

test('while the promoted pods start (P2): stable gets its old template back', async () => {
  const { stage, press, image } = set();
  await stage.slack.command('ana', 'world v2 brisk');
  await press('bo', 'Approve 100%');
  await press('bo', 'Promote');
  await stage.slack.until(() => image('world') === 'buoyantio/world:v2', { what: 'the promotion', ...LONG });
  await abort();
  await expectBackToStable();
}, 40_000);

test('two people approve within the same moment: one decision, the other is told', async () => {
  const { stage, gate } = set();
  await stage.slack.command('ana', 'world v2 brisk');
  const open = await gate('Approve 100%');
  await Promise.all([
    stage.slack.click('bo', open, 'Approve 100%'),
    stage.slack.click('cy', open, 'Approve 100%'),
    stage.slack.click('bo', open, 'Approve 100%'),
  ]);
  await gate('Promote');
  expect(stage.weights).toEqual([0, 50, 100]);
  const told = [...stage.slack.ephemerals('bo'), ...stage.slack.ephemerals('cy')];
  expect(told.filter((text) => /decided|approved/i.test(text))).toHaveLength(2);
}, 30_000);

test('killed in the middle of a step, the other replica goes on', async () => {
  const { stage, bot, press, gate } = set();
  await stage.slack.command('ana', 'world v2 brisk');
  await gate('Approve 100%');
  await stage.startBot();
  await press('bo', 'Approve 100%');
  await bot.kill();
  await gate('Promote');
  expect(stage.weights).toEqual([0, 50, 100]);
}, 40_000);
