/** A rollout whose tick was in hand each time that its process died: what ends the process is bounded, and who was only there is not blamed. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createKeys } from '../../src/adapters/redis/keys.ts';
import type { TrafficRouter } from '../../src/app/ports/router.ts';
import type { Store } from '../../src/app/ports/store.ts';
import type { Event } from '../../src/core/event.ts';
import { loaded, record } from '../contracts/store.ts';
import { createModelCluster } from '../support/model-cluster.ts';
import { BO } from '../support/played.ts';
import { withRedis } from '../support/redis.ts';
import { begun, createReplica } from '../support/replica.ts';
import { openCorner } from './support.ts';

let corner: ReturnType<typeof openCorner>;
beforeEach(() => {
  corner = openCorner();
});
afterEach(() => corner.close());

/** `died`: so many processes have ended with the tick of a rollout in hand. */
async function died(store: Store, id: string, times: number): Promise<void> {
  for (let n = 0; n < times; n++) await expect.poll(() => store.lease(`tick:${id}`, 1)).not.toBeNull();
  // The last of them has run out too.
  const lease = createKeys(corner.env).lease(`tick:${id}`);
  await expect.poll(() => withRedis(corner.url, (redis) => redis.exists(lease))).toBe(0);
  expect(await blamed(corner, id)).toBe(times);
}

/** How many holders in a row died with it; who holds it now counts too, should they die this moment. */
const blamed = ({ url, env }: typeof corner, id: string) =>
  withRedis(url, async (redis) => Number(await redis.hget(`${createKeys(env).lease(`tick:${id}`)}:left`, 'holders')));

/** Two processes, a minute of whose clock passes when it is told to. */
async function aStage(services: readonly string[] = ['world']) {
  const { store, env } = corner;
  const ids: string[] = [];
  for (const service of services) ids.push(await begun(store, service, env, ['U0BO']));
  const [id = ''] = ids;
  const now = { clock: 0, away: false, asked: [] as string[], wakes: [] as number[], inHand: Promise.resolve() };
  const untried: number[] = [];
  const watched: Store = {
    ...store,
    async lease(name, ms, uncountedFrom) {
      const lease = await store.lease(name, ms, uncountedFrom);
      if (!lease) return null;
      return {
        ...lease,
        async release(work) {
          if (work === 'untried') untried.push(await blamed(corner, name.replace('tick:', '')));
          return lease.release(work);
        },
      };
    },
  };
  const cluster = createModelCluster();
  const processes = [0, 1].map(() => {
    const router = new Proxy(cluster.router, {
      get: (of, key: keyof TrafficRouter) => {
        if (now.away && key === 'reset') return () => Promise.reject(new Error('connect ECONNREFUSED'));
        if (key === 'claim')
          return async (...given: Parameters<TrafficRouter['claim']>) => {
            now.asked.push(given[0].service);
            if (given[0].service === 'world') await now.inHand;
            return of.claim(...given);
          };
        now.asked.push(key);
        return Reflect.get(of, key);
      },
    });
    const wakeAt = async (_: string, at: number, seen: number) => void now.wakes.push(Math.round((at - seen) / 1000));
    return createReplica({ env, store: watched, cluster: { ...cluster, router }, clock: () => now.clock, wakeAt });
  });
  const events = async () => (await store.events(id)).map(({ event }) => event);
  const told = async () => (await events()).filter(({ type }) => type === 'stalled' || type === 'abort_stalled');
  return {
    ...{ ids, id, store, now, told, untried },
    tick: async (n = 0, one = id) => processes[n]?.tick(one),
    decided: async (event: Event) => void (await record(store, await loaded(store, id), event)),
    phase: async () => (await loaded(store, id)).rollout.phase,
  };
}

describe('a rollout whose tick ends the process each time, where nothing can be aborted', () => {
  const MESSAGE = expect.stringMatching(/process ended 5 times in a row/);

  /** An abort, and a promotion after stable took over. */
  const CASES = {
    aborting: async ({ decided }: Awaited<ReturnType<typeof aStage>>) =>
      decided({ type: 'abort_requested', cause: { kind: 'person', actor: BO, reason: null }, epoch: 0 }),
    promoting: async ({ id, tick, decided }: Awaited<ReturnType<typeof aStage>>) => {
      for (const gate of [1, 2]) {
        await decided({ type: 'approved', gate: `${id}.${gate}`, actor: BO, reason: null });
        await tick();
      }
    },
  } as const;

  it.each([
    ['aborting', 'route', 'abort_stalled', 'aborted'],
    ['promoting', 'route', 'stalled', 'succeeded'],
  ] as const)('%s: it is left alone for a minute, told once, and then tried once', async (kind, stage, type, end) => {
    const on = await aStage();
    const { id, store, now, tick, told, phase } = on;
    now.away = true;
    await tick();
    await CASES[kind](on);
    await tick();
    expect(await phase()).toMatchObject({ kind, stage });
    await died(store, id, 5);
    Object.assign(now, { away: false, asked: [], wakes: [] });
    // Each process for itself: who has just begun does not know how long another has waited.
    for (const n of [0, 1, 0]) await tick(n);
    expect(now.asked).toEqual([]);
    expect(await told()).toEqual([expect.objectContaining({ type, message: MESSAGE })]);
    expect(now.wakes).toEqual([60, 60]);
    expect(await blamed(corner, id)).toBe(5);
    now.clock = 60_000;
    await tick();
    expect(now.asked).not.toEqual([]);
    expect(await phase()).toMatchObject({ kind: end });
    expect(await told()).toHaveLength(1);
  });
});

it('who was in hand twice when the process died is worked on alone from then on, and who waits is not blamed', async () => {
  const { ids, store, now, tick, untried } = await aStage(['world', 'moon', 'sun']);
  const [world = '', moon = '', sun = ''] = ids;
  for (const id of [world, moon]) await died(store, id, 2);
  let end = () => {};
  now.inHand = new Promise<void>((resolve) => {
    end = resolve;
  });
  const working = tick(0, world);
  await expect.poll(() => now.asked).toEqual(['world']);
  await tick(0, moon);
  expect(now.asked).toEqual(['world']);
  expect(now.wakes).toEqual([1]);
  // Not for a moment either: this process may die in it.
  expect(untried).toEqual([2]);
  expect(await blamed(corner, moon)).toBe(2);
  expect(await blamed(corner, world)).toBe(3);
  // Nobody suspects this one.
  await tick(0, sun);
  expect(now.asked).toContain('sun');
  end();
  await working;
  await tick(0, moon);
  expect(now.asked).toContain('moon');
  for (const id of [world, moon]) expect(await blamed(corner, id)).toBe(0);
});
