import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kind, kinds } from '../../../playground/api-server/kinds.ts';
import type { Deployment, NewObject } from '../../../playground/api-server/objects.ts';
import { createPlayground } from '../../../playground/playground.ts';
import { achieved, podsFor } from '../../../src/adapters/kubernetes/in-place-fields.ts';
import { strangeTemplate } from '../../../src/adapters/kubernetes/in-place-writes.ts';
import type { PodTemplate } from '../../../src/adapters/kubernetes/objects.ts';
import { openKube } from '../../cluster/kube.ts';
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
  expect(strangeTemplate(object, journal)?.difference.split('first at ')[1]).toBe(where);
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

/** Another template for each image. */
function noteImage(kind: Kind, object: NewObject): NewObject {
  if (kind.plural !== kinds.deployments.plural) return object;
  const deployment = object as NewObject & Pick<Deployment, 'spec'>;
  const { template } = deployment.spec;
  const annotations = {
    ...template.metadata?.annotations,
    'webhook.test/image': template.spec.containers[0]?.image ?? '',
  };
  const noted: typeof deployment = {
    ...deployment,
    spec: { ...deployment.spec, template: { ...template, metadata: { ...template.metadata, annotations } } },
  };
  return noted;
}
