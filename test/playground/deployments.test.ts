/** Rollouts of Deployments beyond the plain one: paused, scaled amid, undone, late, and within an autoscaler's bounds. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import type { Deployment, ReplicaSet } from '../../playground/api-server/objects.ts';
import { createStore, type Store } from '../../playground/api-server/store.ts';
import { startControllers } from '../../playground/controllers/index.ts';
import { nextScaledSizes } from '../../playground/controllers/scaling.ts';

const namespace = 'hello';
let store: Store;
let controllers: { stop(): void };
let lastIp = 0;

beforeEach(() => {
  store = createStore();
  const run = async () => ({ ip: `10.0.0.${++lastIp}`, stop: () => {} });
  controllers = startControllers(store, { readyAfterMs: 5, drainMs: 5, routeStatusMs: 5, run });
  store.create(kinds.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
});
afterEach(() => controllers.stop());

/** Resolves at the first change after which `check` holds. */
function until(check: () => boolean): Promise<void> {
  if (check()) return Promise.resolve();
  return new Promise((resolve) => {
    const stop = store.subscribe(() => {
      if (!check()) return;
      stop();
      resolve();
    });
  });
}

type Change = Partial<Omit<Deployment['spec'], 'template'>> & { readonly image?: string };

function create(replicas: number, more: Change = {}): void {
  const labels = { app: 'world' };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'world:v1' }] } };
  const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } };
  store.create(kinds.deployments, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'world', namespace },
    spec: { replicas, selector: { matchLabels: labels }, template, strategy, ...more },
  });
}

function change({ image, ...spec }: Change, annotations?: Record<string, string>): void {
  const old = world();
  const { template } = old.spec;
  const containers = template.spec.containers.map((one) => ({ ...one, ...(image !== undefined && { image }) }));
  const metadata = { ...old.metadata, annotations: { ...old.metadata.annotations, ...annotations } };
  const next = { ...old.spec, ...spec, template: { ...template, spec: { ...template.spec, containers } } };
  store.update(kinds.deployments, { ...old, metadata, spec: next }, 'main');
}

const world = () => store.demand(kinds.deployments, namespace, 'world');
const imageOf = ({ spec }: ReplicaSet | Deployment) => spec.template.spec.containers[0]?.image ?? '';
const sets = () => store.list(kinds.replicaSets, namespace);
const setOf = (image: string) => sets().find((set) => imageOf(set) === image);
const available = (image: string) => setOf(image)?.status?.availableReplicas ?? 0;
const sizes = () => Object.fromEntries(sets().map((set) => [imageOf(set), set.spec.replicas]));
const progress = () => world().status?.conditions?.find(({ type }) => type === 'Progressing');
const revision = (image: string) => setOf(image)?.metadata.annotations?.['deployment.kubernetes.io/revision'];

function isComplete(): boolean {
  const { metadata, spec, status } = world();
  const counts = [status?.replicas, status?.updatedReplicas, status?.availableReplicas];
  return status?.observedGeneration === metadata.generation && counts.every((count) => (count ?? 0) === spec.replicas);
}

const isSeen = () => world().status?.observedGeneration === world().metadata.generation;

/** A rollout to v2 that is paused when its first pod is available. */
async function pausedCanary(replicas: number, more: Change = {}): Promise<void> {
  create(replicas, more);
  await until(isComplete);
  change({ image: 'world:v2' });
  await until(() => sizes()['world:v2'] === 1);
  change({ paused: true });
  await until(() => isSeen() && world().status?.availableReplicas === replicas + 1);
}

