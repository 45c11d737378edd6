/**
 * What a canary rollout writes to the HorizontalPodAutoscaler of its stable Deployment. Traffic leaves stable while its share
 * moves to the canary; the autoscaler would take pods away with it, and an abort would find too few. So `minReplicas` is kept
 * at stable's size until stable has all the traffic again. Pure.
 */
import { z } from 'zod';
import type { Fence } from '../../app/ports/cluster.ts';
import { beforeClaim, claimOps, DONE, type Intent, meet, underFence } from './fence.ts';
import { type Held, nameOf } from './kinds.ts';
import { type Op, readMarks, replace, test } from './marks.ts';
import { type Autoscaler, Autoscalers } from './objects.ts';
import { intendRelease } from './twin-writes.ts';

/** `sluice.dev/restore` of an autoscaler. `minReplicas`: as it was, null where it had none; `raised`: what Sluice made of it. */
const noteSchema = z.object({ minReplicas: z.number().nullable(), raised: z.number() });
type Note = z.infer<typeof noteSchema>;

function readNote(object: Held): Note | null {
  try {
    return noteSchema.parse(JSON.parse(readMarks(object)?.restore ?? ''));
  } catch {
    return null;
  }
}

/** Kubernetes' default is 1. */
export const leastOf = ({ spec }: Autoscaler) => spec.minReplicas ?? 1;

/** What `minReplicas` becomes for a Deployment of this size: never lower than it is, nor more than `maxReplicas`. */
export const raisedFor = (object: Autoscaler, replicas: number) =>
  Math.max(leastOf(object), Math.min(replicas, object.spec.maxReplicas));

function setLeast(object: Autoscaler, wanted: number | null): Op[] {
  const path = '/spec/minReplicas';
  const found = object.spec.minReplicas ?? null;
  if (wanted === null) return found === null ? [] : [test(path, found), { op: 'remove', path }];
  if (wanted === leastOf(object)) return [];
  // `test` of what is absent compares with null.
  return [test(path, found), found === null ? { op: 'add', path, value: wanted } : replace(path, wanted)];
}

/** `replicas`: of the stable Deployment now. */
export function intendHold(object: Autoscaler, by: Fence, service: string, replicas: number): Intent {
  const met = beforeClaim(object, nameOf(Autoscalers, object.metadata), by, service);
  if (met) return met;
  const marks = readMarks(object);
  // Taken over from an older epoch of the same rollout: it is raised already.
  if (marks?.rollout === by.rollout && marks.restore !== null) return { ops: claimOps(object, by, marks.restore) };
  const raised = raisedFor(object, replicas);
  const note: Note = { minReplicas: object.spec.minReplicas ?? null, raised };
  return { ops: [...setLeast(object, raised), ...claimOps(object, by, JSON.stringify(note))] };
}

/** Stable has been scaled up meanwhile: the way back needs as many. What somebody else made of it stays. */
export function intendFollow(object: Autoscaler, by: Fence, replicas: number): Intent {
  const met = meet(object, by);
  if (typeof met === 'object') return met;
  const note = readNote(object);
  if (met === 'unmarked' || !note || leastOf(object) !== note.raised) return DONE;
  const raised = raisedFor(object, replicas);
  if (raised === note.raised) return DONE;
  return {
    ops: [...setLeast(object, raised), ...underFence(object, by, { restore: JSON.stringify({ ...note, raised }) })],
  };
}

/** `minReplicas` as it was, unless somebody else has changed it meanwhile: then theirs is what it shall be. */
export function intendGiveBack(object: Autoscaler, by: Fence): Intent {
  const released = intendRelease(object, by);
  const note = readNote(object);
  if (!('ops' in released) || !note || leastOf(object) !== note.raised) return released;
  return { ops: [...setLeast(object, note.minReplicas), ...released.ops] };
}
