/** Whom a change in the cluster wakes: thousands may wait in the same namespace. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { atGate, quietPlan, record } from '../../bench/rollouts.ts';
import { createRollouts } from '../../src/app/handle.ts';
import type { Queue } from '../../src/app/ports/queue.ts';
import type { TrafficRouter } from '../../src/app/ports/router.ts';
import type { Workload } from '../../src/app/ports/workload.ts';
import type { Traffic } from '../../src/core/plan.ts';
import { start } from '../contracts/store.ts';
import { only, openCorner } from './support.ts';

let corner: ReturnType<typeof openCorner>;
beforeEach(() => {
  corner = openCorner();
});
afterEach(() => corner.close());

/** `alpha` is starting, `world` waits at a gate; both were looked at. `traffic`: of `world`. */
async function aNamespace(traffic?: Traffic) {
  const woken: string[] = [];
  const queue = only<Queue>({ wake: async (id) => void woken.push(id), wakeAt: async () => {} });
  const rollouts = createRollouts({
    store: corner.store,
    queue,
    router: () => only<TrafficRouter>({ claim: () => Promise.reject(new Error('away')), getRoute: async () => null }),
    workload: () => only<Workload>({}),
    metrics: only({}),
    prober: only({}),
    log: corner.log,
    clock: () => performance.now(),
    random: () => 0,
    onMessages: () => {},
  });
  const starting = await start(corner.store, 'alpha', corner.env);
  const plan = quietPlan(corner.env, starting.begun.rollout.plan.target.namespace);
  const target = { ...plan.target, ...(traffic && { traffic }) };
  const made = atGate({ ...plan, target }, 10, 1, await corner.store.now());
  const waiting = await record(corner.store, { ...made, routeSeq: 0 });
  for (const { id } of [starting, waiting]) await rollouts.tick(id);
  return { rollouts, woken, starting, waiting, namespace: starting.begun.rollout.plan.target.namespace };
}

it.each([
  { what: 'marks of its own rollout', marks: 'waiting', wakes: ['waiting'] },
  { what: 'no marks, such as a pod', marks: null, wakes: ['starting'] },
  { what: 'marks of another rollout of the same service', marks: 'world-zzzzzz', wakes: ['waiting'] },
  { what: 'marks of a service that nobody here follows', marks: 'gamma-zzzzzz', wakes: [] },
])('an object with $what wakes $wakes', async ({ marks, wakes }) => {
  const { rollouts, woken, starting, waiting, namespace } = await aNamespace();
  const ids: Record<string, string> = { starting: starting.id, waiting: waiting.id };
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  rollouts.changed(namespace, marks === null ? null : (ids[marks] ?? marks));
  rollouts.changed(namespace, marks === null ? null : (ids[marks] ?? marks));
  await vi.advanceTimersByTimeAsync(1_000);
  vi.useRealTimers();
  expect(woken).toEqual(wakes.map((name) => ids[name]));
});

it('a DestinationRule in a namespace of its own wakes the rollout whose subset it has', async () => {
  const traffic: Traffic = { router: 'istio', virtualService: 'mesh/world', http: [], destinationRule: 'rules/world' };
  const { rollouts, woken, waiting } = await aNamespace(traffic);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  for (const namespace of ['others', 'rules']) rollouts.changed(namespace, waiting.id);
  await vi.advanceTimersByTimeAsync(1_000);
  vi.useRealTimers();
  expect(woken).toEqual([waiting.id]);
});
