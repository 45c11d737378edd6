/** Requests from their arrival to the answer, with a Redis that lost its data, is slow, or away. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createStore } from '../../src/adapters/redis/store.ts';
import { createBlindAbort } from '../../src/app/blind.ts';
import { createBot } from '../../src/app/bot.ts';
import { createCommands } from '../../src/app/commands.ts';
import type { Deploy } from '../../src/app/deploy.ts';
import { createPeople } from '../../src/app/people.ts';
import type { TrafficRouter } from '../../src/app/ports/router.ts';
import type { Store } from '../../src/app/ports/store.ts';
import { type Request, THREADS } from '../../src/app/requests.ts';
import { loaded, start } from '../contracts/store.ts';
import { recordingLog, startPrivateRedis } from '../support/redis.ts';
import { configOf, heldCluster, listeningChat, marksOf, only, openCorner, pressedAbort, typed } from './support.ts';

const LOST = 'world-aaaaaa';
let corner: ReturnType<typeof openCorner>;
beforeEach(() => {
  corner = openCorner();
});
afterEach(() => corner.close());

function aBot(store: Store, cluster: ReturnType<typeof heldCluster>) {
  const log = recordingLog();
  const { chat, told } = listeningChat();
  const config = configOf('test');
  let reconciled = 0;
  const people = createPeople({ store, chat, log, clock: () => performance.now() });
  const commands = createCommands({
    ...{ config, store, chat, people, log },
    rollouts: only({}),
    abort: async () => ({ kind: 'unknown' }),
    deploy: only<Deploy>({ byHand: () => 'kubectl', start: () => Promise.reject(new Error('broken')) }),
  });
  const bot = createBot({
    ...{ config, store, chat, people, commands, log },
    abort: async (id) => ((await store.requestAbort(id, { kind: 'system' }, null)) ? never() : { kind: 'unknown' }),
    blindAbort: createBlindAbort({ routerOf: () => cluster.router, workloadOf: () => cluster.workload }),
    routerOf: () => only<TrafficRouter>(cluster.router),
    newReference: () => 'r',
    reconcile: () => void reconciled++,
  });
  return {
    told,
    reconciled: () => reconciled,
    receive: bot.receive,
    async ask(request: Request) {
      const { after } = await bot.receive(request);
      await after();
    },
  };
}

const never = (): never => {
  throw new Error('the test expects no known rollout');
};

describe('a rollout that Redis has lost', () => {
  it.each([
    ['the button', pressedAbort(LOST)],
    ['its service', typed('abort world')],
    ['its id', typed(`abort ${LOST}`)],
  ])('is aborted at once by %s, and looked for', async (_, request) => {
    const cluster = heldCluster({ marks: marksOf(LOST), weight: 50, promoted: false });
    const bot = aBot(corner.store, cluster);
    await bot.ask(request);
    expect(cluster.calls).toEqual(['route']);
    expect(bot.told).toEqual(['aborted blind']);
    expect(bot.reconciled()).toBe(1);
  });

  it.each([
    ['nothing holds the route', heldCluster({ marks: null, weight: 0, promoted: false }), pressedAbort(LOST)],
    ['nothing runs', heldCluster({ marks: null, weight: 0, promoted: false }), typed('abort world')],
    [
      'another rollout holds the route than the one that is meant',
      heldCluster({ marks: marksOf('world-bbbbbb'), weight: 50, promoted: false }),
      typed(`abort ${LOST}`),
    ],
  ])('is not known when %s', async (_, cluster, request) => {
    const bot = aBot(corner.store, cluster);
    await bot.ask(request);
    expect(cluster.calls).toEqual([]);
    expect(bot.told).toEqual(['no rollout']);
  });

  it('is left when it is promoted already', async () => {
    const cluster = heldCluster({ marks: marksOf(LOST), weight: 0, promoted: true });
    const bot = aBot(corner.store, cluster);
    await bot.ask(pressedAbort(LOST));
    expect(cluster.calls).toEqual([]);
    expect(bot.told).toEqual(['promoted blind']);
  });
});

it('a known rollout is never aborted past Redis', async () => {
  const { id } = await start(corner.store, 'world', corner.env);
  const found = await loaded(corner.store, id);
  const cluster = heldCluster({ marks: marksOf(id), weight: 50, promoted: false });
  // Its lock is lost, its state is not.
  const store: Store = { ...corner.store, holder: async () => null };
  const bot = aBot(store, cluster);
  await bot.ask(typed('abort world'));
  expect(cluster.calls).toEqual([]);
  expect(await loaded(corner.store, id)).toMatchObject({ rollout: found.rollout });
});

it('what is told to have failed is not worked on later', async () => {
  const bot = aBot(corner.store, heldCluster({ marks: null, weight: 0, promoted: false }));
  await bot.ask(typed('world v2'));
  expect(bot.told).toEqual(['fault']);
  await expect.poll(() => corner.store.intakes('world')).toEqual([]);
});

it('what was recorded is not dropped when Redis goes away under it: the sweep takes it up', async () => {
  const away: Store = { ...corner.store, isWaiting: () => Promise.reject(new Error('no Redis')) };
  const bot = aBot(away, heldCluster({ marks: null, weight: 0, promoted: false }));
  await bot.ask(typed('world v2'));
  expect(bot.told).toEqual(['kept']);
  expect(await corner.store.intakes('world')).toHaveLength(1);
});

it('what came through although its reply was lost is not told to have failed, and is followed up at once', async () => {
  const done: Store = { ...corner.store, isWaiting: async () => false };
  const broken = { ...done, lease: () => Promise.reject(new Error('the reply was lost')) };
  const bot = aBot(broken, heldCluster({ marks: null, weight: 0, promoted: false }));
  await bot.ask(typed('world v2'));
  expect(bot.told).toEqual([]);
  expect(bot.reconciled()).toBe(1);
});

describe('what is said in a thread', () => {
  const thread = { channel: 'C0DEPLOYS', ts: '1700.1' };

  it.each(['approve', 'abort', 'rollback'])('"%s" is recorded before it is acknowledged', async (text) => {
    const taken: string[] = [];
    const store: Store = {
      ...corner.store,
      take: async (service, ...given) => {
        taken.push(service);
        return corner.store.take(service, ...given);
      },
    };
    const bot = aBot(store, heldCluster({ marks: null, weight: 0, promoted: false }));
    await bot.receive(typed(text, thread));
    expect(taken).toEqual([THREADS]);
    expect(bot.told).toEqual([]);
  });

  it('"status" is only looked at', async () => {
    const bot = aBot(corner.store, heldCluster({ marks: null, weight: 0, promoted: false }));
    await bot.ask(typed('status', thread));
    expect(await corner.store.intakes(THREADS)).toEqual([]);
    expect(bot.told).toEqual(['status']);
  });
});

describe('an inbox that is full', () => {
  const full = () => aBot({ ...corner.store, take: async () => ({ kind: 'full' }) }, heldCluster(HELD));
  const HELD = { marks: marksOf(LOST), weight: 50, promoted: false };

  it('takes nothing more, and the person is told', async () => {
    const bot = full();
    await bot.ask(typed('world v2'));
    expect(bot.told).toEqual(['inbox full']);
  });

  it('keeps no abort from being carried out', async () => {
    const bot = full();
    await bot.ask(typed('abort world'));
    expect(bot.told).toEqual(['aborted blind']);
  });
});

it('what is told not to be recorded has no effect, even if Redis was only slow', async () => {
  const redis = await startPrivateRedis();
  const store = createStore({ url: redis.url, env: 'test', log: recordingLog() });
  await store.now();
  await store.intakes('world');
  // Both connections are there.
  await store.take('world', 'first', {});
  const bot = aBot(store, heldCluster({ marks: null, weight: 0, promoted: false }));
  redis.freeze();
  const request = typed('world v2');
  await expect(bot.ask(request)).rejects.toThrow('not be recorded');
  redis.thaw();
  // Its key is void: the same request is a replay now.
  await expect
    .poll(() => store.take('world', request.key, request).catch(() => null), { timeout: 8_000 })
    .toMatchObject({ kind: 'duplicate' });
  await expect.poll(() => store.intakes('world').catch(() => null), { timeout: 8_000 }).toHaveLength(1);
  await store.close();
  await redis.stop();
}, 20_000);
