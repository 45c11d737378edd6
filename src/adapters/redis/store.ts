/** The store on Redis: the port put together from its parts, and the connections it works on. */
import { Cluster, type Redis, ReplyError } from 'ioredis';
import type { Log } from '../../app/ports/log.ts';
import type { Store } from '../../app/ports/store.ts';
import { redisAddress } from './address.ts';
import { connectBounded, disconnect, onTrouble, type RedisClient } from './connect.ts';
import { createHintStore } from './hints.ts';
import { createIntakeStore } from './intake.ts';
import { listKept } from './kept.ts';
import { createKeys } from './keys.ts';
import { createMessageStore } from './messages.ts';
import { createRolloutStore } from './rollouts.ts';
import { scripts } from './scripts.ts';
import { createSharedStore } from './shared.ts';

const WORK_TIMEOUT_MS = 2_000;
/** Slack waits 3 s for an acknowledgement, and an abort goes on without Redis. */
const URGENT_TIMEOUT_MS = 250;

export type RedisStore = Store & {
  /** How this Redis can lose what was acknowledged, as sentences with the remedy; empty: it cannot by its settings. */
  warnings(): Promise<readonly string[]>;
  /** How many rollouts have messages that Slack does not show yet; one too many for a moment after the last was sent. */
  backlog(): Promise<number>;
  /** Kind of each rollout's phase; null: Redis does not know the rollout. Loads none of them. */
  phases(ids: readonly string[]): Promise<readonly (string | null)[]>;
  /** Ids of all rollouts of which anything is kept, also of services that are configured no more. Reads the whole key space. */
  kept(): Promise<readonly string[]>;
  /** Throws, with the remedy, while Redis cannot be used. */
  reach(): Promise<void>;
  close(): Promise<void>;
};

/** Connects, and goes on without Redis: calls fail until it is there. `env` keeps several bots apart on one Redis. */
export function createStore({ url, env, log }: { url: string; env: string; log: Log }): RedisStore {
  const keys = createKeys(env);
  const work = connectBounded(url, 'work', log, WORK_TIMEOUT_MS, scripts);
  // A connection of its own: a command or an abort never waits behind the reply to a long read.
  const urgent = connectBounded(url, 'urgent', log, URGENT_TIMEOUT_MS, scripts);
  // What a call says while disconnected is only that there is no connection.
  let trouble: string | null = null;
  onTrouble(work, (error) => {
    trouble = error.message || ('code' in error ? String(error.code) : error.name);
  });
  return {
    ...createRolloutStore({ work, urgent, keys, log }),
    ...createMessageStore(work, keys),
    ...createIntakeStore({ work, urgent, keys }),
    ...createSharedStore(work, keys),
    ...createHintStore(work, keys),
    warnings: () => readWarnings(work),
    backlog: () => work.zcard(keys.unsent),
    kept: () => listKept(work, keys),
    async reach() {
      try {
        await work.ping();
      } catch (error) {
        const why = trouble ?? (error instanceof Error ? error.message : String(error));
        const { place: host } = redisAddress(url);
        if (/^(NOAUTH|WRONGPASS)/.test(why))
          throw new Error(`Redis at ${host} refuses the password (${why.split(' ')[0]}): write it into REDIS_URL.`);
        throw new Error(`Redis at ${host} cannot be used (${why}): start it, or correct REDIS_URL.`);
      }
    },
    async close() {
      await Promise.all([disconnect(work), disconnect(urgent)]);
    },
  };
}

/** Each primary of a Redis Cluster is asked. */
async function readWarnings(redis: RedisClient): Promise<readonly string[]> {
  const nodes = redis instanceof Cluster ? redis.nodes('master') : [redis];
  return [...new Set((await Promise.all(nodes.map(warningsOfNode))).flat())];
}

async function warningsOfNode(redis: Redis): Promise<readonly string[]> {
  let info: string[];
  try {
    info = await Promise.all([redis.info('persistence'), redis.info('memory')]);
  } catch (error) {
    if (!(error instanceof ReplyError)) throw error;
    return [
      'Redis does not tell this account how it keeps data (INFO is refused). Allow INFO, or see to it yourself that "appendonly" is yes and "maxmemory-policy" noeviction.',
    ];
  }
  const [persistence = '', memory = ''] = info;
  // Hosted Redis often refuses CONFIG: then only what INFO says is known.
  const snapshots = await redis.config('GET', 'save').then(
    (reply) => Array.isArray(reply) && reply[1] !== '',
    () => false,
  );
  return warningsOf({ persistence, memory, snapshots });
}

function warningsOf({
  persistence,
  memory,
  snapshots,
}: {
  persistence: string;
  memory: string;
  snapshots: boolean;
}): string[] {
  const warnings: string[] = [];
  if (!/^aof_enabled:1/m.test(persistence)) {
    const lost = snapshots ? 'everything since its last snapshot' : 'every rollout';
    warnings.push(`Redis has appendonly off: its restart loses ${lost}. Set "appendonly yes".`);
  }
  const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1];
  if (policy !== undefined && policy !== 'noeviction') {
    warnings.push(
      `Redis has maxmemory-policy ${policy}: it drops rollouts when it is full. Set "maxmemory-policy noeviction".`,
    );
  }
  return warnings;
}
