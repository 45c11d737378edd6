/**
 * Rollouts that were worked on when the process died, again and again: the work on one of them ends it, and the others were only
 * there. They are told apart by taking turns, and what the guilty one costs is bounded.
 */
import { isTerminal } from '../core/rollout.ts';
import { POISON_TIMES } from './lease.ts';
import type { Log } from './ports/log.ts';
import type { Lease, Loaded } from './ports/store.ts';
import type { Recording } from './record.ts';

/** From so many holders in a row that died on, a process works on no other suspect at the same time. */
export const SUSPECT_TIMES = 2;
const TURN_MS = 1_000;
/** How often one that cannot be aborted may end a process. */
const REST_MS = 60_000;

type Deps = { readonly log: Log; readonly clock: () => number; readonly record: Recording['record'] };

export function createSuspects({ log, clock, record }: Deps) {
  let inHand: string | null = null;
  /** Until when (local clock) one that cannot be aborted is left alone. */
  const resting = new Map<string, number>();

  /**
   * For how long it is not to be worked on, ms; 0: go on, from its newest state, and call `done`. The lease was taken uncounted: who
   * dies while it waits is not blamed for that.
   */
  async function waitFor(id: string, lease: Omit<Lease, 'renew' | 'release'>): Promise<number> {
    const { abandoned, failingSince } = lease;
    if (abandoned < SUSPECT_TIMES) return 0;
    if (inHand !== null && inHand !== id) return TURN_MS;
    inHand = id;
    // Aborted, or it would kill them all.
    const wait = abandoned < POISON_TIMES ? 0 : await giveUp(id, abandoned, failingSince);
    if (wait === 0) await lease.begin();
    return wait;
  }

  /** The other rollouts must not suffer for it. */
  async function giveUp(id: string, times: number, failingSince: number | null): Promise<number> {
    const until = resting.get(id);
    if (until !== undefined) {
      const left = until - clock();
      if (left <= 0) resting.delete(id);
      return Math.max(0, left);
    }
    log.error({ rollout: id, times }, 'giving up a rollout whose tick ended the process each time');
    const message = `Sluice's process ended ${times} times in a row while it worked on this rollout; its log has the reason.`;
    const given = await record(id, { type: 'abort_requested', cause: { kind: 'given up', message }, epoch: 0 });
    if (!given || given.ok || isTerminal(given.loaded.rollout)) return 0;
    resting.set(id, clock() + REST_MS);
    await tell(given.loaded, `${message} It is tried once a minute.`, failingSince);
    return REST_MS;
  }

  /** Refused when they were told. */
  async function tell({ rollout, now }: Loaded, message: string, failingSince: number | null): Promise<void> {
    const { id, seq, phase } = rollout;
    const since = failingSince ?? now;
    await record(
      id,
      phase.kind === 'aborting' ? { type: 'abort_stalled', seq, message } : { type: 'stalled', seq, since, message },
    );
  }

  function done(id: string): void {
    if (inHand === id) inHand = null;
  }

  return { waitFor, done };
}
