/** Redis Cluster: three nodes, each of which refuses what belongs to another. */
import { describe, expect, test } from 'vitest';
import { createStore } from '../../src/adapters/redis/store.ts';
import { queueContract } from '../contracts/queue.ts';
import { storeContract } from '../contracts/store.ts';
import { recordingLog } from '../support/redis.ts';
import { startRedisCluster } from '../support/redis-groups.ts';
import { useRedisStage } from './redis-stage.ts';

storeContract('three nodes', async () => {
  const cluster = await startRedisCluster();
  const open = () => createStore({ url: cluster.url, env: 'test', log: recordingLog() });
  const stores = [open(), open()] as const;
  return {
    stores,
    async close() {
      await Promise.all(stores.map((store) => store.close()));
      await cluster.stop();
    },
  };
});

queueContract('three nodes', async () => {
  const { url, stop } = await startRedisCluster();
  return { url, close: stop };
});

describe('the bot on three nodes', () => {
  const set = useRedisStage(startRedisCluster);

  test('world v2 goes live gate by gate', async () => {
    const now = set();
    await now.begin();
    await now.approve('bo', 'Approve 100%');
    await now.approve('bo', 'Promote');
    await now.live();
  });

  test('an abort is recorded and works at once', async () => {
    const now = set();
    await now.begin();
    await now.abort('bo');
    await now.weightIs(0, 2_000);
    await now.told('bo', /all traffic goes back/i);
    await now.back(/is aborted by @bo/i);
  });

  test('frozen as a whole: nothing is recorded, an abort goes straight to the cluster', async () => {
    const now = set();
    await now.begin();
    for (const node of now.redis.primaries) node.freeze();
    await now.approve('bo', 'Approve 100%');
    await now.told('bo', /Not recorded, so nothing happened/);
    await now.abort('bo');
    await now.weightIs(0, 3_000);
    for (const node of now.redis.primaries) node.thaw();
    await now.back(/is aborted by @bo/i);
  });
});

describe('the bot on three nodes with replicas', () => {
  const set = useRedisStage(() => startRedisCluster({ replicas: true }));

  test('every slot moves to another node in the middle (MOVED)', async () => {
    const now = set();
    await now.begin();
    for (const replica of now.redis.replicas) {
      await replica.run('CLUSTER', 'FAILOVER');
      await expect
        .poll(async () => String(await replica.run('INFO', 'replication')), { timeout: 10_000 })
        .toMatch(/role:master/);
    }
    await now.insist('bo', 'Approve 100%');
    await now.approve('bo', 'Promote');
    await now.live();
  });

  test('each primary dies, and its replica takes over', async () => {
    const now = set();
    await now.begin();
    for (const [index, primary] of now.redis.primaries.entries()) {
      await primary.kill();
      const took = async () => String(await now.redis.replicas[index]?.run('INFO', 'replication'));
      await expect.poll(took, { timeout: 20_000 }).toMatch(/role:master/);
      await primary.restart();
    }
    await now.insist('bo', 'Approve 100%');
    await now.approve('bo', 'Promote');
    await now.live();
  });
});
