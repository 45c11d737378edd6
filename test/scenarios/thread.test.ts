/** What people do in the thread besides pressing Approve. */
import { expect, test } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import { useStage } from './support/use-stage.ts';

const set = useStage({ service: { checks: [] } });
const LONG = 60_000;

test('a dry run says every step and write, and touches nothing', async () => {
  const { stage, told } = set();
  await stage.slack.command('ana', 'world v2 short --dry-run');
  expect(await told('ana', /Dry run/)).toMatch(/HTTPRoute hello\/world/);
  expect(stage.get(kinds.deployments, 'world-canary')).toBeUndefined();
  expect(stage.get(kinds.httpRoutes, 'world')?.metadata.annotations).toBeUndefined();
  expect(stage.slack.root()).toBeUndefined();
});

test(
  '@sluice status, approve and abort mean the rollout of the thread',
  async () => {
    const { stage, gate, said, told, cleaned } = set();
    await stage.slack.command('ana', 'world v2 brisk');
    await gate('Approve 100%');
    const root = stage.slack.root()?.ts ?? '';
    await stage.slack.mention('dee', root, 'status');
    expect(await told('dee', /step 1 of 2/)).toMatch(/50%/);
    await stage.slack.mention('ana', root, 'approve');
    await told('ana', /S_APPROVERS can approve/);
    await stage.slack.mention('bo', root, 'approve');
    await gate('Promote');
    await stage.slack.mention('ana', root, 'abort');
    await said(/aborted by @ana/i);
    await cleaned();
    expect(stage.weights).toEqual([0, 50, 100, 0]);
  },
  LONG,
);

test(
  'Hold gives the gate more time, for those who may approve',
  async () => {
    const { stage, gate, press, told } = set();
    await stage.slack.command('ana', 'world v2 brisk');
    await gate('Hold 15 min');
    await press('ana', 'Hold 15 min');
    await told('ana', /can hold/);
    await press('bo', 'Hold 15 min');
    await told('bo', /Held/);
  },
  LONG,
);

test(
  'Roll back on the result brings the version before back, with its whole template',
  async () => {
    const { stage, press, gate, cleaned, image } = set();
    const before = stage.get(kinds.deployments, 'world')?.spec.template;
    await stage.slack.command('ana', 'world v2 brisk');
    await press('bo', 'Approve 100%');
    await press('bo', 'Promote');
    // At once, while the canary of v2 still cools down.
    const result = await gate('Roll back to v1');
    expect(image('world')).toBe('buoyantio/world:v2');
    await stage.slack.click('ana', result, 'Roll back to v1');
    await stage.slack.until(() => stage.slack.roots().length === 2, { what: 'the rollback', timeoutMs: 15_000 });
    await stage.slack.until(() => image('world') === 'buoyantio/world:v1', { what: 'v1 again', timeoutMs: 15_000 });
    await stage.slack.until(() => stage.slack.thread().some(({ text }) => /rolled back to v1/i.test(text)), {
      what: 'the result of the rollback',
      timeoutMs: 15_000,
    });
    await cleaned();
    expect(stage.get(kinds.deployments, 'world')?.spec.template).toEqual(before);
  },
  LONG,
);

test(
  'a route that somebody else changes stops the rollout, until people decide',
  async () => {
    const { stage, gate, press, said } = set();
    await stage.slack.command('ana', 'world v2 short');
    await press('bo', 'Approve 10%');
    await gate('Approve 50%');
    setCanaryWeight(30);
    await said(/30%|30/);
    await press('bo', 'Re-apply');
    await stage.slack.until(() => stage.weights.at(-1) === 10, { what: '10% again', timeoutMs: 15_000 });
    setCanaryWeight(20);
    await press('bo', 'Accept 20%');
    await press('bo', 'Approve 50%');
    await stage.slack.until(() => stage.weights.at(-1) === 50, { what: '50%', timeoutMs: 15_000 });
    expect(stage.weights).toEqual([0, 10, 30, 10, 20, 50]);

    function setCanaryWeight(weight: number): void {
      const route = stage.get(kinds.httpRoutes, 'world');
      if (!route) throw new Error('the route is gone');
      const rules = (route.spec.rules ?? []).map((rule) => ({
        ...rule,
        ...(rule.backendRefs && rule.backendRefs.length > 1
          ? {
              backendRefs: rule.backendRefs.map((ref) => ({
                ...ref,
                weight: ref.name === 'world-canary' ? weight : 100 - weight,
              })),
            }
          : {}),
      }));
      stage.playground.store.update(kinds.httpRoutes, { ...route, spec: { ...route.spec, rules } }, 'main');
    }
  },
  LONG,
);
