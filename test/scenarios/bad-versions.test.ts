/** Versions that must not go live, each on a stage of its own, side by side: two of them wait for 20 s. */
import { expect, test } from 'vitest';
import { onStage } from '../faults/support/open-stage.ts';

test.concurrent.each([
  ['v5-missing', /ImagePullBackOff|ErrImagePull/],
  ['v5-crash', /CrashLoopBackOff/],
])(
  '%s never gets a request, and the thread quotes the pod',
  (version, reason) =>
    onStage({}, async ({ stage, cleaned, image }) => {
      await stage.slack.command('ana', `world ${version} brisk`);
      const result = await stage.slack.until(() => stage.slack.thread().find(({ text }) => reason.test(text)), {
        what: `${reason}`,
        timeoutMs: 40_000,
      });
      expect(stage.slack.words(result)).toMatch(/v1/);
      await cleaned();
      expect(stage.weights).toEqual([0]);
      expect(image('world')).toBe('buoyantio/world:v1');
    }),
  60_000,
);

test.concurrent(
  'v4-slow800 goes back by its latency',
  () =>
    onStage({}, async ({ stage, said, cleaned }) => {
      const users = stage.users(40);
      await stage.slack.command('ana', 'world v4-slow800 brisk');
      expect((await said(/aborted/i)).text).toMatch(/p99 latency/);
      await cleaned();
      expect(stage.weights.at(-1)).toBe(0);
      await users.stop();
    }),
  60_000,
);

const strategies = { shared: [{ weight: 20, bake: '20s', gate: true }, { weight: 100 }] };
const SHARED = {
  world: { traffic: 'kubernetes', replicas: 4 },
  service: { traffic: { router: 'kubernetes', service: 'world' }, workload: 'in-place', strategies: ['shared'] },
  config: { strategies },
} as const;

test.concurrent(
  'v4-err60 goes back by what its own pods answer, though they share a Deployment with the old ones',
  () =>
    onStage(SHARED, async ({ stage, said, image }) => {
      const users = stage.playground.load({ ...stage.playground.entry, perSecond: 40 });
      await stage.slack.command('ana', 'world v4-err60 shared');
      expect((await said(/aborted/i)).text).toMatch(/success rate/);
      await stage.slack.until(() => image('world') === 'buoyantio/world:v1', { what: 'the old pods are back' });
      await users.stop();
    }),
  60_000,
);
