/** Redis for tests: a corner of the one at REDIS_URL, or a server of one's own that may be frozen, stopped and emptied. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Log } from '../../src/app/ports/log.ts';
import { startRedis } from '../../tools/redis.mjs';
import { freePort } from './redis-server.ts';

let corners = 0;

/** An `env` that no other test uses, since all keys carry it; `clear` removes what was written under it. */
export function redisCorner(): { readonly url: string; readonly env: string; clear(): Promise<void> } {
  const url = process.env.REDIS_URL;
  if (!url) throw new Error('REDIS_URL is not set: `npm test` starts a Redis and sets it');
  const env = `test-${process.pid}-${Date.now().toString(36)}-${corners++}`;
  return {
    url,
    env,
    clear: () =>
      withRedis(url, async (redis) => {
        for await (const keys of redis.scanStream({ match: `*${env}*`, count: 1_000 })) {
          if (keys.length > 0) await redis.unlink(keys);
        }
      }),
  };
}

export type PrivateRedis = {
  readonly url: string;
  /** Stops answering while its connections stay open. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
};

/** `cluster`: one node that holds all slots and, like every Redis Cluster, refuses scripts over several of them. */
export async function startPrivateRedis({ cluster = false } = {}): Promise<PrivateRedis> {
  const server = process.env.SLUICE_REDIS_SERVER ?? 'redis-server';
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-redis-'));
  const redis = await startRedis(cluster ? asCluster(server, folder, await freePort()) : server, { durable: false });
  const pid = await withRedis(redis.url, async (client) => {
    if (cluster) await formCluster(client);
    return Number(/process_id:(\d+)/.exec(await client.info('server'))?.[1]);
  });
  return {
    url: redis.url,
    freeze: () => process.kill(pid, 'SIGSTOP'),
    thaw: () => process.kill(pid, 'SIGCONT'),
    async stop() {
      await redis.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** An address that leads to a Redis while it is open: shut, it refuses connections and breaks those there are. */
export async function startDoor(to: string) {
  const sockets = new Set<Socket>();
  const door = createServer((socket) => {
    const inner = createConnection({ host: '127.0.0.1', port: Number(new URL(to).port) });
    for (const [one, end] of [
      [socket, inner],
      [inner, socket],
    ] as const) {
      sockets.add(one);
      one
        .on('error', () => {})
        .on('close', () => {
          sockets.delete(one);
          end.destroy();
        });
    }
    socket.pipe(inner).pipe(socket);
  });
  const listen = (port: number) => once(door.listen(port, '127.0.0.1'), 'listening');
  await listen(0);
  const address = door.address();
  const port = address && typeof address === 'object' ? address.port : 0;
  return {
    url: `redis://127.0.0.1:${port}`,
    open: () => listen(port),
    /** Those who are connected hear nothing any more, as from a machine that lost its power; new connections work. */
    stall() {
      for (const socket of sockets) socket.unpipe().pause();
    },
    async shut() {
      const closed = once(door, 'close');
      door.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Its bus would be at the port and 10,000, which many free ports are too high for. */
function asCluster(server: string, folder: string, busPort: number): string {
  const path = join(folder, 'redis-cluster-node');
  writeFileSync(
    path,
    `#!/bin/sh\nexec '${server}' "$@" --cluster-enabled yes --cluster-port ${busPort} --cluster-config-file nodes.conf\n`,
    {
      mode: 0o755,
    },
  );
  return path;
}

async function formCluster(client: Redis): Promise<void> {
  await client.cluster('ADDSLOTSRANGE', 0, 16_383);
  while (!(await client.cluster('INFO')).includes('cluster_state:ok')) await sleep(20);
}

/** For looking at, and breaking, what a store wrote. */
export async function withRedis<T>(url: string, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url);
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}

/** All keys that match, whichever kind of Redis is at `url`. */
export async function keysOf(url: string, pattern: string): Promise<readonly string[]> {
  const places = url
    .replace(/^redis\+cluster:/, 'redis:')
    .replace('redis://', '')
    .split(',');
  const found = places.map((place) => withRedis(`redis://${place}`, (redis) => redis.keys(pattern)));
  return (await Promise.all(found)).flat();
}

/** Keeps messages by level. */
export function recordingLog(): Log & { readonly lines: readonly { level: string; message: string }[] } {
  const lines: { level: string; message: string }[] = [];
  const write = (level: string) => (_: Record<string, unknown>, message: string) => void lines.push({ level, message });
  const log = { lines, debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  const whole: Log & { readonly lines: typeof lines } = { ...log, child: () => whole };
  return whole;
}
