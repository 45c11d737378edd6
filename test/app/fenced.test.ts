/** What comes before what a rollout wants next: a cluster that knows more than Redis, and aborts, from their record to their end. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Marks } from '../../src/app/ports/cluster.ts';
import type { TrafficRouter } from '../../src/app/ports/router.ts';
import { loaded, playTo } from '../contracts/store.ts';
import { createModelCluster } from '../support/model-cluster.ts';
import { begun, clicked, createReplica } from '../support/replica.ts';
import { openCorner } from './support.ts';

let corner: ReturnType<typeof openCorner>;
beforeEach(() => {
  corner = openCorner();
});
afterEach(() => corner.close());

/** A rollout at its first gate, and the replica that brought it there. */
async function atGate(router: Partial<TrafficRouter> = {}) {
  const { store, env } = corner;
  const id = await begun(store, 'world', env, ['U0BO']);
  const cluster = createModelCluster();
  const replica = createReplica({
    env,
    store,
    cluster: {
      ...cluster,
      router: new Proxy(cluster.router, { get: (of, key) => Reflect.get(router, key) ?? Reflect.get(of, key) }),
    },
  });
  await replica.tick(id);
  expect((await loaded(store, id)).rollout.phase.kind).toBe('waiting');
  return { id, cluster, replica, phase: async () => (await loaded(store, id)).rollout.phase };
}

it.each<[string, (marks: Marks) => Partial<Marks>]>([
  ['a higher epoch', ({ epoch }) => ({ epoch: epoch + 1 })],
  ['a later write of its own epoch', ({ seq }) => ({ seq: seq + 5 })],
  ['the end of the rollout', () => ({ phase: 'done' })],
  [
    'an abort that was made without Redis',
    ({ epoch }) => ({ epoch: epoch + 1, abort: 'U0BO(bo)@2026-11-20T10:00:00Z' }),
  ],
])('%s on the route, of which Redis knows nothing, aborts the rollout', async (_, ahead) => {
  const { id, cluster, replica, phase } = await atGate();
  const { marks, weight } = cluster.state.route;
  if (!marks) throw new Error('the route is claimed');
  cluster.state.route = { weight, marks: { ...marks, ...ahead(marks) } };
  await replica.tick(id);
  expect((await phase()).kind).toBe('aborted');
  expect(cluster.state).toMatchObject({ route: { weight: 0 }, stable: { template: 'old' }, canary: null });
});

it('the canary stays until the controller has taken the route that leaves it', async () => {
  const answer = { kind: 'confirmed' as 'confirmed' | 'pending' };
  const { id, cluster, replica, phase } = await atGate({ confirmed: async () => answer });
  answer.kind = 'pending';
  const { env } = corner;
  await replica.commands.answer(clicked('U0BO', { action: 'abort', rollout: id, env, service: 'world' }));
  await replica.tick(id);
  expect(await phase()).toMatchObject({ kind: 'aborting', stage: 'clean' });
  expect(cluster.state).toMatchObject({ route: { weight: 0 }, canary: 10 });
  answer.kind = 'confirmed';
  await replica.tick(id);
  expect((await phase()).kind).toBe('aborted');
  expect(cluster.state.canary).toBeNull();
});

it('an abort that was recorded by a process which died comes before the raise that was wanted', async () => {
  const { store } = corner;
  const { id, cluster, replica, phase } = await atGate();
  await playTo(store, id, (at, { step }) => at.kind === 'stepping' && at.stage === 'route' && step === 1);
  cluster.state.canary = 100;
  await store.requestAbort(id, { kind: 'system' }, 'it died');
  await replica.tick(id);
  expect((await phase()).kind).toBe('aborted');
  expect(cluster.revisions.map(({ weight }) => weight)).toEqual([10, 0]);
});
