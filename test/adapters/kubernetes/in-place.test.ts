import { afterAll, describe, expect, it } from 'vitest';
import { createPlayground } from '../../../playground/playground.ts';
import { achieved, podsFor } from '../../../src/adapters/kubernetes/in-place-fields.ts';
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
    [90, 4, 4, '50% (4 of 8 pods; 90% was asked)'],
    [5, 1, 1, '50% (1 of 2 pods; 5% was asked)'],
  ])('%i%% of %i pods are %i new ones beside them', (asked, replicas, pods, said) => {
    expect(podsFor(asked, replicas)).toBe(pods);
    expect(achieved(asked, replicas)).toBe(said);
  });
});

inPlaceContract(playground.kubeconfig, kube);
