/** Leases that live as long as the work: short, so that somebody else soon goes on for who died or froze with one. */
import type { Lease, Store } from './ports/store.ts';

/** Processes that died one after the other with the same work in hand: it is the work that ends them. */
export const POISON_TIMES = 5;
/** What hangs for so many times the length of its lease keeps it no longer. */
const RENEWALS = 20;

/** null: somebody else has it. Renewed until it is released; who thaws too late renews what is not theirs any more: nothing. */
export async function hold(
  store: Pick<Store, 'lease'>,
  name: string,
  ms: number,
  uncountedFrom?: number,
): Promise<Omit<Lease, 'renew'> | null> {
  const lease = await store.lease(name, ms, uncountedFrom);
  if (!lease) return null;
  let left = RENEWALS;
  const renewing = setInterval(() => {
    if (left-- === 0) clearInterval(renewing);
    else lease.renew().catch(() => undefined);
  }, ms / 2);
  return {
    ...{ abandoned: lease.abandoned, begin: lease.begin },
    ...{ failingSince: lease.failingSince, lastingSince: lease.lastingSince },
    release(work) {
      clearInterval(renewing);
      return lease.release(work);
    },
  };
}
