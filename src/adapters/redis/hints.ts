/**
 * Hints that were lost: the indexes are written beside the transitions and in other slots, so a process that dies between the
 * two leaves them behind. What they should say stands with each rollout; it is compared without loading any.
 */
import type { Store } from '../../app/ports/store.ts';
import { inBatches } from './batches.ts';
import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';
import { millis } from './scripts.ts';

type HintStore = Pick<Store, 'forgotten'> & {
  /** Kind of each rollout's phase; null: Redis does not know the rollout. */
  phases(ids: readonly string[]): Promise<readonly (string | null)[]>;
};

export function createHintStore(redis: RedisClient, keys: Keys): HintStore {
  return {
    phases: (ids) =>
      inBatches(ids, (batch) => Promise.all(batch.map((id) => redis.hget(keys.rollout(id).state, 'phase')))),

    async forgotten(ids, farMs) {
      const [seconds, microseconds] = await redis.time();
      const far = millis([String(seconds), String(microseconds)]) + farMs;
      const found = await inBatches(ids, async (batch) => {
        const [due, ...own] = await Promise.all([
          redis.zmscore(keys.due, ...batch),
          ...batch.map((id) => {
            const { state, outbox } = keys.rollout(id);
            // Two calls and no script: nothing here needs to be of one moment.
            return Promise.all([redis.hget(state, 'look'), redis.exists(outbox)]);
          }),
        ]);
        return own.map(([look, unsent], index) => {
          const at = timeOf(look);
          const hint = due[index] ?? null;
          const late = hint === null || (timeOf(hint) > far && at < timeOf(hint));
          return { id: batch[index] ?? '', at, late, unsent: unsent > 0 };
        });
      });
      return {
        late: found.filter(({ late }) => late).map(({ id, at }) => ({ id, at })),
        unsent: found.filter(({ unsent }) => unsent).map(({ id }) => id),
      };
    },
  };
}

/** `inf` is how Redis writes what only an event moves; a rollout that a Sluice before this field wrote is looked at. */
const timeOf = (written: string | null): number => (written === 'inf' ? Number.POSITIVE_INFINITY : Number(written));

/** As Redis reads and writes it. */
export const scoreOf = (at: number): string => (at === Number.POSITIVE_INFINITY ? '+inf' : String(at));
