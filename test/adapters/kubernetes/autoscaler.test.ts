/** What is written to an autoscaler, and what each write meets that was changed after the object was read. */
import { describe, expect, it } from 'vitest';
import { chooseAutoscaler } from '../../../src/adapters/kubernetes/autoscaler.ts';
import { intendFollow, intendGiveBack, intendHold } from '../../../src/adapters/kubernetes/autoscaler-writes.ts';
import type { Intent } from '../../../src/adapters/kubernetes/fence.ts';
import { birthMarks } from '../../../src/adapters/kubernetes/marks.ts';
import type { Autoscaler } from '../../../src/adapters/kubernetes/objects.ts';
import type { Target } from '../../../src/core/plan.ts';
import { applyPatch } from '../../cluster/json-patch.ts';

const BY = { rollout: 'world-1', epoch: 3, seq: 5 };
const BEFORE = { ...BY, seq: 4 };

const scaler = (
  minReplicas: number | undefined,
  maxReplicas = 10,
  metadata: Partial<Autoscaler['metadata']> = {},
): Autoscaler => ({
  metadata: { name: 'scaler', namespace: 'hello', uid: 'u', resourceVersion: '7', ...metadata },
  spec: {
    scaleTargetRef: { kind: 'Deployment', name: 'world' },
    ...(minReplicas !== undefined && { minReplicas }),
    maxReplicas,
  },
});

function patched(object: Autoscaler, intent: Intent): Autoscaler {
  if (!('ops' in intent)) throw new Error(`nothing is written: ${intent.kind}`);
  return applyPatch(object, intent.ops);
}
const claim = (object: Autoscaler, replicas = 4) => intendHold(object, BEFORE, 'world', replicas);
const held = (object: Autoscaler, replicas = 4) => patched(object, claim(object, replicas));

it.each<[string, number | undefined, number, number, number | undefined]>([
  ['is raised to the size of stable', 2, 10, 4, 4],
  ['is raised where nothing was said', undefined, 10, 4, 4],
  ['is left unsaid where one is enough', undefined, 10, 1, undefined],
  ['never goes above the most', 2, 3, 4, 3],
  ['is never lowered', 6, 10, 4, 6],
  ['stays where it is right', 4, 10, 4, 4],
])('minReplicas %s, and is given back as it was', (_, least, most, replicas, raised) => {
  const object = scaler(least, most);
  const claimed = held(object, replicas);
  expect(claimed.spec).toEqual(scaler(raised, most).spec);
  const freed = patched(claimed, intendGiveBack(claimed, BY));
  expect(freed.spec).toEqual(object.spec);
  expect(freed.metadata.annotations).not.toHaveProperty(['sluice.dev/restore']);
});

it('a size that stable has grown to is given back to the first one', () => {
  const claimed = held(scaler(2));
  const grown = patched(claimed, intendFollow(claimed, BY, 8));
  expect(grown.spec.minReplicas).toBe(8);
  expect(patched(grown, intendGiveBack(grown, { ...BY, seq: 6 })).spec.minReplicas).toBe(2);
});

it.each<[string, number]>([
  ['has not grown', 4],
  ['has shrunk', 1],
])('nothing is written where stable %s', (_, replicas) => {
  expect(intendFollow(held(scaler(2)), BY, replicas)).toEqual({ kind: 'done' });
});

it('a takeover by a newer epoch of the same rollout keeps what there was before', () => {
  const again = patched(held(scaler(2)), intendHold(held(scaler(2)), { ...BY, epoch: 4 }, 'world', 9));
  expect(again.metadata.annotations?.['sluice.dev/restore']).toBe('{"minReplicas":2,"raised":4}');
  expect(again.spec.minReplicas).toBe(4);
});

