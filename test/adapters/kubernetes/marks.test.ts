import { expect, it } from 'vitest';
import type { Held } from '../../../src/adapters/kubernetes/kinds.ts';
import { birthMarks, pointer, readMarks, setMarks, testMarks } from '../../../src/adapters/kubernetes/marks.ts';
import { applyPatch } from '../../cluster/json-patch.ts';

const object = (annotations?: Record<string, string>): Held => ({
  metadata: { name: 'world', namespace: 'hello', uid: 'u', resourceVersion: '1', ...(annotations && { annotations }) },
});
const marked = {
  'sluice.dev/rollout': 'world-1',
  'sluice.dev/epoch': '7',
  'sluice.dev/seq': '12',
  'sluice.dev/phase': 'active',
};

it.each<[string, Record<string, string> | undefined, object | null]>([
  ['no annotations', undefined, null],
  ['annotations of others', { a: 'b' }, null],
  ['all marks', marked, { rollout: 'world-1', epoch: 7, seq: 12, phase: 'active', abort: null, restore: null }],
  [
    'a journal and an abort',
    { ...marked, 'sluice.dev/restore': '[]', 'sluice.dev/abort': 'U1@now' },
    { restore: '[]', abort: 'U1@now' },
  ],
  ['an ended rollout', { ...marked, 'sluice.dev/phase': 'done' }, { phase: 'done' }],
  ['no rollout', { ...marked, 'sluice.dev/rollout': '' }, null],
  ['an epoch that is no number', { ...marked, 'sluice.dev/epoch': '7e3' }, null],
  ['a sequence that is no number', { ...marked, 'sluice.dev/seq': '-1' }, { epoch: 7, seq: 0 }],
])('reads %s', (_, annotations, expected) => {
  const marks = readMarks(object(annotations));
  if (expected === null) expect(marks).toBeNull();
  else expect(marks).toMatchObject(expected);
});

it.each<[string, Record<string, string> | undefined]>([
  ['no annotations at all', undefined],
  ['annotations of others', { 'example.com/a~b': 'kept' }],
  ['older marks', { ...marked, 'sluice.dev/abort': 'U1@now' }],
])('writes marks to an object with %s', (_, annotations) => {
  const before = object(annotations);
  const after = applyPatch(
    before,
    setMarks(before, { rollout: 'world-2', epoch: 8, seq: 1, phase: 'active', abort: null }),
  );
  expect(readMarks(after)).toEqual({
    rollout: 'world-2',
    epoch: 8,
    seq: 1,
    phase: 'active',
    abort: null,
    restore: null,
  });
  expect(after.metadata.annotations?.['example.com/a~b']).toBe(annotations?.['example.com/a~b']);
});

it('does not replace annotations that appeared since the object was read', () => {
  const ops = setMarks(object(), { epoch: 8 });
  expect(() => applyPatch(object({ a: 'b' }), ops)).toThrow(/failed/);
});

it('tests marks as they were read', () => {
  const ops = testMarks(object(marked), ['rollout', 'epoch', 'restore']);
  expect(ops.map(({ path }) => path)).toEqual([
    '/metadata/annotations/sluice.dev~1rollout',
    '/metadata/annotations/sluice.dev~1epoch',
  ]);
  expect(() => applyPatch(object({ ...marked, 'sluice.dev/epoch': '8' }), ops)).toThrow(/failed/);
});

it('marks what it makes from birth', () => {
  expect(readMarks(object(birthMarks({ rollout: 'world-1', epoch: 7, seq: 12 })))).toMatchObject({
    epoch: 7,
    phase: 'active',
  });
});

it('escapes what JSON Pointer gives a meaning to', () => {
  expect(pointer('a/b', 'c~d', 0)).toBe('/a~1b/c~0d/0');
});
