/** A Deployment that is rolled out in place: real controllers make its pods, and the mesh proxy sends requests to those that are Ready. */
import { afterAll, beforeEach, expect, it } from 'vitest';
import { createKube, type Meta } from './support/kube.ts';
import { deploy, expectBackToStable, expectOneResult, type Rollout } from './support/rollout.ts';
import { expectShare, expectUnnoticed } from './support/shares.ts';
import { wordsOf } from './support/slack.ts';
import { useStage } from './support/stage.ts';
import { PODS } from './support/systems.ts';
import { until } from './support/wait.ts';

const stage = useStage({ system: PODS });
const kube = createKube();

const path = () => `${stage().world.paths.deployment}/world`;
const set = (changes: Readonly<Record<string, unknown>>) =>
  kube.jsonPatch(
    path(),
    Object.entries(changes).map(([field, value]) => ({ op: 'add', path: `/spec/${field}`, value })),
  );

type Status = { observedGeneration: number; replicas: number; updatedReplicas?: number; availableReplicas?: number };
type Deployment = {
  readonly metadata: { readonly generation: number; readonly annotations: Readonly<Record<string, string>> };
  readonly spec: object;
  readonly status: Status;
};
const deployment = () => kube.get<Deployment>(path());
/** Both pods are of the newest template, and there are no others. */
const settled = () =>
  until('the Deployment is settled', async () => {
    const { metadata, status } = await deployment();
    const { observedGeneration, replicas, updatedReplicas, availableReplicas } = status;
    return (
      observedGeneration === metadata.generation &&
      [replicas, updatedReplicas, availableReplicas].every((count) => count === 2)
    );
  });

let before: object;
beforeEach(async () => {
  // Slow enough for an abort to come in the middle of a rolling update.
  await set({ minReadySeconds: 2, progressDeadlineSeconds: 60 });
  await settled();
  before = (await deployment()).spec;
});

/** When it is told, no new pod has traffic any more; then all is as its owners had it. */
async function expectBack(rollout: Rollout) {
  await rollout.ended(/world v2 is aborted/);
  expect((await stage().world.users.send(40)).byVersion).toEqual({ v1: 40 });
  expect((await deployment()).spec).toEqual(before);
  await settled();
  await expectBackToStable(rollout);
}

it.each([
  ['at a share', 10, 100 / 3],
  ['with new pods only', 100, 100],
])(
  'is aborted %s, and told so when the old pods have all traffic again, while nobody notices',
  async (_, weight, share) => {
    const { world } = stage();
    const load = world.users.stream(100);
    const rollout = await deploy(stage(), 'world v2 plain');
    await rollout.approveUpTo(weight);
    await rollout.gate(rollout.approvals.length + 1);
    await expectShare(world, share);
    await rollout.abort();
    await expectBack(rollout);
    await expectUnnoticed(load);
  },
);

it('is aborted in the middle of its rolling update, while nobody notices', async () => {
  const { world } = stage();
  const load = world.users.stream(100);
  const rollout = await deploy(stage(), 'world v2 rolling');
  await until('the first new pod answers', () => load.count.byVersion.v2);
  await rollout.abort();
  await expectBack(rollout);
  await expectUnnoticed(load);
});

it('goes back by itself when its progressDeadlineSeconds pass, while nobody notices', async () => {
  const { world } = stage();
  await set({ progressDeadlineSeconds: 4 });
  before = (await deployment()).spec;
  const load = world.users.stream(100);
  await cordon(true);
  const rollout = await deploy(stage(), 'world v2 rolling');
  const result = await rollout.ended(/world v2 did not start/, 60_000);
  expect(JSON.stringify(result)).toMatch(/ProgressDeadlineExceeded/);
  await cordon(false);
  await settled();
  expect((await deployment()).spec).toEqual(before);
  await expectBackToStable(rollout);
  await expectUnnoticed(load);
  expect(load.count.byVersion).toEqual({ v1: load.count.sent });
});
afterAll(() => cordon(false));

/** No room in the cluster: new pods find no node. */
async function cordon(unschedulable: boolean) {
  const op = { op: 'add', path: '/spec/unschedulable', value: unschedulable };
  for (const { metadata } of await kube.list<{ readonly metadata: Meta }>('/api/v1/nodes'))
    await kube.jsonPatch(`/api/v1/nodes/${metadata.name}`, [op]);
}

it('goes live by the share of its pods, and says which share that is, while nobody notices', async () => {
  const { world } = stage();
  const load = world.users.stream(100);
  const rollout = await deploy(stage(), 'world v2 plain');
  await rollout.gate(1);
  await expectShare(world, 0);
  for (const [n, asked, achieved, words] of [
    [1, 10, 100 / 3, '33% (1 of 3 pods; 10% was asked)'],
    [2, 50, 50, 'Gate 3'],
    [3, 100, 100, 'Gate 4'],
  ] as const) {
    await rollout.approve(n);
    await rollout.history.reaches(asked, { from: rollout.from });
    expect(wordsOf(await rollout.gate(n + 1))).toContain(words);
    await expectShare(world, achieved);
  }
  await rollout.approve(4);
  await rollout.ended(/world v2 is live/, 60_000);
  await settled();
  await expectUnnoticed(load);
  expect(rollout.complaints()).toEqual([]);
  expect(JSON.stringify((await deployment()).spec)).toBe(JSON.stringify(before).replace('world:v1', 'world:v2'));
  await expectOneResult(rollout);
});

it('goes back to a revision of kubectl rollout history, with the ConfigMap that it named', async () => {
  const { world } = stage();
  await set({ minReadySeconds: 0 });
  const load = world.users.stream(100);
  const byHand = async (version: string, config: string) => {
    const { template } = (await world.getDeployment()).spec;
    const [container] = template.spec.containers;
    const changed = {
      ...container,
      image: `buoyantio/world:${version}`,
      envFrom: [{ configMapRef: { name: config } }],
    };
    await set({ template: { ...template, spec: { ...template.spec, containers: [changed] } } });
    await settled();
    const { metadata, spec } = await deployment();
    return { revision: metadata.annotations['deployment.kubernetes.io/revision'], spec };
  };
  const good = await byHand('v3', 'settings-3');
  await byHand('v4', 'settings-4');
  const rollout = await deploy(stage(), `rollback world to ${good.revision}`);
  await rollout.ended(/rolled back to v3/, 60_000);
  await settled();
  expect((await deployment()).spec).toEqual(good.spec);
  expect((await world.users.send(40)).byVersion).toEqual({ v3: 40 });
  await expectUnnoticed(load);
  await expectOneResult(rollout);
});