const meanwhile = {
  'somebody writes anything': { op: 'replace', path: '/metadata/resourceVersion', value: '8' },
  'somebody changes minReplicas': { op: 'replace', path: '/spec/minReplicas', value: 7 },
  'another rollout takes it': { op: 'replace', path: '/metadata/annotations/sluice.dev~1rollout', value: 'world-2' },
  'a newer epoch takes it': { op: 'replace', path: '/metadata/annotations/sluice.dev~1epoch', value: '9' },
  'a later write lands': { op: 'replace', path: '/metadata/annotations/sluice.dev~1seq', value: '9' },
} as const;
const follow = (object: Autoscaler) => intendFollow(object, BY, 8);
const giveBack = (object: Autoscaler) => intendGiveBack(object, BY);

it.each<[string, (object: Autoscaler) => Intent, Autoscaler, keyof typeof meanwhile]>([
  ['a claim', claim, scaler(2), 'somebody writes anything'],
  ['a claim', claim, scaler(2), 'somebody changes minReplicas'],
  ['a larger size', follow, held(scaler(2)), 'somebody changes minReplicas'],
  ['a larger size', follow, held(scaler(2)), 'another rollout takes it'],
  ['a larger size', follow, held(scaler(2)), 'a newer epoch takes it'],
  ['a larger size', follow, held(scaler(2)), 'a later write lands'],
  ['giving back', giveBack, held(scaler(2)), 'somebody changes minReplicas'],
  ['giving back', giveBack, held(scaler(2)), 'another rollout takes it'],
  ['giving back', giveBack, held(scaler(2)), 'a newer epoch takes it'],
])('%s is refused when meanwhile: %#', (_, intend, object, change) => {
  const intent = intend(object);
  if (!('ops' in intent)) throw new Error(`nothing is written: ${intent.kind}`);
  expect(() => applyPatch(object, intent.ops)).not.toThrow();
  const changed = applyPatch(object, [meanwhile[change]]);
  expect(() => applyPatch(changed, intent.ops), change).toThrow(/test of/);
});

it.each<[string, (object: Autoscaler) => Intent]>([
  ['a claim', claim],
  ['a larger size', follow],
  ['giving back', giveBack],
])('%s that comes after the abort is fenced', (_, intend) => {
  const raised = scaler(4, 10, { annotations: birthMarks({ ...BY, epoch: 4 }) });
  expect(intend(raised)).toMatchObject({ kind: 'fenced', by: { epoch: 4 } });
});

describe('which one', () => {
  const target: Target = {
    service: 'world',
    namespace: 'hello',
    deployment: 'world',
    container: 'world',
    workload: 'twin',
    traffic: { router: 'gateway-api', routes: ['hello/world'] },
  };
  const of = (kind: string, name: string): Autoscaler => ({
    ...scaler(1),
    spec: { scaleTargetRef: { kind, name }, maxReplicas: 5 },
  });

  it('is the one that scales stable, among others', () => {
    const one = scaler(2);
    const all = [of('StatefulSet', 'world'), of('Deployment', 'other'), one];
    expect(chooseAutoscaler(target, all)).toEqual({ ok: true, autoscaler: one });
    expect(chooseAutoscaler(target, all.slice(0, 2))).toEqual({ ok: true, autoscaler: null });
  });

  it.each<[string, Autoscaler]>([
    [
      'owned by a ScaledObject',
      scaler(1, 5, { ownerReferences: [{ apiVersion: 'keda.sh/v1alpha1', kind: 'ScaledObject', name: 'load' }] }),
    ],
    ['labelled for a ScaledObject', scaler(1, 5, { labels: { 'scaledobject.keda.sh/name': 'load' } })],
  ])("is not KEDA's: %s", (_, one) => {
    expect(chooseAutoscaler(target, [one])).toEqual({
      ok: false,
      refusal: expect.stringMatching(
        /scaler belongs to KEDA's ScaledObject load, .*kubectl -n hello annotate scaledobject load .*or use workload in-place\.$/,
      ),
    });
  });
});
