/** What must happen although Redis goes away in the middle of it. */
import type { Answer } from './answers.ts';
import { pause } from './pause.ts';
import type { Log } from './ports/log.ts';
import type { Store } from './ports/store.ts';
import type { Taken } from './requests.ts';

type Deps = {
  readonly store: Pick<Store, 'isWaiting'>;
  readonly log: Log;
  /** Local clock, ms, monotonic. */
  readonly now: () => number;
  readonly reconcile: () => void;
};

/** Redis knows a key for as long. */
const INSIST_MS = 600_000;
const INSIST_EVERY_MS = 500;
const SETTLE_TRIES = 6;

export function createPersistence({ store, log, now, reconcile }: Deps) {
  /**
   * What was acknowledged is carried out although Redis goes away under it: again as soon as its entry can be read, later by
   * the sweep. Throws what fails while Redis answers.
   */
  async function untilSettled(work: () => Promise<Answer | null>, taken: Taken): Promise<Answer | null> {
    for (let tries = 1; ; tries++) {
      try {
        return await work();
      } catch (error) {
        if (!taken) throw error;
        const waiting = await store.isWaiting(taken.service, taken.id).catch(() => null);
        if (waiting && tries > 1) throw error;
        if (waiting === false) {
          // The transition that takes the entry away came through, only its reply was lost: what follows it is still to come.
          reconcile();
          return null;
        }
        log.warn({ ...taken, err: error }, 'Redis went away under a recorded request');
        if (tries === SETTLE_TRIES) return { kind: 'kept' };
        await pause(INSIST_EVERY_MS);
      }
    }
  }

  /** Goes on trying while Redis is away. */
  async function insist(what: string, work: () => Promise<void>): Promise<void> {
    for (const end = now() + INSIST_MS; ; await pause(INSIST_EVERY_MS)) {
      try {
        return await work();
      } catch (error) {
        if (now() < end) continue;
        return log.error({ what, err: error }, 'given up: Redis does not answer');
      }
    }
  }

  return { insist, untilSettled };
}