describe('a paused Deployment', () => {
  it('does not roll, says so, and rolls when it is resumed', async () => {
    create(2);
    await until(isComplete);
    change({ paused: true, image: 'world:v2' });
    await until(() => progress()?.reason === 'DeploymentPaused');
    expect(progress()).toMatchObject({ status: 'Unknown', message: 'Deployment is paused' });
    expect(sizes()).toEqual({ 'world:v1': 2 });
    expect(world().status).toMatchObject({ availableReplicas: 2 });
    expect(world().status?.updatedReplicas).toBeUndefined();
    change({ paused: false });
    await until(() => isComplete() && available('world:v2') === 2);
    expect(progress()).toMatchObject({ status: 'True', reason: 'NewReplicaSetAvailable' });
  });

  it('keeps its first new pod beside the old ones', async () => {
    await pausedCanary(3);
    expect(sizes()).toEqual({ 'world:v1': 3, 'world:v2': 1 });
    expect(world().status).toMatchObject({ replicas: 4, updatedReplicas: 1, availableReplicas: 4 });
  });

  it.each([
    ['up', 4, 8, { 'world:v1': 7, 'world:v2': 2 }],
    ['down', 8, 4, { 'world:v1': 4, 'world:v2': 1 }],
    ['to none', 4, 0, { 'world:v1': 0, 'world:v2': 0 }],
  ])('is scaled %s in proportion', async (_, before, after, expected) => {
    await pausedCanary(before);
    change({ replicas: after });
    await until(() => isSeen() && JSON.stringify(sizes()) !== JSON.stringify({ 'world:v1': before, 'world:v2': 1 }));
    await until(() => sets().every(({ spec, status }) => (status?.replicas ?? 0) === spec.replicas));
    expect(sizes()).toEqual(expected);
  });

  it('is scaled even while it has no pods of its template', async () => {
    create(2);
    await until(isComplete);
    change({ paused: true, image: 'world:v2', replicas: 3 });
    await until(() => available('world:v1') === 3);
    expect(sizes()).toEqual({ 'world:v1': 3 });
  });

  it('goes back when it is resumed with its old template', async () => {
    await pausedCanary(3);
    change({ paused: false, image: 'world:v1' });
    await until(() => isComplete() && sizes()['world:v2'] === 0);
    expect(sizes()).toEqual({ 'world:v1': 3, 'world:v2': 0 });
  });

  it('is not late, however long it takes', async () => {
    await pausedCanary(2, { progressDeadlineSeconds: 1 });
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(progress()?.reason).toBe('DeploymentPaused');
  });
});

describe('a Deployment that is scaled amid a rollout', () => {
  it('scales both versions, and then goes on', async () => {
    create(4);
    await until(isComplete);
    change({ image: 'world:v2-missing' });
    await until(() => sizes()['world:v2-missing'] === 1);
    change({ replicas: 8 });
    await until(() => sizes()['world:v2-missing'] === 2);
    expect(sizes()).toEqual({ 'world:v1': 7, 'world:v2-missing': 2 });
    change({ image: 'world:v3' });
    await until(() => isComplete() && available('world:v3') === 8);
  });

  const set = (name: string, wanted: number, mostBefore: number | null, revision = 1) => ({
    name,
    wanted,
    available: wanted,
    pods: wanted,
    mostBefore,
    revision,
  });
  it.each([
    ['keeps its sizes when nothing is asked', 10, 3, set('young', 5, 13, 2), [set('old', 8, 13)], { young: 5, old: 8 }],
    ['gives the published example its pods', 15, 3, set('young', 5, 13, 2), [set('old', 8, 13)], { young: 7, old: 11 }],
    ['gives what is left to the largest', 11, 3, set('young', 5, 13, 2), [set('old', 8, 13)], { young: 5, old: 9 }],
    ['fills up to its surge', 4, 1, set('young', 1, 5, 2), [set('old', 3, 5)], { young: 1, old: 4 }],
    [
      'ends the old ones when the new one is complete',
      4,
      1,
      set('young', 4, 5, 2),
      [set('old', 1, 5)],
      { young: 4, old: 0 },
    ],
    ['takes the only one with pods', 6, 1, set('young', 0, null, 2), [set('old', 4, 5)], { old: 6 }],
    ['takes the newest where none has pods', 6, 1, null, [set('a', 0, 5, 1), set('b', 0, 5, 2)], { b: 6 }],
  ])('%s', (_, replicas, maxSurge, young, old, expected) => {
    expect(Object.fromEntries(nextScaledSizes(replicas, maxSurge, young, old))).toEqual(expected);
  });
});

