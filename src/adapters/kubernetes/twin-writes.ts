/** What each operation of a canary rollout writes to Deployments and Kubernetes Services, or why it does not. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { Fence } from '../../app/ports.ts';
import {
  barrier,
  claimOps,
  DONE,
  drifted,
  heldMessage,
  type Intent,
  marksLost,
  meet,
  refused,
  underFence,
} from './fence.ts';
import { isOurs, type Op, readMarks, replace, setMarks, test } from './marks.ts';
import {
  type Deployment,
  Deployments,
  type Held,
  type Kind,
  nameOf,
  type PodTemplate,
  parseTemplate,
  type Service,
} from './objects.ts';
import type { canaryDeployment, ServiceDraft } from './twin-canary.ts';

/** `sluice.dev/restore` of a Deployment: the Kubernetes Service that carries its traffic, and its template before. */
export type Restore = { readonly service: string; readonly template: PodTemplate };

const restoreSchema = z.object({ service: z.string(), template: z.unknown().transform(parseTemplate) });
/** All annotations of an object together may take 256 KiB. */
export const RESTORE_LIMIT = 100_000;

export function readRestore(object: Held): Restore | null {
  try {
    return restoreSchema.parse(JSON.parse(readMarks(object)?.restore ?? ''));
  } catch {
    return null;
  }
}

export function intendClaim(object: Deployment, by: Fence, target: { service: string }, restore: Restore): Intent {
  const subject = nameOf(Deployments, object.metadata);
  const marks = readMarks(object);
  const ours = marks?.rollout === by.rollout;
  if (marks && !ours && marks.phase === 'active') return refused(heldMessage(subject, marks, target.service));
  const stopped = barrier(marks, by);
  if (stopped) return stopped;
  if (marks && ours && marks.epoch === by.epoch) return marks.phase === 'active' ? DONE : { kind: 'fenced', by: marks };
  // Taken over from an older epoch of the same rollout: the template may be the new one already.
  if (marks && ours && marks.restore !== null) return { ops: claimOps(object, by, marks.restore) };
  return { ops: claimOps(object, by, JSON.stringify({ ...restore, template: object.spec.template })) };
}

/** `wanted` follows from the template before, so that a repeat after the change comes to the same. */
export function intendTemplate(
  object: Deployment,
  by: Fence,
  wanted: (before: PodTemplate) => PodTemplate,
  overwrite: boolean,
): Intent {
  const subject = nameOf(Deployments, object.metadata);
  const met = meet(object, by);
  if (typeof met === 'object') return met;
  if (met === 'repeat') return DONE;
  const restore = readRestore(object);
  if (!overwrite && (met === 'unmarked' || !restore)) return drifted(marksLost(subject));
  const { template } = object.spec;
  const before = restore?.template ?? template;
  const next = wanted(before);
  const known = isDeepStrictEqual(template, before) || isDeepStrictEqual(template, next);
  if (!known && !overwrite) {
    return drifted({ object: subject, difference: describeTemplate(before, template), weight: null });
  }
  const content = isDeepStrictEqual(template, next)
    ? []
    : [test('/spec/template', template), replace('/spec/template', next)];
  return { ops: [...content, ...underFence(object, by)] };
}

/** The template before the rollout, and the raised epoch, whatever the template is now. */
export function intendDemotion(object: Deployment, by: Fence): Intent {
  const marks = readMarks(object);
  const stopped = barrier(marks, by);
  if (stopped) return stopped;
  const { template } = object.spec;
  const before = readRestore(object)?.template ?? template;
  const restored = isDeepStrictEqual(template, before);
  if (restored && marks?.rollout === by.rollout && marks.epoch === by.epoch) return DONE;
  const content = restored ? [] : [test('/spec/template', template), replace('/spec/template', before)];
  return { ops: [...content, ...underFence(object, by, {}, ['rollout', 'epoch'])] };
}

