/** Objects that Sluice makes for a rollout: made once, found again by whoever repeats it, and taken away by their own rollout only. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Fence, Written } from '../../app/ports/cluster.ts';
import type { Target } from '../../core/plan.ts';
import type { Draft } from './api.ts';
import type { Cluster } from './cluster.ts';
import { all, barrier, DONE, type Intent, refused, write } from './fence.ts';
import { type Held, type Kind, nameOf, type Ref } from './kinds.ts';
import { isOurs, readMarks } from './marks.ts';
import { type Deployment, Deployments } from './objects.ts';
import { deploymentOf } from './serving.ts';

export type Made = { readonly kind: Kind; readonly ref: Ref };

/** Told from `DONE`, which is also the answer when all was there. */
const CREATED: Written = { kind: 'done' };

/** Looks after a creation: what lost its answer often loses the next one, too. */
const LOOKS = 3;
const BETWEEN_LOOKS_MS = 200;

export function createMaker(cluster: Cluster) {
  async function ensure<T extends Held>(
    kind: Kind<T>,
    ref: Ref,
    draft: Draft,
    intend: (object: T) => Intent,
  ): Promise<Written> {
    if (!(await cluster.view(kind, ref.namespace).get(ref.name))) {
      const outcome = await cluster.create(kind, ref, draft);
      if (outcome.ok) return CREATED;
      if (outcome.error.kind !== 'conflict') return refused(outcome.error.message);
    }
    return write(cluster, kind, ref, (object) => {
      // Its name is free again in a moment; the next try makes it.
      if (object.metadata.deletionTimestamp !== undefined)
        throw new Error(`${nameOf(kind, ref)} is still being deleted`);
      return intend(object);
    });
  }

  /**
   * All of them side by side, each as `ensure` answers. Nothing fences a creation: whoever finds afterwards that it came too
   * late, after the abort or the end, takes it away again, also where no answer told what came of it. A rollout that only
   * went on may be using it by now. Where the looks or a deletion get no answer either, objects without traffic can stay:
   * the next rollout of the service takes them over.
   */
  async function makeAll(
    target: Target,
    fence: Fence,
    makings: readonly { readonly made: Made; readonly result: Promise<Written> }[],
  ): Promise<Written> {
    const results = await Promise.allSettled(makings.map(({ result }) => result));
    const mayBeNew = makings.filter((_, n) => {
      const result = results[n];
      return result?.status === 'rejected' || result?.value === CREATED;
    });
    const made = () => all(makings.map(({ result }) => result));
    if (mayBeNew.length === 0) return made();
    // Why a creation failed says more than why the look after it did.
    const stable = await look(deploymentOf(target)).catch(async (error: unknown) => {
      await made();
      throw error;
    });
    const stopped = stoppedBy(stable, fence);
    if (!stopped) return made();
    // The watched copies of who is late are late, too.
    await all(mayBeNew.map((one) => takeAway(one.made, fence, null)));
    return stopped;
  }

  async function look(ref: Ref, looks = LOOKS): Promise<Deployment | null> {
    try {
      return await cluster.get(Deployments, ref);
    } catch (error) {
      if (looks === 1) throw error;
      await pause(BETWEEN_LOOKS_MS);
      return look(ref, looks - 1);
    }
  }

  async function takeAway(
    { kind, ref }: Made,
    fence: Fence,
    known: Held | null = cluster.peek(kind, ref),
  ): Promise<Written> {
    let object = known ?? (await cluster.get(kind, ref));
    for (let tries = 0; object && tries < 5; tries++) {
      const marks = readMarks(object);
      // Somebody else's, or on its way out.
      if (!isOurs(object) || marks?.rollout !== fence.rollout || object.metadata.deletionTimestamp) return DONE;
      const stopped = barrier(marks, fence);
      if (stopped) return stopped;
      const outcome = await cluster.remove(kind, object);
      if (outcome.ok || outcome.error.kind === 'not found') return DONE;
      if (outcome.error.kind !== 'conflict') return refused(outcome.error.message);
      object = await cluster.get(kind, ref);
    }
    if (!object) return DONE;
    throw new Error(`${nameOf(kind, ref)} changed during each attempt to delete it`);
  }

  return { ensure, makeAll, takeAway };
}

/** Why nothing is created beside this Deployment any more; null: go on. */
export function stoppedBy(object: Deployment | null, fence: Fence): Written | null {
  const marks = object && readMarks(object);
  const stopped = barrier(marks, fence);
  return stopped ?? (marks?.rollout === fence.rollout && marks.phase === 'done' ? { kind: 'fenced', by: marks } : null);
}
