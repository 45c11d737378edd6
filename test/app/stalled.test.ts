/** A rollout of which nothing gets through for minutes, whatever the reason: people are told once, and once when it goes on. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Refusal } from '../../src/app/outcome.ts';
import type { TrafficRouter } from '../../src/app/ports/router.ts';
import type { Lease, Store } from '../../src/app/ports/store.ts';
import { ABORT_STALLED_MS, STALLED_MS } from '../../src/core/schedule.ts';
import { loaded, record } from '../contracts/store.ts';
import { createModelCluster } from '../support/model-cluster.ts';
import { BO } from '../support/played.ts';
import { begun, clicked, createReplica } from '../support/replica.ts';
import { openCorner } from './support.ts';

let corner: ReturnType<typeof openCorner>;
beforeEach(() => {
  corner = openCorner();
});
afterEach(() => corner.close());

/** Two replicas whose first failure is `ago` in the past, and a cluster that can be taken away from each. */
async function aStage() {
  const { store, env } = corner;
  const id = await begun(store, 'world', env, ['U0BO']);
  const cluster = createModelCluster();
  const now = { ago: 0, lasting: 0, away: [false, false], blind: false, fault: new Error('connect ECONNREFUSED') };
  const aged = (lease: Lease | null) =>
    lease && {
      ...{ ...lease, failingSince: lease.failingSince && lease.failingSince - now.ago },
      lastingSince: lease.lastingSince && lease.lastingSince - now.lasting,
    };
  const replicas = [0, 1].map((n) => {
    const router = new Proxy(cluster.router, {
      get: (of, key: keyof TrafficRouter) =>
        now.away[n] || (now.blind && key === 'drift') ? () => Promise.reject(now.fault) : Reflect.get(of, key),
    });
    const own: Store = { ...store, lease: async (...given) => aged(await store.lease(...given)) };
    return createReplica({ env, store: own, cluster: { ...cluster, router } });
  });
  const told = async () =>
    (await store.events(id)).flatMap(({ event: { type } }) => (/stalled|resumed/.test(type) ? [type] : []));
  const tick = async (n: number) => replicas[n]?.tick(id);
  return { id, env, now, tick, told, replicas, state: async () => (await loaded(store, id)).rollout };
}

it('says so after five minutes, once, with the first failure and the reason, and goes on by itself', async () => {
  const { now, tick, told, state } = await aStage();
  now.away = [true, true];
  const before = await corner.store.now();
  for (let n = 0; n < 4; n++) await tick(n % 2);
  expect(await told()).toEqual([]);
  now.ago = STALLED_MS;
  for (let n = 0; n < 4; n++) await tick(n % 2);
  expect(await told()).toEqual(['stalled']);
  expect((await state()).stalledSince).toBeGreaterThanOrEqual(before - STALLED_MS);
  const unsent = await corner.store.unsent((await state()).id);
  expect(unsent.map(({ outgoing }) => outgoing.note)).toContainEqual({
    ...{ kind: 'stalled', since: (await state()).stalledSince, message: 'connect ECONNREFUSED' },
  });
  now.away = [false, false];
  await tick(0);
  expect(await told()).toEqual(['stalled', 'resumed']);
  expect(await state()).toMatchObject({ phase: { kind: 'waiting' }, stalledSince: null });
});

it('at a gate an outage is one of those too, and what is decided meanwhile counts', async () => {
  const { id, now, tick, told, replicas, state } = await aStage();
  await tick(0);
  expect((await state()).phase.kind).toBe('waiting');
  Object.assign(now, { away: [true, true], ago: STALLED_MS });
  for (let n = 0; n < 2; n++) await tick(0);
  expect(await told()).toEqual(['stalled']);
  await replicas[0]?.commands.answer(clicked('U0BO', { action: 'approve', rollout: id, gate: `${id}.1` }));
  for (let n = 0; n < 2; n++) await tick(1);
  expect(await told()).toEqual(['stalled']);
  now.away = [false, false];
  await tick(1);
  expect(await told()).toEqual(['stalled', 'resumed']);
  expect(await state()).toMatchObject({ route: { weight: 100 } });
});

it('is not said while it moves on, though each look fails at last: five minutes begin anew', async () => {
  const { id, now, tick, told, state } = await aStage();
  await tick(0);
  // The right to look at what it left is missing; all else works.
  now.blind = true;
  await tick(0);
  const approved = { type: 'approved', gate: `${id}.1`, actor: BO, reason: null } as const;
  await record(corner.store, await loaded(corner.store, id), approved);
  now.ago = STALLED_MS;
  await tick(0);
  expect(await state()).toMatchObject({ phase: { kind: 'waiting' }, route: { weight: 100 } });
  expect(await told()).toEqual([]);
  await tick(1);
  expect(await told()).toEqual([]);
  await tick(0);
  expect(await told()).toEqual(['stalled']);
});

it('is not said while another replica gets through', async () => {
  const { now, tick, told } = await aStage();
  Object.assign(now, { away: [true, false], ago: STALLED_MS });
  for (let n = 0; n < 6; n++) await tick(n % 2);
  expect(await told()).toEqual([]);
});

it('is not said of an abort, which has words of its own', async () => {
  const { id, env, now, tick, told, replicas, state } = await aStage();
  await tick(0);
  Object.assign(now, { away: [true, true], ago: STALLED_MS });
  await tick(0);
  await replicas[0]?.commands.answer(clicked('U0BO', { action: 'abort', rollout: id, env, service: 'world' }));
  for (let n = 0; n < 3; n++) await tick(1);
  expect((await state()).phase.kind).toBe('aborting');
  expect(await told()).toEqual([]);
});

it.each([
  ['only people can mend is told after 30 s', new Refusal('no right'), ['stalled']],
  ['may pass by itself is not told so soon', new Error('connect ECONNREFUSED'), []],
])('what %s', async (_, fault, expected) => {
  const { now, tick, told } = await aStage();
  Object.assign(now, { away: [true, true], fault: new Error('GET HTTPRoute', { cause: fault }) });
  await tick(0);
  Object.assign(now, { ago: ABORT_STALLED_MS, lasting: ABORT_STALLED_MS });
  for (let n = 0; n < 2; n++) await tick(n);
  expect(await told()).toEqual(expected);
});

it('what only people can mend is not told at once because an outage came before it', async () => {
  const { now, tick, told } = await aStage();
  now.away = [true, true];
  await tick(0);
  Object.assign(now, { ago: ABORT_STALLED_MS, fault: new Refusal('no right') });
  for (let n = 0; n < 4; n++) await tick(n % 2);
  expect(await told()).toEqual([]);
  // An outage in between ends neither.
  now.fault = new Error('connect ECONNREFUSED');
  await tick(0);
  expect(await told()).toEqual([]);
  Object.assign(now, { lasting: ABORT_STALLED_MS, fault: new Refusal('no right') });
  await tick(1);
  expect(await told()).toEqual(['stalled']);
});
