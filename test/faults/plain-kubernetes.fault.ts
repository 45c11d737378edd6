/** No mesh at all: a Kubernetes Service whose selector is switched, and a Deployment that is rolled out in place. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Kind, kinds } from '../../playground/api-server/kinds.ts';
import type { Deployment, NewObject } from '../../playground/api-server/objects.ts';
import { useAutoscaler } from '../scenarios/support/autoscaler.ts';
import type { Stage } from '../scenarios/support/stage.ts';
import { useStage } from '../scenarios/support/use-stage.ts';

const soon = { timeoutMs: 15_000 };
const traffic = { router: 'kubernetes', service: 'world' };
const NONE_FAILED = { broken: 0, gatewayErrors: 0 };
const world = { traffic: 'kubernetes', replicas: 4 } as const;

/** A reason has to hold for 20 s. */
const undone = ({ slack }: Stage) =>
  slack.until(() => slack.thread().find(({ text }) => /did not start/.test(text)), {
    what: 'the abort',
    timeoutMs: 45_000,
  });

describe('blue-green by the selector of the Kubernetes Service', () => {
  const set = useStage({
    world,
    service: { traffic, strategies: ['switch', 'shares'], checks: [] },
    config: {
      strategies: {
        switch: [
          { test: true, gate: true },
          { weight: 100, bake: '1s', gate: true },
        ],
        shares: [{ preview: { header: 'x-canary: always' }, gate: true }, { weight: 10, gate: true }, { weight: 100 }],
      },
    },
  });
  const service = () => set().stage.get(kinds.services, 'world');
  const users = () => set().stage.playground.load({ ...set().stage.playground.entry, perSecond: 40 });
  const released = () =>
    set().stage.slack.until(() => service()?.metadata.annotations?.['sluice.dev/phase'] === 'done', {
      what: 'the Kubernetes Service is released',
      ...soon,
    });

  test('is approved: all at once, there and back, and not one request fails', async () => {
    const { stage, press, gate, said, cleaned, image } = set();
    const before = service()?.spec;
    const load = users();
    await stage.slack.command('ana', 'world v2 switch');
    await gate('Approve 100%');
    expect(service()?.spec).toEqual(before);
    await press('bo', 'Approve 100%');
    await gate('Promote');
    expect(service()?.spec).toEqual({ ...before, selector: { app: 'world-canary' } });
    await press('bo', 'Promote');
    await said(/v2 is live/i);
    await cleaned();
    await released();
    expect(service()?.spec).toEqual(before);
    expect(image('world')).toBe('buoyantio/world:v2');
    expect(await load.stop()).toMatchObject(NONE_FAILED);
  });

  test.each([
    ['before the switch', [], 'Approve 100%'],
    ['after the switch', ['Approve 100%'], 'Promote'],
  ])('is aborted %s: the selector is what it was', async (_, approvals, at) => {
    const { stage, press, gate, said, cleaned, image } = set();
    const before = service()?.spec;
    const load = users();
    await stage.slack.command('ana', 'world v2 switch');
    for (const label of approvals) await press('bo', label);
    await gate(at);
    await stage.slack.click('bo', stage.slack.root(), 'Abort');
    await said(/aborted/i);
    expect(service()?.spec).toEqual(before);
    await cleaned();
    await released();
    expect(image('world')).toBe('buoyantio/world:v1');
    expect(await load.stop()).toMatchObject(NONE_FAILED);
  });

  test('meets a selector that somebody else set, and switches again when told to', async () => {
    const { stage, press, gate, said } = set();
    await stage.slack.command('ana', 'world v2 switch');
    await press('bo', 'Approve 100%');
    await gate('Promote');
    const found = service();
    if (!found) throw new Error('no Kubernetes Service');
    stage.playground.store.update(
      kinds.services,
      { ...found, spec: { ...found.spec, selector: { app: 'world' } } },
      'main',
    );
    await press('bo', 'Re-apply');
    await stage.slack.until(() => service()?.spec.selector?.app === 'world-canary', {
      what: 'switched again',
      ...soon,
    });
    await press('bo', 'Promote');
    await said(/v2 is live/i);
  });

  test('refuses shares and previews when the command is typed, with the reason', async () => {
    const { stage, told } = set();
    await stage.slack.command('ana', 'world v2 shares');
    expect(await told('ana', /Weights: the selector/)).toMatch(/A preview by header: .*-canary/);
    expect(stage.slack.root()).toBeUndefined();
  });
});

