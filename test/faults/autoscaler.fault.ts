/** What may happen to the autoscaler of stable, and to who holds it, while a rollout runs. */
import { expect, test } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import { ASKED } from '../../playground/controllers/autoscalers.ts';
import { useAutoscaler } from '../scenarios/support/autoscaler.ts';
import { useStage } from '../scenarios/support/use-stage.ts';
import { createEdits } from './support/edits.ts';

const set = useStage({ world: { replicas: 4 }, service: { checks: [], tests: [] } });

test('somebody sets its minReplicas: theirs stays, during the rollout and after it', async () => {
  const { stage, gate, press, cleaned } = set();
  const { appear, least, released } = useAutoscaler(stage);
  appear();
  await stage.slack.command('ana', 'world v2 brisk');
  await gate('Approve 100%');
  createEdits(stage).edit(kinds.autoscalers, 'world', (object) => ({
    ...object,
    spec: { ...object.spec, minReplicas: 3 },
  }));
  await press('bo', 'Approve 100%');
  await gate('Promote');
  expect(least()).toBe(3);
  await press('bo', 'Abort');
  await cleaned();
  await released();
  expect(least()).toBe(3);
}, 40_000);

test('it is deleted, and another one appears: the version goes live, and neither holds it up', async () => {
  const { stage, press, gate, said, cleaned, image } = set();
  const { appear, isClaimed, size } = useAutoscaler(stage);
  appear();
  await stage.slack.command('ana', 'world v2 brisk');
  await gate('Approve 100%');
  createEdits(stage).remove(kinds.autoscalers, 'world');
  await press('bo', 'Approve 100%');
  await gate('Promote');
  appear({ [ASKED]: '2' });
  await press('bo', 'Promote');
  await said(/v2 is live/);
  await cleaned();
  expect([image('world'), size('world'), isClaimed()]).toEqual(['buoyantio/world:v2', 2, false]);
}, 40_000);

test('Redis loses everything: what the autoscaler had stands on itself', async () => {
  const { stage, bot, gate, said, cleaned } = set();
  const { appear, least, released } = useAutoscaler(stage);
  appear();
  await stage.slack.command('ana', 'world v2 brisk');
  await gate('Approve 100%');
  await bot.kill();
  await stage.corner.clear();
  await stage.startBot();
  await said(/Redis had lost this rollout/);
  await cleaned();
  await released();
  expect(least()).toBe(1);
}, 40_000);
