/** Another server takes over in the middle of a rollout: by hand behind one address, or by Sentinels. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createStore } from '../../src/adapters/redis/store.ts';
import { storeContract } from '../contracts/store.ts';
import { recordingLog } from '../support/redis.ts';
import { startSentinels } from '../support/redis-groups.ts';
import { startRedisServer } from '../support/redis-server.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { useRedisStage } from './redis-stage.ts';

describe('one address that leads to another server', () => {
  const set = useRedisStage(async () => {
    const old = await startRedisServer({ 'repl-diskless-sync-delay': '0' });
    const replica = await startRedisServer({ replicaof: `127.0.0.1 ${old.port}` });
    const way = await startTcpProxy(old.url);
    const inSync = async () => {
      const [mine, theirs] = await Promise.all(
        [old, replica].map(async (one) => String(await one.run('INFO', 'replication'))),
      );
      return /master_link_status:up/.test(theirs ?? '') && offset(mine) === offset(theirs);
    };
    return {
      ...{ url: way.url, old, replica, way, inSync },
      stop: async () => void (await Promise.all([way.stop(), old.stop(), replica.stop()])),
    };
  });
  const offset = (info: string | undefined) => /(?:master|slave)_repl_offset:(\d+)/.exec(info ?? '')?.[1];

  test('the old one is cut off: the rollout goes on with what the new one has', async () => {
    const now = set();
    const { way, replica, inSync } = now.redis;
    await now.begin();
    await expect.poll(inSync, { timeout: 15_000 }).toBe(true);
    await now.backAfter(async () => {
      await way.cut();
      await replica.run('REPLICAOF', 'NO', 'ONE');
      way.lead(replica.url);
      await way.mend();
    });
    // Who presses before the bot has found the new one is told so, and presses again.
    await now.insist('bo', 'Approve 100%');
    await now.approve('bo', 'Promote');
    await now.live();
  });

  test('the old one stays connected as a replica: its first refusal leads to the new one', async () => {
    const now = set();
    const { way, old, replica, inSync } = now.redis;
    await now.begin();
    await expect.poll(inSync, { timeout: 15_000 }).toBe(true);
    way.lead(replica.url);
    await replica.run('REPLICAOF', 'NO', 'ONE');
    // Those who are connected stay there, and are told READONLY.
    await old.run('REPLICAOF', '127.0.0.1', replica.port);
    await now.abort('bo');
    await now.weightIs(0, 3_000);
    await now.back(/is aborted by @bo/i);
  });

  test('an approval did not reach the new one: it is taken back, not asked again', async () => {
    const now = set();
    const { way, replica } = now.redis;
    await now.begin();
    await expect.poll(now.redis.inSync, { timeout: 15_000 }).toBe(true);
    await replica.run('REPLICAOF', 'NO', 'ONE');
    await now.approve('bo', 'Approve 100%');
    await now.gate('Promote');
    await now.backAfter(async () => {
      await way.cut();
      way.lead(replica.url);
      await way.mend();
    });
    await now.back(/newer state/i);
  });
});

storeContract('behind Sentinels', async () => {
  const redis = await startSentinels();
  const open = () => createStore({ url: redis.url, env: 'test', log: recordingLog() });
  const stores = [open(), open()] as const;
  return {
    stores,
    async close() {
      await Promise.all(stores.map((store) => store.close()));
      await redis.stop();
    },
  };
});

describe('Sentinels', () => {
  const set = useRedisStage(startSentinels);

  test('world v2 goes live though the primary dies in the middle', async () => {
    const now = set();
    await now.begin();
    await sleep(500);
    await now.backAfter(async () => {
      await now.redis.primary.kill();
      await now.redis.takenOver();
    });
    await now.approve('bo', 'Approve 100%');
    await now.approve('bo', 'Promote');
    await now.live();
  });

  test('while nobody is primary an abort goes straight to the cluster, and is told when somebody is', async () => {
    const now = set();
    await now.begin();
    await sleep(500);
    await now.redis.primary.kill();
    await now.abort('bo');
    await now.weightIs(0, 3_000);
    await now.redis.takenOver();
    await now.back(/is aborted by @bo/i);
  });
});
