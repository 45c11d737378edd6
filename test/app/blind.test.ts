import { expect, it } from 'vitest';
import { createBlindAbort } from '../../src/app/blind.ts';
import { configOf, heldCluster, marksOf } from './support.ts';

const { world } = configOf('test').services;
if (!world) throw new Error('the service is configured above');
const target = { ...world.target, container: 'world' };
const ID = 'world-aaaaaa';
const ours = marksOf(ID);

it.each<[string, Parameters<typeof heldCluster>[0], object, readonly string[]]>([
  ['takes the traffic back at a step', { marks: ours, weight: 50, promoted: false }, { kind: 'done' }, ['route']],
  [
    'gives stable its template back before the traffic during the promotion',
    { marks: ours, weight: 100, promoted: true },
    { kind: 'done' },
    ['demote at 5', 'route'],
  ],
  [
    'leaves the traffic while no old pod could answer it, and marks the abort',
    { marks: ours, weight: 100, promoted: true, mayRoute: false },
    { kind: 'waiting' },
    ['demote at 5', 'mark'],
  ],
  [
    'waits for an old pod when pressed again, too',
    { marks: marksOf(ID, { abort: 'U0BO@now' }), weight: 100, promoted: false, mayRoute: false },
    { kind: 'waiting' },
    ['demote at 5', 'mark'],
  ],
  [
    'moves the traffic when pressed again and an old pod is there',
    { marks: marksOf(ID, { abort: 'U0BO@now' }), weight: 100, promoted: false },
    { kind: 'done' },
    ['demote at 5', 'route'],
  ],
  [
    'takes the traffic back, and waits for pods that have still to roll',
    { marks: ours, weight: 50, promoted: true, rolling: '1 of 5 pods' },
    { kind: 'waiting' },
    ['demote at 5', 'route'],
  ],
  [
    'does nothing once stable serves the new version',
    { marks: ours, weight: 0, promoted: true },
    { kind: 'promoted' },
    [],
  ],
  [
    'does nothing where another rollout holds the route',
    { marks: marksOf('world-bbbbbb'), weight: 50, promoted: true },
    { kind: 'not held' },
    [],
  ],
])('%s', async (_, held, outcome, writes) => {
  const { router, workload, calls } = heldCluster(held);
  const abort = createBlindAbort({ routerOf: () => router, workloadOf: () => workload });
  expect(await abort(target, ID, 'U0BO@now')).toEqual(outcome);
  expect(calls).toEqual(writes);
});

it('says why it failed, and leaves the traffic when stable keeps the new template', async () => {
  const { router, workload, calls } = heldCluster({ marks: ours, weight: 100, promoted: true });
  const refusing = { ...workload, demote: async () => ({ kind: 'refused', message: 'quota' }) as const };
  const abort = createBlindAbort({ routerOf: () => router, workloadOf: () => refusing });
  expect(await abort(target, ID, 'U0BO@now')).toEqual({ kind: 'failed', error: 'quota' });
  expect(calls).toEqual([]);
});

it('says why when the cluster does not answer', async () => {
  const { router, workload } = heldCluster({ marks: ours, weight: 50, promoted: false });
  const away = { ...router, blindAbort: () => Promise.reject(new Error('no answer')) };
  const abort = createBlindAbort({ routerOf: () => away, workloadOf: () => workload });
  expect(await abort(target, ID, 'U0BO@now')).toEqual({ kind: 'failed', error: 'no answer' });
});
