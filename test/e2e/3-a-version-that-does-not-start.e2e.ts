import { expect, it } from 'vitest';
import { deploy, expectBackToStable } from './support/rollout.ts';
import { useStage } from './support/stage.ts';

const stage = useStage({ alsoServices: ['moon'] });

it('never gives a request to a version that does not start, and quotes the pod’s own reason', async () => {
  // Both at once, because each takes the 20 s for which a reason must hold.
  await Promise.all([
    expectNotStarted('world', 'v5-missing', /(ImagePullBackOff|ErrImagePull).*buoyantio\/world:v5-missing/s),
    expectNotStarted('moon', 'v5-crash', /CrashLoopBackOff.*restarting failed container/s),
  ]);
});

async function expectNotStarted(service: string, version: string, reason: RegExp) {
  const { worlds, histories } = stage();
  const at = worlds.findIndex(({ name }) => name === service);
  const [world, history] = [worlds[at], histories[at]];
  if (!world || !history) throw new Error(`no ${service} on the stage`);
  const load = world.users.stream(30);
  const rollout = await deploy({ ...stage(), world, history }, `${service} ${version} short`);
  await rollout.said(reason, { withinMs: 60_000 });
  await rollout.ended(new RegExp(`${service} ${version} did not start`));
  await rollout.titled(/did not start/);
  const { failed, byVersion, sent } = await load.stop();
  expect({ failed, byVersion }).toEqual({ failed: [], byVersion: { v1: sent } });
  expect(history.since(rollout.from).filter(({ canary, preview }) => canary > 0 || preview)).toEqual([]);
  await expectBackToStable(rollout);
}
