/** Several Redis servers that belong together: a Redis Cluster, and a primary with a replica under three Sentinels. */
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, type RedisServer, startRedisServer } from './redis-server.ts';

const SLOTS = 16_384;
const NODES = 3;
const FORM_MS = 20_000;

/** Three primaries; with `replicas` one more for each. */
export async function startRedisCluster({ replicas = false } = {}) {
  const nodes = await Promise.all(Array.from({ length: replicas ? 2 * NODES : NODES }, clusterNode));
  const primaries = nodes.slice(0, NODES);
  // Each to each: gossip alone takes seconds.
  for (const one of nodes)
    for (const { server, busPort } of nodes)
      if (one.server !== server) await one.server.run('CLUSTER', 'MEET', '127.0.0.1', server.port, busPort);
  for (const [index, { server }] of primaries.entries()) {
    const from = Math.floor((SLOTS * index) / NODES);
    const to = Math.floor((SLOTS * (index + 1)) / NODES) - 1;
    await server.run('CLUSTER', 'ADDSLOTSRANGE', from, to);
  }
  const all = nodes.map(({ server }) => server);
  const known = new RegExp(`cluster_state:ok[^]*cluster_known_nodes:${all.length}\\b`);
  for (const server of all)
    await until('the Redis Cluster', async () => known.test(String(await server.run('CLUSTER', 'INFO'))));
  for (const [index, { server }] of nodes.slice(NODES).entries()) {
    const primary = await primaries[index]?.server.run('CLUSTER', 'MYID');
    await server.run('CLUSTER', 'REPLICATE', String(primary));
    await until('a replica', async () => /master_link_status:up/.test(String(await server.run('INFO', 'replication'))));
  }
  return {
    url: `redis+cluster://${primaries.map(({ server }) => `127.0.0.1:${server.port}`).join(',')}`,
    primaries: primaries.map(({ server }) => server),
    replicas: all.slice(NODES),
    stop: async () => void (await Promise.all(all.map((server) => server.stop()))),
  };
}

async function clusterNode(): Promise<{ server: RedisServer; busPort: number }> {
  // By default the port and 10,000, which many free ports are too high for.
  const busPort = await freePort();
  const server = await startRedisServer({
    'cluster-enabled': 'yes',
    'cluster-port': String(busPort),
    'cluster-node-timeout': '1500',
    'cluster-config-file': 'nodes.conf',
  });
  return { server, busPort };
}

/** A primary, its replica, and three Sentinels that take a second to believe that the primary is gone. */
export async function startSentinels() {
  const primary = await startRedisServer({ 'repl-diskless-sync-delay': '0' });
  const replica = await startRedisServer({ replicaof: `127.0.0.1 ${primary.port}` });
  await until('the replica', async () =>
    /master_link_status:up/.test(String(await replica.run('INFO', 'replication'))),
  );
  const sentinels = await Promise.all(
    Array.from({ length: 3 }, () =>
      startRedisServer(
        {
          'sentinel monitor': `mymaster 127.0.0.1 ${primary.port} 2`,
          'sentinel down-after-milliseconds': 'mymaster 1000',
          'sentinel failover-timeout': 'mymaster 5000',
        },
        { sentinel: true },
      ),
    ),
  );
  for (const one of sentinels) {
    const sees = async (field: string, count: number) =>
      String(await one.run('SENTINEL', 'MASTER', 'mymaster')).includes(`${field},${count}`);
    await until('the Sentinels', async () => (await sees('num-other-sentinels', 2)) && (await sees('num-slaves', 1)));
  }
  return {
    url: `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/mymaster`,
    primary,
    replica,
    /** Waits until the replica has become the primary. */
    takenOver: () =>
      until('the replica takes over', async () => /role:master/.test(String(await replica.run('INFO', 'replication')))),
    stop: async () => void (await Promise.all([...sentinels, replica, primary].map((server) => server.stop()))),
  };
}

async function until(what: string, there: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + FORM_MS; Date.now() < deadline; await sleep(50)) {
    if (await there().catch(() => false)) return;
  }
  throw new Error(`${what}: not within ${FORM_MS / 1000} s`);
}
