/** Whether a route has the effect that is wanted, as namerd itself works it out from the dtab that it shows. */

import type { NamerdClient } from './client.ts';
import { boundOf, shareOf } from './delegation.ts';
import { parsePrefix, sameTree, showPath } from './dtab.ts';
import type { Place, Seen } from './marks.ts';
import { isRestored, readRoute } from './writes.ts';

/** For so long a look that was made right after a write is its confirmation, and saves the reads of another one. */
const FRESH_MS = 1_000;

export function createConfirming(client: NamerdClient) {
  const seenAt = new Map<string, number>();

  /** Another write makes nothing of what was seen of the one before. */
  const forget = (place: Place) => void seenAt.delete(keyOf(place));

  /**
   * One look in place of a read after a write that changed the own dentry: that the path is shared out as written shows that
   * namerd has it, and that both sides are there. False where it cannot tell.
   */
  async function isSeen(before: Seen, after: Seen): Promise<boolean> {
    const weight = after.route?.weight ?? 0;
    if (weight === 0 || !before.own || !after.own || sameTree(before.own.tree, after.own.tree)) return false;
    // Whatever it fails with, a read of the dtab tells as well.
    const seen = await hasShare(after.place, weight).catch(() => false);
    if (seen) seenAt.set(keyOf(after.place), performance.now());
    return seen;
  }

  /** `read` is asked where nothing was seen just now. */
  async function isConfirmed(place: Place, read: (place: Place) => Promise<Seen | null>): Promise<boolean> {
    const at = seenAt.get(keyOf(place));
    forget(place);
    if (at !== undefined && performance.now() - at < FRESH_MS) return true;
    const seen = await read(place);
    if (!seen) return false;
    if (isRestored(seen)) return !seen.route?.preview || isBound(place);
    if (seen.settled) return isBound(place);
    const weight = readRoute(seen)?.weight;
    return weight !== undefined && hasShare(place, weight);
  }

  /** A side without addresses gives its share to the other, silently, and so does a dentry to one that is asked before it. */
  async function hasShare({ url, namespace, path, canary }: Place, weight: number): Promise<boolean> {
    const answer = await client.delegate(url, namespace, sampleOf(path));
    return answer !== 'waiting' && shareOf(answer, showPath(canary)) === weight;
  }

  async function isBound({ url, namespace, canary }: Place): Promise<boolean> {
    const answer = await client.delegate(url, namespace, showPath(canary));
    return answer !== 'waiting' && boundOf(answer).some(({ addresses }) => addresses > 0);
  }

  return { forget, isSeen, isConfirmed };
}

const keyOf = ({ address, path }: Place) => `${address} ${path}`;

/** A path that the prefix matches: only prefixes have wildcards. */
function sampleOf(prefix: string): string {
  const parsed = parsePrefix(prefix);
  return parsed.ok ? showPath(parsed.value.map((label) => (label === '*' ? 'sluice' : label))) : prefix;
}