describe('in place', () => {
  const set = useStage({
    world,
    service: { traffic, workload: 'in-place', strategies: ['half', 'rolling'], checks: [], readyTimeout: '60s' },
    config: {
      strategies: {
        half: [
          { weight: 10, test: true, gate: true },
          { weight: 50, gate: true },
          { weight: 100, gate: true },
        ],
        rolling: [{ weight: 100, gate: true }],
      },
    },
  });
  const deployment = () => set().stage.get(kinds.deployments, 'world');
  const users = () => set().stage.playground.load({ ...set().stage.playground.entry, perSecond: 40 });
  const pods = () => {
    const { stage } = set();
    const images = stage.playground.store
      .list(kinds.pods, 'hello')
      .filter(({ metadata }) => !metadata.deletionTimestamp)
      .map(({ spec }) => spec.containers[0]?.image.split(':')[1]);
    const count = (version: string) => images.filter((one) => one === version).length;
    return { v1: count('v1'), v2: count('v2') };
  };
  /** No more pods in the namespace. */
  const limit = (isFull: boolean) => {
    const { store } = set().stage.playground;
    const metadata = { name: 'none', namespace: 'hello' };
    if (!isFull) return store.remove(kinds.resourceQuotas, 'hello', 'none');
    return store.create(kinds.resourceQuotas, {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata,
      spec: { hard: { pods: '0' } },
    });
  };
  /** As its owners have it, with only the terminal marks. */
  const settled = () =>
    set().stage.slack.until(
      () => {
        const { metadata, status } = deployment() ?? {};
        return (
          metadata?.annotations?.['sluice.dev/phase'] === 'done' &&
          status?.updatedReplicas === 4 &&
          status.replicas === 4
        );
      },
      { what: 'the Deployment is settled', ...soon },
    );

  test.each([
    ['half', ['Approve 50%', 'Approve 100%', 'Promote']],
    ['rolling', ['Promote']],
  ])('%s is approved to the end, and the Deployment rolls as before', async (strategy, approvals) => {
    const { stage, press, said, gate } = set();
    const before = deployment()?.spec;
    const load = users();
    await stage.slack.command('ana', `world v2 ${strategy}`);
    for (const label of approvals) {
      await gate(label);
      if (label === 'Approve 50%') {
        expect(pods()).toEqual({ v1: 4, v2: 1 });
        expect(deployment()?.spec.paused).toBe(true);
      }
      if (label === 'Approve 100%') expect(pods()).toEqual({ v1: 4, v2: 4 });
      await press('bo', label);
    }
    await said(/v2 is live/i);
    await settled();
    const { template, ...own } = deployment()?.spec ?? {};
    const { template: old, ...ownBefore } = before ?? {};
    expect(own).toEqual(ownBefore);
    expect({ ...template, spec: { ...template?.spec, containers: old?.spec.containers } }).toEqual(old);
    expect(template?.spec.containers[0]?.image).toBe('buoyantio/world:v2');
    expect(await load.stop()).toMatchObject(NONE_FAILED);
  });

  test.each([
    ['half', [], 'Approve 50%'],
    ['half', ['Approve 50%'], 'Approve 100%'],
    ['half', ['Approve 50%', 'Approve 100%'], 'Promote'],
    ['rolling', [], 'Promote'],
  ])('%s after %j is aborted: all pods are old again', async (strategy, approvals, at) => {
    const { stage, press, said, gate } = set();
    const before = deployment()?.spec;
    const load = users();
    await stage.slack.command('ana', `world v2 ${strategy}`);
    for (const label of approvals) await press('bo', label);
    await gate(at);
    await stage.slack.click('bo', stage.slack.root(), 'Abort');
    await said(/All traffic is on v1/);
    expect(pods().v2).toBe(0);
    await settled();
    expect(deployment()?.spec).toEqual(before);
    expect(await load.stop()).toMatchObject(NONE_FAILED);
  });

  test.each<[string, (isFull: boolean) => void, RegExp]>([
    ['no quota allows', (isFull) => limit(isFull), /4 of 4 pods are still of the version .* exceeded quota/],
    [
      'no node has room for',
      (isFull) => set().stage.playground.cordon(isFull),
      /4 of 5 pods are still of the version .* ProgressDeadlineExceeded/,
    ],
  ])(
    'is aborted while %s old pods: people hear who serves, and that all is back only when it is',
    async (_, block, why) => {
      const { stage, said, gate } = set();
      const { slack, playground } = stage;
      const found = deployment();
      if (!found) throw new Error('no Deployment');
      playground.store.update(
        kinds.deployments,
        { ...found, spec: { ...found.spec, progressDeadlineSeconds: 2 } },
        'main',
      );
      await slack.command('ana', 'world v2 rolling');
      await gate('Promote');
      block(true);
      await slack.click('bo', slack.root(), 'Abort');
      const stalled = /is taken back, but some of its pods still serve/;
      const message = await slack.until(() => slack.thread().find(({ text }) => stalled.test(text)), {
        what: 'people are told',
        timeoutMs: 45_000,
      });
      expect(slack.words(message)).toMatch(why);
      expect(pods().v2).toBe(4);
      expect(slack.transcript()).not.toMatch(/All traffic is on v1/);
      block(false);
      await said(/All traffic is on v1/);
      expect(pods().v2).toBe(0);
      await settled();
    },
  );

  test('an autoscaler that adds pods meanwhile adds to both sides, and all of them end new', async () => {
    const { stage, press, said, gate } = set();
    const { appear, asksFor, until } = useAutoscaler(stage);
    const load = users();
    appear();
    asksFor(4);
    await stage.slack.command('ana', 'world v2 half');
    await gate('Approve 50%');
    expect(pods()).toEqual({ v1: 4, v2: 1 });
    asksFor(8);
    await until('both sides have grown', () => pods().v1 === 7 && pods().v2 === 2);
    await press('bo', 'Approve 50%');
    await gate('Approve 100%');
    expect(pods()).toEqual({ v1: 7, v2: 8 });
    await press('bo', 'Approve 100%');
    await press('bo', 'Promote');
    await said(/v2 is live/i);
    await until('the old ones are gone', () => pods().v1 === 0);
    expect(pods().v2).toBe(8);
    expect(await load.stop()).toMatchObject(NONE_FAILED);
  });

  test('a version whose image is missing costs no old pod, and is undone by itself', async () => {
    const { stage } = set();
    const before = deployment()?.spec;
    await stage.slack.command('ana', 'world v2-missing half');
    expect(stage.slack.words(await undone(stage))).toMatch(/ImagePullBackOff/);
    await settled();
    expect(deployment()?.spec).toEqual(before);
    expect(pods()).toEqual({ v1: 4, v2: 0 });
  });

  test('a bot that is killed between the new pods and the pause finds its first batch, and no more', async () => {
    const { stage, gate, press, said, bot } = set();
    await stage.slack.command('ana', 'world v2 half');
    await stage.slack.until(() => deployment()?.spec.minReadySeconds !== undefined, { what: 'it rolls', ...soon });
    await bot.kill();
    await stage.slack.until(() => pods().v2 > 0, { what: 'a new pod', ...soon });
    await stage.startBot();
    await gate('Approve 50%');
    expect(pods()).toEqual({ v1: 4, v2: 1 });
    for (const label of ['Approve 50%', 'Approve 100%', 'Promote']) await press('bo', label);
    await said(/v2 is live/i);
    await settled();
  });

  test('a webhook that pins images is not taken for somebody else, also by a bot that died while it rolled', async () => {
    const { stage, gate, press, said, bot, image } = set();
    const { store } = stage.playground;
    const found = deployment();
    if (!found) throw new Error('no Deployment');
    onTestFinished(store.mutate(pinImages));
    store.update(kinds.deployments, found, 'main');
    const isPinned = () => deployment()?.status?.observedGeneration === deployment()?.metadata.generation;
    await stage.slack.until(isPinned, { what: 'the image that serves is pinned', ...soon });
    await stage.slack.command('ana', 'world v2 half');
    await stage.slack.until(() => deployment()?.spec.minReadySeconds !== undefined, { what: 'it rolls', ...soon });
    await bot.kill();
    await stage.startBot();
    await gate('Approve 50%');
    for (const label of ['Approve 50%', 'Approve 100%', 'Promote']) await press('bo', label);
    await said(/v2 is live/i);
    await settled();
    expect(image('world')).toMatch(/^buoyantio\/world:v2@sha256:/);
    expect(stage.slack.transcript()).not.toMatch(/somebody/);
  });

  test('Redis loses everything at a share: an abort still takes it back, and nothing is left', async () => {
    const { stage, gate } = set();
    const before = deployment()?.spec;
    await stage.slack.command('ana', 'world v2 half');
    await gate('Approve 50%');
    await stage.corner.clear();
    await stage.slack.click('bo', stage.slack.root(), 'Abort');
    await settled();
    expect(deployment()?.spec).toEqual(before);
  });
});

