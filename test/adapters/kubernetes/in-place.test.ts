import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Kind, kinds } from '../../../playground/api-server/kinds.ts';
import type { Deployment, NewObject } from '../../../playground/api-server/objects.ts';
import { createPlayground } from '../../../playground/playground.ts';
import { createInPlace } from '../../../src/adapters/kubernetes/in-place.ts';
import { achieved, HOLD_S, podsFor } from '../../../src/adapters/kubernetes/in-place-fields.ts';
import { strangeIn } from '../../../src/adapters/kubernetes/in-place-writes.ts';
import type { PodTemplate } from '../../../src/adapters/kubernetes/objects.ts';
import type { Workload } from '../../../src/app/ports/workload.ts';
import type { Target } from '../../../src/core/plan.ts';
import { openKube } from '../../cluster/kube.ts';
import { openReplicas, type Replicas } from '../../cluster/replicas.ts';
import { IMAGE, makeWorld, planFor, silent, unmakeWorld, type World } from '../../cluster/world.ts';
import { inPlaceContract } from '../../contracts/in-place.ts';

const playground = await createPlayground({ readyAfterMs: 20, drainMs: 20, world: false });
const kube = openKube(playground.kubeconfig);
afterAll(async () => {
  await kube.close();
  await playground.stop();
});

describe('pods for a weight', () => {
  it.each([
    [10, 4, 1, '20% (1 of 5 pods; 10% was asked)'],
    [25, 3, 1, null],
    [50, 4, 4, null],
    [10, 10, 1, '9% (1 of 11 pods; 10% was asked)'],
    [41, 10, 7, null],
    [33, 3, 2, '40% (2 of 5 pods; 33% was asked)'],
    [42, 2, 2, '50% (2 of 4 pods; 42% was asked)'],
    [30, 3, 1, '25% (1 of 4 pods; 30% was asked)'],
    // Just between 2 of 5 and 3 of 6: the greater one.
    [45, 3, 3, '50% (3 of 6 pods; 45% was asked)'],
    [90, 4, 4, '50% (4 of 8 pods; 90% was asked)'],
    [5, 1, 1, '50% (1 of 2 pods; 5% was asked)'],
  ])('%i percent of %i pods are %i new ones beside them', (asked, replicas, pods, said) => {
    expect(podsFor(asked, replicas)).toBe(pods);
    expect(achieved(asked, replicas)).toBe(said);
  });
});

inPlaceContract(playground.kubeconfig, kube);

it.each<[string, PodTemplate, string]>([
  ['another image', template({ image: 'world:v7' }), 'spec.containers.0.image'],
  [
    'an added variable, without its value',
    template({ env: [{ name: 'KEY', value: 's3cret' }] }),
    'spec.containers.0.env',
  ],
  ['a changed label', { ...template({}), metadata: { labels: { app: 'moon' } } }, 'metadata.labels.app'],
])('a template that Sluice did not write is told by the place of %s', (_, found, where) => {
  const metadata = { name: 'world', namespace: 'hello', uid: 'u', resourceVersion: '1' };
  const object = { metadata, spec: { replicas: 4, selector: {}, template: found, progressDeadlineSeconds: 600 } };
  const journal = { service: 'world', template: template({ image: 'world:v1' }), own: {}, next: template({}) };
  expect(strangeIn(object, journal)?.difference.split('first at ')[1]).toBe(where);
});

it('what a bot of before holds at a share is no outside change, though it noted less', () => {
  const metadata = { name: 'world', namespace: 'hello', uid: 'u', resourceVersion: '1' };
  const spec = { replicas: 4, selector: {}, template: template({}), progressDeadlineSeconds: 600 };
  const journal = { service: 'world', template: template({ image: 'world:v1' }), own: {}, next: template({}) };
  expect(strangeIn({ metadata, spec: { ...spec, minReadySeconds: HOLD_S } }, journal)).toBeNull();
  expect(strangeIn({ metadata, spec }, journal)).not.toBeNull();
});

function template(container: object): PodTemplate {
  const metadata = { labels: { app: 'world' } };
  return { metadata, spec: { containers: [{ name: 'world', image: 'world:v2', ...container }] } };
}

describe('where a mutating webhook changes what is written', () => {
  let stop = () => {};
  beforeAll(() => {
    stop = playground.store.mutate(noteImage);
  });
  afterAll(() => stop());
  inPlaceContract(playground.kubeconfig, kube);
});

describe('where a mutating webhook writes something else each time', () => {
  let world: World;
  let replicas: Replicas;
  let target: Target;
  let workload: Workload;
  let stop = () => {};
  beforeEach(async () => {
    world = await makeWorld(kube, { replicas: 4, route: false });
    replicas = openReplicas(playground.kubeconfig);
    const traffic = { router: 'kubernetes', service: `${world.target.namespace}/world` } as const;
    target = { ...world.target, workload: 'in-place', traffic };
    workload = createInPlace({ cluster: replicas.one, log: silent });
  });
  afterEach(async () => {
    stop();
    await replicas.close();
    await unmakeWorld(kube, world);
  });

  /** A webhook that counts how often it was asked about this version. */
  const countWritesOf = (version: string) => {
    let writes = 0;
    stop = playground.store.mutate((kind, object) =>
      annotated(kind, object, (image) => (image.endsWith(version) ? `${++writes}` : image)),
    );
  };
  const refusal = expect.stringMatching(
    /^A webhook of the cluster rewrites the pod template of Deployment .*world with every write, first at metadata\.annotations\.webhook\.test\/image: .*idempotent/,
  );

  it('a rollout is refused before it touches anything', async () => {
    expect(await workload.preflight(target, IMAGE)).toMatchObject({ ok: true });
    countWritesOf('v1');
    expect(await workload.preflight(target, IMAGE)).toEqual({ ok: false, refusals: [refusal] });
  });

  it('a rollout ends before any pod rolls, where it does so to the new version alone', async () => {
    countWritesOf('v2');
    expect(await workload.preflight(target, IMAGE)).toMatchObject({ ok: true });
    const fence = (seq: number) => ({ rollout: 'world-1', epoch: 1, seq });
    expect((await workload.claim(target, fence(1))).kind).toBe('done');
    const { template } = (await kube.get(world.paths.deployment)).spec;
    const made = await workload.createCanary(planFor(target, 'v2', { steps: [] }), fence(2));
    expect(made).toEqual({ kind: 'refused', message: refusal });
    expect((await kube.get(world.paths.deployment)).spec.template).toEqual(template);
  });
});

/** Another template for each image. */
const noteImage = (kind: Kind, object: NewObject) => annotated(kind, object, (image) => image);

function annotated(kind: Kind, object: NewObject, by: (image: string) => string): NewObject {
  if (kind.plural !== kinds.deployments.plural) return object;
  const deployment = object as NewObject & Pick<Deployment, 'spec'>;
  const { template } = deployment.spec;
  const annotations = {
    ...template.metadata?.annotations,
    'webhook.test/image': by(template.spec.containers[0]?.image ?? ''),
  };
  const noted: typeof deployment = {
    ...deployment,
    spec: { ...deployment.spec, template: { ...template, metadata: { ...template.metadata, annotations } } },
  };
  return noted;
}
