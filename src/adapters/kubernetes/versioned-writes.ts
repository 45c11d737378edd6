/** What a rollout with the workload `versioned` writes besides what all of them do, or why it does not. Pure. */
import { isDeepStrictEqual } from 'node:util';
import type { Fence } from '../../app/ports/cluster.ts';
import type { Target } from '../../core/plan.ts';
import { behind, DONE, type Intent, refused, underFence } from './fence.ts';
import { type Held, nameOf } from './kinds.ts';
import { type MarkChanges, readMarks, readReplicas, replace, test } from './marks.ts';
import { type Deployment, Deployments } from './objects.ts';
import { adopt } from './twin-writes.ts';
import type { VersionDrafts } from './versioned-canary.ts';
import { isFree } from './versioned-names.ts';

/** The marks of an object that a rollout has done with. */
const DONE_MARKS: MarkChanges = { phase: 'done', restore: null, abort: null };
/** Who comes after the end finds another phase: by then what was given up may serve again. */
const WHILE_ACTIVE = ['rollout', 'epoch', 'phase'] as const;

export const inTheWay = (subject: string) =>
  `${subject} exists, and no rollout of Sluice left it there: rename or delete it, the name is needed for this version`;

/** An older version comes back: up from 0, with the template that the plan wants. */
export function adoptVersion(
  object: Deployment,
  target: Target,
  by: Fence,
  { spec }: VersionDrafts['deployment'],
): Intent {
  if (!isFree(object, target)) return refused(inTheWay(nameOf(Deployments, object.metadata)));
  const replicas = Math.max(object.spec.replicas, spec.replicas);
  const same = isDeepStrictEqual(object.spec.template, spec.template) && replicas === object.spec.replicas;
  return adopt(
    Deployments,
    object,
    by,
    same,
    [replace('/spec/template', spec.template), { op: 'add', path: '/spec/replicas', value: replicas }],
    true,
  );
}

/** Lets go of an object that stays as it is. */
export function intendRest(object: Held, by: Fence): Intent {
  return ended(object, by) ?? { ops: underFence(object, by, { ...DONE_MARKS, replicas: null }, WHILE_ACTIVE) };
}

/** A note of how many pods there were: it is there for the way back. No pods any more, unless that is wanted at once. */
export function intendRetire(object: Deployment, by: Fence, keepsPods = false): Intent {
  const stopped = ended(object, by);
  if (stopped) return stopped;
  const { replicas } = object.spec;
  const before = replicas > 0 ? replicas : (readReplicas(object) ?? 1);
  const scaled = replicas > 0 && !keepsPods ? [test('/spec/replicas', replicas), replace('/spec/replicas', 0)] : [];
  return { ops: [...scaled, ...underFence(object, by, { ...DONE_MARKS, replicas: before }, WHILE_ACTIVE)] };
}

/** Another rollout's, or done already; null: it may be written. */
function ended(object: Held, by: Fence): Intent | null {
  const marks = readMarks(object);
  if (!marks || marks.rollout !== by.rollout || marks.phase === 'done') return DONE;
  return behind(marks, by);
}

/** Whether this rollout has taken the pods of what it claimed as stable: it went further than somebody knows. */
export const isRetiredBy = (object: Deployment, by: Fence): boolean =>
  isEndedBy(object, by) && readReplicas(object) !== null;

/** Whether this rollout has let go of it. */
export function isEndedBy(object: Held, { rollout }: Fence): boolean {
  const marks = readMarks(object);
  return marks?.rollout === rollout && marks.phase === 'done';
}

/** Pods again, as many as there were, before traffic comes back to them. */
export function intendReturn(object: Deployment, by: Fence): Intent {
  const marks = readMarks(object);
  if (marks && marks.epoch > by.epoch) return { kind: 'fenced', by: marks };
  const { replicas } = object.spec;
  const before = readReplicas(object) ?? replicas;
  if (replicas >= before && marks?.epoch === by.epoch && marks.phase === 'active') return DONE;
  const scaled = replicas >= before ? [] : [test('/spec/replicas', replicas), replace('/spec/replicas', before)];
  return { ops: [...scaled, ...underFence(object, by, {}, ['rollout', 'epoch'])] };
}