describe('back to a revision that the cluster itself has', () => {
  const set = useStage({
    world,
    service: { traffic, workload: 'in-place', strategies: ['rolling'], checks: [] },
    config: { strategies: { rolling: [{ weight: 100, gate: true }] } },
  });

  const deployment = () => set().stage.get(kinds.deployments, 'world');
  /** By hand, past the bot; gives the Deployment as it was before. */
  const serve = async (version: string) => {
    const { stage } = set();
    const found = deployment();
    if (!found) throw new Error('no Deployment');
    const [container] = found.spec.template.spec.containers;
    const containers = [{ ...container, name: 'world', image: `buoyantio/world:${version}` }];
    const template = { ...found.spec.template, spec: { ...found.spec.template.spec, containers } };
    stage.playground.store.update(kinds.deployments, { ...found, spec: { ...found.spec, template } }, 'main');
    await stage.slack.until(() => deployment()?.status?.updatedReplicas === 4 && deployment()?.status?.replicas === 4, {
      what: `${version} serves`,
      ...soon,
    });
    return found;
  };

  test('rolls its template out again; the one that is live is told so', async () => {
    const { stage, told, said, image } = set();
    const found = await serve('v0');
    await stage.slack.command('ana', 'rollback world to 2');
    await told('ana', /is live already/);
    await stage.slack.command('ana', 'rollback world to 1');
    await said(/rolled back to v1/i);
    expect(image('world')).toBe('buoyantio/world:v1');
    expect(deployment()?.spec.template).toEqual(found.spec.template);
  });

  test('is refused while the Deployment is paused: the reason, and nothing is touched', async () => {
    const { stage, told } = set();
    await serve('v0');
    const found = deployment();
    if (!found) throw new Error('no Deployment');
    const spec = { ...found.spec, paused: true };
    stage.playground.store.update(kinds.deployments, { ...found, spec }, 'main');
    await stage.slack.command('ana', 'rollback world to 1');
    await told(
      'ana',
      /world was not rolled back to 1\*, nothing was touched:.*Deployment hello\/world is paused: kubectl rollout resume it first/s,
    );
    expect(stage.slack.root()).toBeUndefined();
    const { annotations } = found.metadata;
    expect([deployment()?.spec, deployment()?.metadata.annotations]).toEqual([spec, annotations]);
  });
});

