/** One write of a dtab: read, decide, PUT under the version that was read, and read until it is shown. */
import type { Marks, Written } from '../../../app/ports/cluster.ts';
import type { Log } from '../../../app/ports/log.ts';
import { DONE, refused } from '../../kubernetes/fence.ts';
import type { NamerdClient, Put } from './client.ts';
import { type Place, type Seen, see } from './marks.ts';
import type { Intent } from './writes.ts';

const TRIES = 8;
/** A write whose outcome is unknown is looked at and sent once more; then it is a fault. */
const FAULTS = 2;
/** The store in Kubernetes shows the dtab of before for a moment after a write. */
const SHOWN_MS = 3_000;
const PAUSE_MS = 25;
const LONGEST_PAUSE_MS = 500;

/** `seen`: the dtab as the write left it, or as it was found; absent when it is gone. */
export type Outcome = Written & { readonly seen?: Seen };

export function createWriter(client: NamerdClient, log: Log) {
  const read = async (place: Place): Promise<Seen | null> => {
    const dtab = await client.read(place.address);
    return dtab && see(place, dtab.entries);
  };

  /**
   * Writes until namerd takes it or the dtab as read forbids it, and until a read shows it; `isSeen` may spare that read, as
   * another look that shows it.
   */
  async function write(
    place: Place,
    intend: (seen: Seen) => Intent,
    gone: Written = refused(`${place.subject} is gone`),
    isSeen: (before: Seen, after: Seen) => Promise<boolean> = async () => false,
  ): Promise<Outcome> {
    let faults = 0;
    for (let tries = 0; tries < TRIES; tries++) {
      const dtab = await client.read(place.address);
      if (!dtab) return gone;
      const seen = see(place, dtab.entries);
      const intent = intend(seen);
      if (!('entries' in intent)) return { ...intent, seen };
      const put = await client
        .write(place.address, intent.entries, dtab.version, isOnlyMarks(seen))
        .catch((error: unknown): Put => {
          if (++faults >= FAULTS) throw error;
          log.warn({ dtab: place.subject, err: error }, 'a write whose outcome is unknown: looking');
          return { kind: 'changed' };
        });
      if (put.kind === 'refused') return refused(put.message);
      if (put.kind === 'taken') {
        const written = see(place, intent.entries);
        return (await isSeen(seen, written)) ? { ...DONE, seen: written } : shown(place, written.marks, seen.marks);
      }
      await pause(tries);
    }
    throw new Error(`${place.subject} changed during each of ${TRIES} attempts to write it`);
  }

  /** Reads until the marker is the written one, or a later one. */
  async function shown(place: Place, wanted: Marks | null, before: Marks | null): Promise<Outcome> {
    const end = performance.now() + SHOWN_MS;
    for (let tries = 0; ; tries++) {
      const seen = await read(place);
      if (!seen || isShown(seen.marks, wanted, before)) return { ...DONE, ...(seen && { seen }) };
      if (performance.now() > end)
        throw new Error(`${place.subject} does not show the write after ${SHOWN_MS / 1000} s`);
      await pause(tries);
    }
  }

  return { read, write };
}

/** Nothing is left but what Sluice itself has put there. */
const isOnlyMarks = ({ entries }: Seen) => entries.every(({ prefix }) => prefix.startsWith('/sluice/'));

function isShown(found: Marks | null, wanted: Marks | null, before: Marks | null): boolean {
  if (!wanted) return found?.rollout !== before?.rollout;
  if (!found) return false;
  if (found.epoch !== wanted.epoch) return found.epoch > wanted.epoch;
  return found.rollout !== wanted.rollout || found.seq >= wanted.seq;
}

/** Grows with each try, and spreads those who write the same dtab. */
function pause(tries: number): Promise<void> {
  const longest = Math.min(LONGEST_PAUSE_MS, PAUSE_MS * 2 ** tries);
  return new Promise((resolve) => setTimeout(resolve, longest * (0.5 + Math.random() / 2)));
}
