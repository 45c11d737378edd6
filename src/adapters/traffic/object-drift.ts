/** What somebody else did to route objects that a rollout holds. */
import type { Fence } from '../../app/ports/cluster.ts';
import type { Target } from '../../core/plan.ts';
import type { Drift } from '../../core/rollout.ts';
import { marksLost } from '../kubernetes/fence.ts';
import { type Held, nameOf } from '../kubernetes/kinds.ts';
import { isOurs, readMarks } from '../kubernetes/marks.ts';
import type { RouteObjects, RouterDeps } from './dialect.ts';
import type { Handle, Handles } from './object-handles.ts';

export type Drifts<T extends Held, Journal> = ReturnType<typeof createDrifts<T, Journal>>;

export function createDrifts<T extends Held, Journal>(
  { cluster }: RouterDeps,
  routes: RouteObjects<T, Journal>,
  handles: Handles<T, Journal>,
) {
  type One = Handle<T, Journal>;

  /** A copy that lags behind looks like a foreign edit: only a fresh one convicts. */
  async function convicted(
    one: One,
    target: Target,
    judge: (copy: T | null) => Promise<Drift | null>,
  ): Promise<Drift | null> {
    if ((await judge(await handles.seen(one))) === null) return null;
    if (routes.repeats) await cluster.get(one.kind, routes.repeats(target));
    return judge(await handles.fresh(one));
  }

  /** What was changed in the object that this one repeats. */
  async function overtaken(object: T, target: Target, one: One): Promise<Drift | null> {
    if (!routes.repeats || !isOurs(object)) return null;
    const made = await handles.madeNow(target, one);
    if (!made || (made.ok && made.restore === readMarks(object)?.restore)) return null;
    const fields = made.ok ? one.intents.outdated(object, made) : made.refusal;
    const difference = `${one.subject} does not repeat it any more: ${fields}. Re-apply brings it up to date.`;
    return { object: nameOf(one.kind, routes.repeats(target)), difference, weight: null };
  }

  async function driftFrom(object: T | null, target: Target, one: One, by: Fence): Promise<Drift | null> {
    if (!object) return { object: one.subject, difference: 'it is gone', weight: null };
    const marks = readMarks(object);
    if (!marks) return marksLost(one.subject);
    // Another holder's, or older than our last write: not for a drift to tell.
    if (marks.rollout !== by.rollout || marks.epoch > by.epoch || marks.phase === 'done') return null;
    if (marks.epoch < by.epoch || marks.seq < by.seq) return marksLost(one.subject);
    return one.intents.driftOf(object) ?? overtaken(object, target, one);
  }

  /** Of an object that this holder has: else the write finds out. */
  async function heldOvertaken(object: T | null, target: Target, one: One, by: Fence): Promise<Drift | null> {
    const marks = object && readMarks(object);
    const isHeld = marks?.rollout === by.rollout && marks.epoch === by.epoch && marks.phase === 'active';
    return object && isHeld ? overtaken(object, target, one) : null;
  }

  return {
    /** Since the last write of this holder. */
    of: (target: Target, one: One, by: Fence) => convicted(one, target, (copy) => driftFrom(copy, target, one, by)),

    /** To what this holder's object repeats, where it repeats anything. */
    inOriginal: async (target: Target, one: One, by: Fence) =>
      routes.repeats ? convicted(one, target, (copy) => heldOvertaken(copy, target, one, by)) : null,
  };
}
