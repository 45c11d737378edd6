/** What each operation of a canary rollout writes to Deployments and Kubernetes Services, or why it does not. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { Fence } from '../../app/ports/cluster.ts';
import {
  barrier,
  beforeClaim,
  behind,
  claimOps,
  DONE,
  drifted,
  type Intent,
  marksLost,
  meet,
  refused,
  underFence,
} from './fence.ts';
import { type Held, type Kind, nameOf } from './kinds.ts';
import { isOurs, type MarkChanges, type Op, readMarks, replace, setMarks, test } from './marks.ts';
import { type Deployment, Deployments, type PodTemplate, parseTemplate, revisionOf, type Service } from './objects.ts';
import type { canaryDeployment, ServiceDraft } from './twin-canary.ts';

/**
 * `sluice.dev/restore` of a Deployment: the Kubernetes Service that carries its traffic, the HorizontalPodAutoscaler that
 * scales it, and its template and revision when it was claimed.
 */
export type Restore = {
  readonly service: string;
  readonly autoscaler?: string | undefined;
  readonly template: PodTemplate;
  readonly revision?: string | undefined;
};

const restoreSchema = z.object({
  service: z.string(),
  autoscaler: z.string().optional(),
  template: z.unknown().transform(parseTemplate),
  revision: z.string().optional(),
});
/** All annotations of an object together may take 256 KiB. */
export const RESTORE_LIMIT = 100_000;

export function readRestore(object: Held): Restore | null {
  try {
    return restoreSchema.parse(JSON.parse(readMarks(object)?.restore ?? ''));
  } catch {
    return null;
  }
}

/** `other`: marks that the claim writes besides. */
export function intendClaim(
  object: Deployment,
  by: Fence,
  target: { service: string },
  restore: Restore,
  other: MarkChanges = {},
): Intent {
  const met = beforeClaim(object, nameOf(Deployments, object.metadata), by, target.service);
  if (met) return met;
  const marks = readMarks(object);
  // Taken over from an older epoch of the same rollout: the template may be the new one already.
  if (marks?.rollout === by.rollout && marks.restore !== null)
    return { ops: claimOps(object, by, marks.restore, other) };
  const { template } = object.spec;
  return { ops: claimOps(object, by, JSON.stringify({ ...restore, template, revision: revisionOf(object) }), other) };
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

/** `found`, `noted`: the journal of an object that lost its own. */
export function intendReapply(
  object: Deployment,
  by: Fence,
  found: Pick<Restore, 'service' | 'autoscaler'> | null,
  noted: PodTemplate | null,
): Intent {
  const marks = readMarks(object);
  const stopped = barrier(marks, by);
  if (stopped) return stopped;
  const { template } = object.spec;
  const own = readRestore(object);
  if (!own && !found) throw new Error(`${nameOf(Deployments, object.metadata)} has just lost its journal`);
  const before = own?.template ?? noted ?? template;
  const same = isDeepStrictEqual(template, before);
  if (own && same && marks?.epoch === by.epoch) return DONE;
  const content = same ? [] : [test('/spec/template', template), replace('/spec/template', before)];
  const journal = { ...found, template: before, revision: revisionOf(object) };
  return { ops: [...content, ...underFence(object, by, own ? {} : { restore: JSON.stringify(journal) })] };
}

/**
 * The template before the rollout, as the object itself carries it, and the raised epoch: also where the template is still
 * the old one, so that a promotion on its way does not land afterwards.
 */
export function intendDemotion(object: Deployment, by: Fence, noted: PodTemplate | null = null): Intent {
  const marks = readMarks(object);
  const stopped = barrier(marks, by);
  if (stopped) return stopped;
  if (isReleased(object, by)) return DONE;
  const { template } = object.spec;
  const before = readRestore(object)?.template ?? noted ?? template;
  const restored = isDeepStrictEqual(template, before);
  if (restored && marks?.rollout === by.rollout && marks.epoch === by.epoch) return DONE;
  const content = restored ? [] : [test('/spec/template', template), replace('/spec/template', before)];
  return { ops: [...content, ...underFence(object, by, {}, ['rollout', 'epoch'])] };
}

const isReleased = (object: Held, { rollout }: Fence) => {
  const marks = readMarks(object);
  return marks?.rollout === rollout && marks.phase === 'done';
};

/** Whether no other template was ever taken up since the claim: all that runs there is what ran before. */
export function isUntouched(object: Deployment, by: Fence): boolean {
  if (isReleased(object, by)) return true;
  const { metadata, spec, status } = object;
  const restore = readRestore(object);
  const isTakenUp = (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0);
  return isTakenUp && restore?.revision === revisionOf(object) && isDeepStrictEqual(spec.template, restore?.template);
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
  // Not by the marks: a repeat may find stable grown.
  if (object.spec.replicas >= replicas) return DONE;
  return {
    ops: [test('/spec/replicas', object.spec.replicas), replace('/spec/replicas', replicas), ...underFence(object, by)],
  };
}

export function intendRelease(object: Held, by: Fence): Intent {
  const marks = readMarks(object);
  if (!marks || marks.rollout !== by.rollout || marks.phase === 'done') return DONE;
  const stopped = behind(marks, by);
  if (stopped) return stopped;
  return { ops: underFence(object, by, { phase: 'done', restore: null, abort: null }, ['rollout', 'epoch']) };
}

/** Takes over an object that a Sluice rollout made before: what is left of an older one, or our own with a lost answer. */
export function adopt(
  kind: Kind,
  object: Held,
  by: Fence,
  same: boolean,
  content: readonly Op[],
  isFree = isOurs(object),
): Intent {
  const subject = nameOf(kind, object.metadata);
  const marks = readMarks(object);
  if (!isFree || !marks) return refused(notMade(subject));
  const isNewer = marks.rollout !== by.rollout || marks.seq > by.seq;
  if (marks.epoch > by.epoch || (marks.epoch === by.epoch && isNewer)) return { kind: 'fenced', by: marks };
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
