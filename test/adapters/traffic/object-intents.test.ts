/** What is written to a route object of any kind, on the smallest dialect there can be: a weight and nothing else. */
import { expect, it } from 'vitest';
import type { Intent } from '../../../src/adapters/kubernetes/fence.ts';
import type { Held } from '../../../src/adapters/kubernetes/kinds.ts';
import { birthMarks, replace, test } from '../../../src/adapters/kubernetes/marks.ts';
import type { Dialect } from '../../../src/adapters/traffic/dialect.ts';
import { createIntents } from '../../../src/adapters/traffic/object-intents.ts';
import { STABLE_ROUTE } from '../../../src/core/plan.ts';
import { applyPatch } from '../../cluster/json-patch.ts';

type Thing = Held & { readonly weight: number };

const dialect: Dialect<Thing, { was?: number }> = {
  parse: (restore) => JSON.parse(restore ?? '{}'),
  isEmpty: ({ was }) => was === undefined,
  take: ({ weight }) => ({ was: weight }),
  say: ({ weight }, _, route) => [test('/weight', weight), replace('/weight', route.weight)],
  restore: (_, { was = 0 }) => [replace('/weight', was)],
  read: ({ weight }) => ({ ...STABLE_ROUTE, weight }),
  shows: ({ weight }, _, route) => weight === route.weight,
  isRestored: ({ weight }) => weight === 0,
  missing: () => null,
  canSay: () => true,
  describe: ({ weight }) => `it says ${weight}`,
  words: { nothing: 'nothing', mend: 'mend', undo: 'undo' },
};
const intents = createIntents(dialect, 'Thing hello/world');

const BY = { rollout: 'world-1', epoch: 3, seq: 5 };
const route = (weight: number) => ({ ...STABLE_ROUTE, weight });
const thing = (annotations: Record<string, string>, weight: number): Thing => ({
  metadata: { name: 'world', namespace: 'hello', uid: 'u', resourceVersion: '7', annotations },
  weight,
});
const held = (epoch: number, seq: number, weight: number) =>
  thing(
    {
      ...birthMarks({ rollout: 'world-1', epoch, seq }),
      'sluice.dev/restore': '{"was":0}',
      'sluice.dev/route': JSON.stringify(route(weight)),
    },
    weight,
  );

const step = (object: Thing) => intents.route(object, route(50), BY, { overwrite: null });
const end = (object: Thing) => intents.reset(object, BY, { abort: false, noted: {} });
const abort = (object: Thing) => intents.reset(object, { ...BY, epoch: 4 }, { abort: true, noted: {} });
const claim = (object: Thing) =>
  intents.claim(object, BY, { service: 'world', owner: 'world', env: 'test', renewal: null });

function opsOf(intent: Intent) {
  if (!('ops' in intent)) throw new Error(`nothing is written: ${intent.kind}`);
  return intent.ops;
}

const annotation = (mark: string, value: string) => replace(`/metadata/annotations/sluice.dev~1${mark}`, value);
const OTHER_ROLLOUT = annotation('rollout', 'world-2');
const NEWER_EPOCH = annotation('epoch', '9');
const LATER_WRITE = annotation('seq', '9');
const OTHER_WEIGHT = replace('/weight', 30);
const ANYTHING = replace('/metadata/resourceVersion', '8');

it.each([
  ['a claim', 'whatever is written', claim, thing({}, 0), ANYTHING],
  ['a step', 'the weight is changed', step, held(3, 4, 10), OTHER_WEIGHT],
  ['a step', 'another rollout takes it', step, held(3, 4, 10), OTHER_ROLLOUT],
  ['a step', 'a newer epoch takes it', step, held(3, 4, 10), NEWER_EPOCH],
  ['a step', 'a later write lands', step, held(3, 4, 10), LATER_WRITE],
  ['the end of a promotion', 'a newer epoch takes it', end, held(3, 4, 100), NEWER_EPOCH],
  ['the end of a promotion', 'a later write lands', end, held(3, 4, 100), LATER_WRITE],
  ['an abort', 'another rollout takes it', abort, held(3, 4, 50), OTHER_ROLLOUT],
  ['an abort', 'a newer epoch takes it', abort, held(3, 4, 50), NEWER_EPOCH],
])('%s is refused when %s after the object was read', (_, __, intend, object, change) => {
  const ops = opsOf(intend(object));
  expect(() => applyPatch(object, ops)).not.toThrow();
  expect(() => applyPatch(applyPatch(object, [change]), ops)).toThrow(/test of/);
});

it.each([
  ['the weight is changed', OTHER_WEIGHT],
  ['a later write of its rollout lands', LATER_WRITE],
])('an abort gets through though %s after the object was read', (_, change) => {
  const object = held(3, 4, 50);
  expect(applyPatch(applyPatch(object, [change]), opsOf(abort(object))).weight).toBe(0);
});

it.each([
  ['its marks are gone', thing({}, 10)],
  ['its marks are gone, and it was given back', thing({}, 0)],
  ['an old copy of it was put back', held(2, 9, 10)],
])('a step meets an outside change when %s', (_, object) => {
  expect(step(object)).toMatchObject({ kind: 'drifted' });
});
