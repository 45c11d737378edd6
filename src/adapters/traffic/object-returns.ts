/** The way back: route objects get the fields of before, by an end, by an abort, and by one without Redis. */
import type { Fence, Written } from '../../app/ports/cluster.ts';
import type { TrafficRouter } from '../../app/ports/router.ts';
import type { Target } from '../../core/plan.ts';
import { all, DONE, type Intent, refused, underFence } from '../kubernetes/fence.ts';
import type { Held } from '../kubernetes/kinds.ts';
import { readMarks } from '../kubernetes/marks.ts';
import type { RouteObjects } from './dialect.ts';
import type { Handle, Handles } from './object-handles.ts';
import { isMarkedSettled } from './object-intents.ts';

const RESETS = 5;

export function createReturns<T extends Held, Journal>(routes: RouteObjects<T, Journal>, handles: Handles<T, Journal>) {
  type One = Handle<T, Journal>;

  /** An abort before the claim: whoever would still make the object has to find that it comes too late. */
  async function claimMissing(target: Target, one: One, fence: Fence): Promise<void> {
    const made = await handles.madeNow(target, one);
    if (made) await handles.create(one, made, fence);
  }

  /** One patch, unless an older write that landed just before it left something routed. */
  async function giveBack(one: One, intend: (object: T) => Intent, gone: Written): Promise<Written> {
    for (let tries = 0; tries < RESETS; tries++) {
      const { object, ...written } = await one.send(intend, gone);
      if (written.kind !== 'done' || !object || one.dialect.isRestored(object)) return written;
      if (one.dialect.isEmpty(one.intents.journalOf(object))) return refused(one.intents.stillRouted);
    }
    throw new Error(`${one.subject} is still routed after ${RESETS} resets`);
  }

  return {
    async reset(target, fence, journal, abort) {
      const reset = async (one: One) => {
        const noted = one.dialect.parse(journal[one.subject] ?? null);
        const gone = abort ? DONE : refused(`${one.subject} is gone`);
        let isThere = false;
        const back = (object: T) => {
          isThere = true;
          return one.intents.reset(object, fence, { abort, noted });
        };
        const written = await giveBack(one, back, gone);
        if (isThere || !abort || !routes.make) return written;
        // Somebody may have made it meanwhile.
        await claimMissing(target, one, fence);
        return giveBack(one, back, gone);
      };
      const written = await all((await handles.of(target)).map(reset));
      // An abort is never given up: as a fault it is tried again, and told to people when it lasts.
      if (abort && written.kind === 'refused') throw new Error(written.message);
      return written;
    },

    async release(target, fence) {
      const release = async (one: One): Promise<Written> => {
        const { object: _, ...written } = await one.send((object) => one.intents.release(object, fence), DONE);
        return written;
      };
      return all((await handles.of(target)).map(release));
    },

    async blindAbort(target, rollout, by, keepTraffic = false) {
      const objects = await handles.of(target);
      let metSettled = false;
      const abort = async (one: One, partly: boolean): Promise<Written> => {
        const intend = (object: T): Intent => {
          const marks = readMarks(object);
          if (marks?.rollout !== rollout || marks.phase === 'done')
            return refused(`${one.subject} is not held by rollout ${rollout}`);
          if (isMarkedSettled(object) && !partly) {
            metSettled = true;
            return refused(`${one.subject}: the new version has taken over already`);
          }
          if (marks.abort !== null && (keepTraffic || one.dialect.isRestored(object))) return DONE;
          const fence: Fence = { rollout, epoch: marks.epoch + 1, seq: marks.seq };
          if (keepTraffic) return { ops: underFence(object, fence, { abort: by }, ['rollout', 'epoch']) };
          return one.intents.reset(object, fence, { abort: true, noted: one.dialect.parse(null), blind: by });
        };
        if (!keepTraffic) return giveBack(one, intend, DONE);
        const { object: _, ...written } = await one.send(intend, DONE);
        return written;
      };
      const written = await all(objects.map((one) => abort(one, false)));
      if (!metSettled || objects.length < 2) return written;
      // One that waits for its turn still: the promotion is not over.
      const found = await Promise.all(objects.map(handles.fresh));
      const isOver = found.every((object) => object !== null && isMarkedSettled(object));
      return isOver ? written : all(objects.map((one) => abort(one, true)));
    },
  } satisfies Partial<TrafficRouter>;
}
