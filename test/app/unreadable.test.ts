/** What Redis holds of one rollout cannot be read: the others do not notice, and people are told which one and what to do. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createKeys } from '../../src/adapters/redis/keys.ts';
import { createBlindAbort } from '../../src/app/blind.ts';
import { createBot } from '../../src/app/bot.ts';
import { createCommands } from '../../src/app/commands.ts';
import { createDeploy } from '../../src/app/deploy.ts';
import { examine, lookAtRollouts, OUTSIDE, ok } from '../../src/app/doctor.ts';
import { createPeople } from '../../src/app/people.ts';
import type { Chat } from '../../src/app/ports/chat.ts';
import type { TrafficRouter } from '../../src/app/ports/router.ts';
import type { Workload } from '../../src/app/ports/workload.ts';
import type { Request } from '../../src/app/requests.ts';
import { supportOf } from '../../src/core/support.ts';
import { loaded, record, start } from '../contracts/store.ts';
import { samplePlan } from '../support/played.ts';
import { recordingLog, withRedis } from '../support/redis.ts';
import { configOf, heldCluster, listeningChat, marksOf, only, openCorner, pressedAbort, typed } from './support.ts';

let corner: ReturnType<typeof openCorner>;
beforeEach(() => {
  corner = openCorner();
});
afterEach(() => corner.close());

/** `world` runs and cannot be read; `other` runs beside it. */
async function aBot() {
  const { store, env, url } = corner;
  const [world, other] = [await start(store, 'world', env), await start(store, 'other', env)];
  await withRedis(url, (redis) => redis.hset(createKeys(env).rollout(world.id).state, 'state', '{"id":'));
  const log = recordingLog();
  const config = configOf('test', ['world', 'other']);
  const told: unknown[] = [];
  const { chat } = listeningChat({ tell: async (_, answer) => void told.push(answer) } satisfies Partial<Chat>);
  const people = createPeople({ store, chat, log, clock: () => performance.now() });
  const cluster = heldCluster({ marks: marksOf(world.id), weight: 50, promoted: false });
  const supports = supportOf(samplePlan('world', env).target);
  const routerOf = () => only<TrafficRouter>({ ...cluster.router, supports });
  const workloadOf = () => only<Workload>({ ...cluster.workload, stableTemplate: async () => null });
  const commands = createCommands({
    ...{ config, store, chat, people, log },
    rollouts: only({}),
    abort: () => Promise.reject(new Error('it is read before')),
    deploy: createDeploy({
      ...{ config, store, chat, people, log, routerOf, workloadOf },
      ...{ rollouts: only({}), newId: () => '', onMessages: () => {}, remember: () => {} },
    }),
  });
  const bot = createBot({
    ...{ config, store, chat, people, commands, log, routerOf },
    abort: async (id, actor, reason) => {
      await store.requestAbort(id, actor, reason);
      throw new Error('it cannot be read');
    },
    blindAbort: createBlindAbort({ routerOf, workloadOf }),
    newReference: () => 'r',
    reconcile: () => {},
  });
  return {
    ...{ world, other, cluster, config },
    async ask(request: Request) {
      const { after } = await bot.receive(request);
      await after();
      return told.at(-1);
    },
  };
}

const named = (id: string) => expect.stringMatching(new RegExp(`^rollout ${id} cannot be read in Redis \\(.*DEL `));

describe('a rollout that cannot be read', () => {
  it.each(['list', 'status'])('is named by `%s`, beside those that can', async (command) => {
    const { world, other, ask } = await aBot();
    expect(await ask(typed(command))).toMatchObject({
      ...{ kind: 'status', rollouts: [{ rollout: { id: other.id } }], unreadable: [named(world.id)] },
    });
  });

  it('is named by the status of its service, and by its id', async () => {
    const { world, ask } = await aBot();
    for (const target of ['world', world.id])
      expect(await ask(typed(`status ${target}`))).toMatchObject({ rollouts: [], unreadable: [named(world.id)] });
  });

  it.each(['world v3', 'rollback world'])('keeps `%s` from starting, which says why', async (command) => {
    const { world, ask } = await aBot();
    expect(await ask(typed(command))).toEqual({ kind: 'unreadable', problem: named(world.id) });
    expect(await corner.store.intakes('world')).toEqual([]);
  });

  it('keeps nobody from what is said in the thread of another', async () => {
    const { other, ask } = await aBot();
    const { rollout } = await loaded(corner.store, other.id);
    await record(corner.store, await loaded(corner.store, other.id), {
      type: 'message_delivered',
      key: 'root',
      ts: '1',
    });
    const said = await ask(typed('status', { channel: rollout.plan.channel, ts: '1' }));
    expect(said).toMatchObject({ rollouts: [{ rollout: { id: other.id } }], unreadable: [] });
  });

  it('is still aborted, by the marks in the cluster', async () => {
    for (const request of ['button', 'service', 'id'] as const) {
      const { world, cluster, ask } = await aBot();
      const asked = {
        button: pressedAbort(world.id),
        service: typed('abort world'),
        id: typed(`abort ${world.id}`),
      }[request];
      expect(await ask(asked), request).toEqual({ kind: 'aborted blind', service: 'world', id: world.id });
      expect(cluster.calls).toEqual(['route']);
      await corner.close();
      corner = openCorner();
    }
  });

  it('is found by doctor, with the remedy', async () => {
    const { world, config } = await aBot();
    const redis = { subject: OUTSIDE.redis, look: async () => [ok(OUTSIDE.redis, 'there')] };
    const findings = await examine([redis, lookAtRollouts({ config, store: corner.store })], 1_000);
    expect(findings.slice(1)).toEqual([{ level: 'fail', subject: 'rollouts', text: named(world.id) }]);
  });
});
