/** Which rollout a thread belongs to: an index, and what stands with each rollout, should the index have lost it. */
import { type Place, parsePlace } from '../../core/place.ts';
import { isTerminal, type Rollout } from '../../core/rollout.ts';
import { inBatches } from './batches.ts';
import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';

/** `hint`: writes what may be lost. */
export function createThreads(redis: RedisClient, keys: Keys, hint: (id: string, write: Promise<unknown>) => void) {
  return {
    /** Before the transition: a process that dies right after it leaves a thread that is found. */
    note(before: Rollout, after: Rollout): void {
      const thread = threadOf(after);
      if (thread !== null && thread !== threadOf(before)) hint(after.id, redis.hset(keys.threads, thread, after.id));
    },

    drop(before: Rollout, after: Rollout): void {
      const own = isTerminal(after) ? null : threadOf(after);
      for (const thread of new Set([threadOf(before), threadOf(after)]))
        if (thread !== null && thread !== own) hint(after.id, redis.hdel(keys.threads, thread));
    },

    noted: (thread: Place) => redis.hget(keys.threads, fieldOf(thread)),

    /** Asks each of them, without loading any. */
    async among(thread: Place, ids: readonly string[]): Promise<string | null> {
      const threads = await inBatches(ids, (batch) =>
        Promise.all(batch.map((id) => redis.hget(keys.rollout(id).state, 'thread'))),
      );
      return ids[threads.indexOf(fieldOf(thread))] ?? null;
    },
  };
}

const fieldOf = ({ channel, ts }: Place): string => `${channel}/${ts}`;

/** `channel/ts` of the first message; null: Slack does not have it yet. */
export function threadOf({ messages: { root }, plan }: Rollout): string | null {
  return root === undefined ? null : fieldOf(parsePlace(root, plan.channel));
}
