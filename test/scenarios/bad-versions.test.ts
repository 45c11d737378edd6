/** Versions that must not go live, each on a stage of its own, side by side: two of them wait for 20 s. */
import { expect, test } from 'vitest';
import { readChannel } from './support/channel.ts';
import { setStage } from './support/stage.ts';

test.concurrent.each([
  ['v5-missing', /ImagePullBackOff|ErrImagePull/],
  ['v5-crash', /CrashLoopBackOff/],
])(
  '%s never gets a request, and the thread quotes the pod',
  async (version, reason) => {
    const stage = await setStage();
    try {
      await stage.startBot();
      const { cleaned, image } = readChannel(stage);
      await stage.slack.command('ana', `world ${version} brisk`);
      const result = await stage.slack.until(() => stage.slack.thread().find(({ text }) => reason.test(text)), {
        what: `${reason}`,
        timeoutMs: 40_000,
      });
      expect(stage.slack.words(result)).toMatch(/v1/);
      await cleaned();
      expect(stage.weights).toEqual([0]);
      expect(image('world')).toBe('buoyantio/world:v1');
      expect(stage.slack.violations).toEqual([]);
    } finally {
      await stage.stop();
    }
  },
  60_000,
);

test.concurrent('v4-slow800 goes back by its latency', async () => {
  const stage = await setStage();
  try {
    await stage.startBot();
    const { said, cleaned } = readChannel(stage);
    const users = stage.users(40);
    await stage.slack.command('ana', 'world v4-slow800 brisk');
    expect((await said(/aborted/i)).text).toMatch(/p99 latency/);
    await cleaned();
    expect(stage.weights.at(-1)).toBe(0);
    await users.stop();
  } finally {
    await stage.stop();
  }
}, 60_000);

test.concurrent('v4-err60 goes back by what its own pods answer, though they share a Deployment with the old ones', async () => {
  const strategies = { shared: [{ weight: 20, bake: '20s', gate: true }, { weight: 100 }] };
  const stage = await setStage({
    world: { traffic: 'kubernetes', replicas: 4 },
    service: { traffic: { router: 'kubernetes', service: 'world' }, workload: 'in-place', strategies: ['shared'] },
    config: { strategies },
  });
  try {
    await stage.startBot();
    const { said, image } = readChannel(stage);
    const users = stage.playground.load({ ...stage.playground.entry, perSecond: 40 });
    await stage.slack.command('ana', 'world v4-err60 shared');
    expect((await said(/aborted/i)).text).toMatch(/success rate/);
    await stage.slack.until(() => image('world') === 'buoyantio/world:v1', { what: 'the old pods are back' });
    await users.stop();
  } finally {
    await stage.stop();
  }
}, 60_000);