/** An object that another rollout holds by now is left alone: nothing of this one can be written there. */
export function intendRaise(object: Held, by: Fence): Intent {
  const marks = readMarks(object);
  if (marks && marks.rollout !== by.rollout && (marks.phase === 'active' || marks.epoch >= by.epoch)) return DONE;
  const stopped = barrier(marks, by);
  if (stopped) return stopped;
  if (marks?.rollout === by.rollout && marks.epoch === by.epoch) return DONE;
  return { ops: underFence(object, by, {}, ['rollout', 'epoch']) };
}

export function intendScale(object: Deployment, by: Fence, replicas: number): Intent {
  const met = meet(object, by);
  if (typeof met === 'object') return met;
  if (met === 'unmarked') return drifted(marksLost(nameOf(Deployments, object.metadata)));
  if (object.spec.replicas >= replicas) return DONE;
  const seq = Math.max(by.seq, readMarks(object)?.seq ?? 0);
  return {
    ops: [
      test('/spec/replicas', object.spec.replicas),
      replace('/spec/replicas', replicas),
      ...underFence(object, by, { seq }, ['rollout', 'epoch']),
    ],
  };
}

export function intendRelease(object: Held, by: Fence): Intent {
  const marks = readMarks(object);
  if (!marks || marks.rollout !== by.rollout || marks.phase === 'done') return DONE;
  const stopped = barrier(marks, by);
  if (stopped) return stopped;
  return { ops: underFence(object, by, { phase: 'done', restore: null, abort: null }, ['rollout', 'epoch']) };
}

/** Takes over an object that a Sluice rollout made before: what is left of an older one, or our own with a lost answer. */
function adopt(kind: Kind, object: Held, by: Fence, same: boolean, content: readonly Op[]): Intent {
  const subject = nameOf(kind, object.metadata);
  const marks = readMarks(object);
  if (!isOurs(object) || !marks) return refused(notMade(subject));
  if (marks.epoch > by.epoch || (marks.epoch === by.epoch && marks.rollout !== by.rollout))
    return { kind: 'fenced', by: marks };
  if (same && marks.rollout === by.rollout && marks.epoch === by.epoch) return DONE;
  const { uid, resourceVersion } = object.metadata;
  const asRead = [test('/metadata/uid', uid), test('/metadata/resourceVersion', resourceVersion)];
  return { ops: [...asRead, ...content, ...setMarks(object, { ...by, phase: 'active' })] };
}

export const notMade = (subject: string) =>
  `${subject} exists and was not made by Sluice: rename or delete it, the name is needed for the canary`;

export function adoptDeployment(
  object: Deployment,
  by: Fence,
  { labels, spec }: ReturnType<typeof canaryDeployment>,
): Intent {
  const subject = nameOf(Deployments, object.metadata);
  if (isOurs(object) && !isDeepStrictEqual(object.spec.selector, spec.selector)) {
    return refused(
      `${subject} is left over with another selector: kubectl -n ${object.metadata.namespace} delete deployment ${object.metadata.name}`,
    );
  }
  const replicas = Math.max(object.spec.replicas, spec.replicas);
  const same = isDeepStrictEqual(object.spec.template, spec.template) && replicas === object.spec.replicas;
  return adopt(Deployments, object, by, same, [
    replace('/metadata/labels', labels),
    replace('/spec/template', spec.template),
    { op: 'add', path: '/spec/replicas', value: replicas },
  ]);
}

export function adoptService(kind: Kind, object: Service, by: Fence, { labels, spec }: ServiceDraft): Intent {
  const ports = object.spec.ports?.map(({ nodePort: _, ...port }) => port);
  const same = isDeepStrictEqual(object.spec.selector, spec.selector) && isDeepStrictEqual(ports, spec.ports);
  return adopt(kind, object, by, same, [
    replace('/metadata/labels', labels),
    replace('/spec/selector', spec.selector),
    replace('/spec/ports', spec.ports),
  ]);
}

function describeTemplate(written: PodTemplate, found: PodTemplate): string {
  const image = (template: PodTemplate) => template.spec.containers.map(({ image: one = '' }) => one).join(', ');
  if (image(written) !== image(found)) return `its image was changed to ${image(found)}`;
  return 'its pod template was changed';
}