describe('the history of a Deployment', () => {
  it('renumbers a ReplicaSet that is used again, and remembers the old numbers', async () => {
    create(1);
    for (const image of ['world:v1', 'world:v2', 'world:v1', 'world:v2']) {
      change({ image });
      await until(() => isComplete() && available(image) === 1);
    }
    expect([revision('world:v1'), revision('world:v2')]).toEqual(['3', '4']);
    const history = (image: string) =>
      setOf(image)?.metadata.annotations?.['deployment.kubernetes.io/revision-history'];
    expect([history('world:v1'), history('world:v2')]).toEqual(['1', '2']);
    expect(world().metadata.annotations).toMatchObject({ 'deployment.kubernetes.io/revision': '4' });
  });

  it('keeps in each ReplicaSet the annotations of its time, the size it was given, and its hash', async () => {
    create(2);
    await until(isComplete);
    change(
      { image: 'world:v2' },
      { 'kubernetes.io/change-cause': 'v2', 'kubectl.kubernetes.io/last-applied-configuration': '{}' },
    );
    await until(() => isComplete() && available('world:v2') === 2);
    const { metadata, spec } = setOf('world:v2') ?? {};
    expect(metadata?.annotations).toEqual({
      'deployment.kubernetes.io/revision': '2',
      'deployment.kubernetes.io/desired-replicas': '2',
      'deployment.kubernetes.io/max-replicas': '3',
      'kubernetes.io/change-cause': 'v2',
    });
    expect(metadata?.name).toBe(`world-${spec?.template.metadata?.labels?.['pod-template-hash']}`);
  });

  it('forgets the oldest beyond its limit', async () => {
    create(1, { revisionHistoryLimit: 1 });
    for (const image of ['world:v1', 'world:v2', 'world:v3']) {
      change({ image });
      await until(() => isComplete() && available(image) === 1);
    }
    await until(() => sets().length === 2);
    expect(sets().map(imageOf).sort()).toEqual(['world:v2', 'world:v3']);
  });
});

describe('a Deployment', () => {
  it('counts a pod as available only after its time', async () => {
    create(1, { minReadySeconds: 1 });
    await until(() => world().status?.readyReplicas === 1);
    expect(world().status?.availableReplicas).toBeUndefined();
    await until(() => world().status?.availableReplicas === 1);
  });

  it('changes the time of pods that run', async () => {
    create(1, { minReadySeconds: 500 });
    await until(() => world().status?.readyReplicas === 1);
    change({ minReadySeconds: 0 });
    await until(() => world().status?.availableReplicas === 1);
  });

  it('is late, and no longer when it goes back', async () => {
    create(1, { progressDeadlineSeconds: 1 });
    await until(isComplete);
    change({ image: 'world:v2-missing' });
    await until(() => progress()?.reason === 'ProgressDeadlineExceeded');
    expect(progress()).toMatchObject({ status: 'False', message: expect.stringContaining('timed out') });
    change({ image: 'world:v1' });
    await until(() => isComplete() && progress()?.reason === 'NewReplicaSetAvailable');
    expect(progress()?.status).toBe('True');
  });
});

describe('a HorizontalPodAutoscaler', () => {
  function bounds(minReplicas: number, maxReplicas: number): void {
    const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'world' };
    const metadata = { name: 'world', namespace };
    const object = { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', metadata };
    const autoscaler = { ...object, spec: { scaleTargetRef, minReplicas, maxReplicas } };
    if (store.get(kinds.autoscalers, namespace, 'world')) store.update(kinds.autoscalers, autoscaler, 'main');
    else store.create(kinds.autoscalers, autoscaler);
  }

  it('keeps a Deployment between its least and its most', async () => {
    create(2);
    bounds(3, 5);
    await until(() => isComplete() && world().spec.replicas === 3);
    bounds(4, 5);
    await until(() => isComplete() && world().spec.replicas === 4);
    change({ replicas: 9 });
    await until(() => isComplete() && world().spec.replicas === 5);
    expect(store.demand(kinds.autoscalers, namespace, 'world').status).toMatchObject({ desiredReplicas: 5 });
  });

  it('leaves a Deployment of none alone', async () => {
    create(1);
    await until(isComplete);
    change({ replicas: 0 });
    bounds(2, 5);
    await until(() => store.get(kinds.autoscalers, namespace, 'world')?.status !== undefined);
    expect(world().spec.replicas).toBe(0);
  });
});
