/** What each operation of a rollout in place writes to the Deployment, or why it does not. Pure. */
import { isDeepStrictEqual } from 'node:util';
import type { Fence } from '../../app/ports.ts';
import {
  barrier,
  behind,
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
import {
  DEFAULT_OWN,
  giveBack,
  type InPlaceJournal,
  isHeld,
  level,
  type Own,
  ownOf,
  pause,
  readJournal,
  rollTo,
} from './in-place-fields.ts';
import { readMarks } from './marks.ts';
import { type Deployment, Deployments, nameOf, type PodTemplate } from './objects.ts';

/** All annotations of an object together may take 256 KiB, and two templates are noted. */
export const IN_PLACE_LIMIT = 50_000;

const nameIn = (object: Deployment) => nameOf(Deployments, object.metadata);
const revisionOf = ({ metadata }: Deployment) => metadata.annotations?.['deployment.kubernetes.io/revision'];

function journalOf(object: Deployment, service: string): InPlaceJournal {
  const revision = revisionOf(object);
  return { service, template: object.spec.template, own: ownOf(object), ...(revision !== undefined && { revision }) };
}

export function claimInPlace(object: Deployment, by: Fence, owner: string, service: string): Intent {
  const marks = readMarks(object);
  const ours = marks?.rollout === by.rollout;
  if (marks && !ours && marks.phase === 'active') return refused(heldMessage(nameIn(object), marks, owner));
  const stopped = behind(marks, by);
  if (stopped) return stopped;
  if (marks && ours && marks.epoch === by.epoch) return DONE;
  // Taken over from an older epoch of the same rollout: it may have rolled already.
  const restore = ours && marks?.restore ? marks.restore : JSON.stringify(journalOf(object, service));
  return { ops: claimOps(object, by, restore) };
}

/** Notes what is to be rolled out; nothing rolls yet. */
export function noteNext(object: Deployment, by: Fence, wanted: (before: PodTemplate) => PodTemplate): Intent {
  const met = meet(object, by);
  if (typeof met === 'object') return met;
  const journal = readJournal(object);
  if (met === 'unmarked' || !journal) return drifted(marksLost(nameIn(object)));
  const next = wanted(journal.template);
  if (isDeepStrictEqual(journal.next, next)) return DONE;
  return { ops: underFence(object, by, { restore: JSON.stringify({ ...journal, next }) }) };
}

/** `pods` new ones, never fewer than there are; paused as soon as they are made. */
export function growTo(object: Deployment, by: Fence, pods: number): Intent {
  const met = meet(object, by);
  if (typeof met === 'object') return met;
  const journal = readJournal(object);
  if (met === 'unmarked' || !journal) return drifted(marksLost(nameIn(object)));
  // Not by the marks: making and pausing are two writes of one stage.
  if (level(object, journal) < pods) {
    const strange = strangeTemplate(object, journal);
    if (strange) return drifted(strange);
    return { ops: [...rollTo(object, journal, pods), ...underFence(object, by)] };
  }
  if (!isHeld(object) || object.spec.paused === true || !isMade(object)) return DONE;
  return { ops: [...pause(object), ...underFence(object, by)] };
}

/** Its controller has made the new pods that it was told to make. */
export function isMade({ metadata, spec, status = {} }: Deployment): boolean {
  const { observedGeneration = 0, updatedReplicas = 0 } = status;
  const surge = spec.strategy?.rollingUpdate;
  const wanted = typeof surge === 'object' && surge !== null && 'maxSurge' in surge ? Number(surge.maxSurge) : 0;
  return observedGeneration >= (metadata.generation ?? 0) && updatedReplicas >= wanted;
}

/** Somebody else's template; null: it is the one before or the next. */
export function strangeTemplate(object: Deployment, journal: InPlaceJournal) {
  const { template } = object.spec;
  if ([journal.template, journal.next].some((one) => isDeepStrictEqual(template, one))) return null;
  const images = template.spec.containers.map(({ image = '' }) => image).join(', ');
  return { object: nameIn(object), difference: `its pod template was changed (${images})`, weight: null };
}

/** The new template, rolling as its owners have it. */
export function settle(
  object: Deployment,
  by: Fence,
  wanted: (before: PodTemplate) => PodTemplate,
  overwrite: boolean,
): Intent {
  const met = meet(object, by);
  if (typeof met === 'object') return met;
  if (met === 'repeat') return DONE;
  const journal = readJournal(object);
  if (!overwrite && (met === 'unmarked' || !journal)) return drifted(marksLost(nameIn(object)));
  const next = wanted(journal?.template ?? object.spec.template);
  const strange = journal && !overwrite ? strangeTemplate(object, { ...journal, next }) : null;
  if (strange) return drifted(strange);
  return { ops: [...giveBack(object, next, ownFields(object, journal)), ...underFence(object, by)] };
}

function ownFields(object: Deployment, journal: InPlaceJournal | null): Own {
  if (journal) return journal.own;
  return isHeld(object) ? DEFAULT_OWN : ownOf(object);
}

/** All as it was, and rolling back at once: template, speed and `paused` in one patch. */
export function undo(object: Deployment, by: Fence, noted: PodTemplate | null): Intent {
  const marks = readMarks(object);
  const stopped = barrier(marks, by);
  if (stopped) return stopped;
  if (marks?.rollout === by.rollout && marks.phase === 'done') return DONE;
  const journal = readJournal(object);
  const ops = giveBack(object, journal?.template ?? noted ?? object.spec.template, ownFields(object, journal));
  if (ops.length === 0 && marks?.rollout === by.rollout && marks.epoch === by.epoch) return DONE;
  return { ops: [...ops, ...underFence(object, by, {}, ['rollout', 'epoch'])] };
}

/**
 * Marks and journal again, and the template of before, paused: nothing rolls until the step's own write. `service`, `noted`:
 * for an object that lost its journal.
 */
export function reapply(object: Deployment, by: Fence, service: string | null, noted: PodTemplate | null): Intent {
  const marks = readMarks(object);
  const stopped = barrier(marks, by);
  if (stopped) return stopped;
  const own = readJournal(object);
  if (!own && service === null) throw new Error(`${nameIn(object)} has just lost its journal`);
  const journal: InPlaceJournal = own ?? {
    ...journalOf(object, service ?? ''),
    template: noted ?? object.spec.template,
    own: ownFields(object, null),
  };
  const strange = strangeTemplate(object, journal) !== null;
  if (own && !strange && marks?.epoch === by.epoch) return DONE;
  const back = strange ? giveBack(object, journal.template, { ...journal.own, paused: true }) : [];
  return { ops: [...back, ...underFence(object, by, own ? {} : { restore: JSON.stringify(journal) })] };
}

/** Only the terminal marks stay; what holds it would hold its owners' next rollout too. */
export function releaseInPlace(object: Deployment, by: Fence): Intent {
  const marks = readMarks(object);
  if (!marks || marks.rollout !== by.rollout || marks.phase === 'done') return DONE;
  const stopped = behind(marks, by);
  if (stopped) return stopped;
  const journal = readJournal(object);
  const back = isHeld(object)
    ? giveBack(object, journal?.template ?? object.spec.template, ownFields(object, journal))
    : [];
  return {
    ops: [...back, ...underFence(object, by, { phase: 'done', restore: null, abort: null }, ['rollout', 'epoch'])],
  };
}