describe('a rolling update that makes no progress', () => {
  const set = useStage({
    world,
    service: { traffic, workload: 'in-place', strategies: ['rolling'], checks: [] },
    config: { strategies: { rolling: [{ weight: 100, gate: true }] } },
  });

  test('is undone by itself when its deadline passes', async () => {
    const { stage, image } = set();
    const { store } = stage.playground;
    const found = stage.get(kinds.deployments, 'world');
    if (!found) throw new Error('no Deployment');
    store.update(kinds.deployments, { ...found, spec: { ...found.spec, progressDeadlineSeconds: 2 } }, 'main');
    stage.playground.cordon(true);
    await stage.slack.command('ana', 'world v2');
    const result = await undone(stage);
    expect(stage.slack.words(result)).toMatch(/ProgressDeadlineExceeded/);
    expect(image('world')).toBe('buoyantio/world:v1');
    const pods = stage.playground.store.list(kinds.pods, 'hello').filter(({ metadata }) => !metadata.deletionTimestamp);
    expect(pods.map(({ spec }) => spec.containers[0]?.image)).toEqual(Array(4).fill('buoyantio/world:v1'));
  });
});

/** As the webhook of a cluster does that lets images in by their digest alone. */
function pinImages(kind: Kind, object: NewObject): NewObject {
  if (kind.plural !== kinds.deployments.plural) return object;
  const { spec } = object as NewObject & Pick<Deployment, 'spec'>;
  const pinned = (image = '') => (image.includes('@') ? image : `${image}@sha256:${'ab'.repeat(32)}`);
  const containers = spec.template.spec.containers.map((one) => ({ ...one, image: pinned(one.image) }));
  const next: NewObject & Pick<Deployment, 'spec'> = {
    ...object,
    spec: { ...spec, template: { ...spec.template, spec: { ...spec.template.spec, containers } } },
  };
  return next;
}
