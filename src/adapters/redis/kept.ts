/** Which rollouts there are, running and ended: only an audit asks, so no index is kept for it. */
import { Cluster } from 'ioredis';
import { serviceOf } from '../../core/id.ts';
import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';

export async function listKept(redis: RedisClient, { everyRollout }: Keys): Promise<readonly string[]> {
  const ids = new Set<string>();
  for (const node of redis instanceof Cluster ? redis.nodes('master') : [redis]) {
    for await (const keys of node.scanStream({ match: everyRollout, count: 1_000 })) {
      for (const key of keys) ids.add(/:ro:([^:]+)/.exec(String(key))?.[1] ?? '');
    }
  }
  return [...ids].filter((id) => serviceOf(id) !== null).sort();
}
