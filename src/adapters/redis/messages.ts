/** The outbox: what Slack does not show yet, one stream per rollout, and an index of the rollouts that have something in it. */
import type { Store } from '../../app/ports/store.ts';
import type { Outgoing } from '../../core/event.ts';
import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';

/** Hints are of the moment in which they are written. */
const AHEAD_MS = 60_000;
/** Longer than any message is on its way; after that a mark only costs memory. */
const MARK_KEPT_S = 30 * 24 * 3_600;

type MessageStore = Pick<Store, 'unsent' | 'sent' | 'markSending' | 'unmarkSending' | 'pendingOutbox'>;

export function createMessageStore(redis: RedisClient, keys: Keys): MessageStore {
  const isEmpty = async (id: string) => (await redis.xlen(keys.rollout(id).outbox)) === 0;

  /** Drops a hint whose outbox is empty, and puts it back, overdue by Redis' clock, if a transition wrote in between. */
  async function forget(id: string): Promise<void> {
    await redis.zrem(keys.unsent, id);
    if (!(await isEmpty(id))) await redis.zadd(keys.unsent, 'NX', 0, id);
  }

  return {
    async unsent(id) {
      const entries = await redis.xrange(keys.rollout(id).outbox, '-', '+');
      return entries.map(([entry, fields]) => ({ entry, outgoing: parseOutgoing(entry, fields) }));
    },

    async sent(id, entries) {
      if (entries.length > 0) await redis.sluiceSent(keys.rollout(id).outbox, ...entries);
    },

    async markSending(id, key) {
      const { sending } = keys.rollout(id);
      const [marked] = await Promise.all([redis.hsetnx(sending, key, 1), redis.expire(sending, MARK_KEPT_S)]);
      return marked === 1;
    },

    async unmarkSending(id, key) {
      await redis.hdel(keys.rollout(id).sending, key);
    },

    async pendingOutbox(limit) {
      // Claiming for no time only moves them to the end, so that rollouts whose channel is stuck do not hide the others.
      const ids = await redis.sluiceClaim(keys.unsent, 0, 0, limit, AHEAD_MS);
      const empty = await Promise.all(ids.map(isEmpty));
      await Promise.all(ids.filter((_, index) => empty[index]).map(forget));
      return ids.filter((_, index) => !empty[index]);
    },
  };
}

function parseOutgoing(entry: string, fields: readonly string[]): Outgoing {
  // In the order of the XADD: key, note.
  const [, key, , note] = fields;
  if (key === undefined) throw new Error(`message ${entry} is incomplete in Redis`);
  return note ? { key, note: JSON.parse(note) } : { key };
}
