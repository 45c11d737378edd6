/** What each operation of a rollout in place writes to the Deployment, or why it does not. Pure. */
import { isDeepStrictEqual } from 'node:util';
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
  underFence,
} from './fence.ts';
import {
  DEFAULT_OWN,
  giveBack,
  type InPlaceJournal,
  isHeld,
  isTakenUp,
  level,
  type Own,
  ownOf,
  pause,
  readJournal,
  rollTo,
} from './in-place-fields.ts';
import { nameOf } from './kinds.ts';
import { readMarks } from './marks.ts';
import { type Deployment, Deployments, type PodTemplate } from './objects.ts';
import { rollingBack } from './rolling-back.ts';

/** All annotations of an object together may take 256 KiB, and two templates are noted. */
export const IN_PLACE_LIMIT = 50_000;

const nameIn = (object: Deployment) => nameOf(Deployments, object.metadata);

function journalOf(object: Deployment, service: string): InPlaceJournal {
  return { service, template: object.spec.template, own: ownOf(object) };
}

export function claimInPlace(object: Deployment, by: Fence, owner: string, service: string): Intent {
  const met = beforeClaim(object, nameIn(object), by, owner);
  if (met) return met;
  const marks = readMarks(object);
  // Taken over from an older epoch of the same rollout: it may have rolled already.
  const own = marks?.rollout === by.rollout ? marks.restore : null;
  const restore = own ?? JSON.stringify(journalOf(object, service));
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
    if (!journal.returning) return { ops: [...rollTo(object, journal, pods), ...underFence(object, by)] };
    // Rolled out now, the new pods that run already would all count as the first batch.
    if (Number.isFinite(pods) && rollingBack(object) !== null) return DONE;
    const { returning: _, ...arrived } = journal;
    const restore = JSON.stringify(arrived);
    return { ops: [...rollTo(object, journal, pods), ...underFence(object, by, { restore })] };
  }
  if (!isHeld(object)) return DONE;
  const told = level(object, journal);
  if (object.spec.paused !== true) {
    return isMade(object, told) ? { ops: [...pause(object), ...underFence(object, by)] } : DONE;
  }
  // Scaled while it was paused, as autoscalers do: old and new pods in proportion, rounded in disfavour of the new ones.
  if (!isTakenUp(object) || isMade(object, pods)) return DONE;
  return { ops: [...rollTo(object, journal, told), ...underFence(object, by)] };
}

/** Its controller has made so many new pods of the template that it has now. */
export const isMade = (object: Deployment, pods: number): boolean =>
  isTakenUp(object) && (object.status?.updatedReplicas ?? 0) >= pods;

/** Somebody else's template; null: it is the one before or the next. */
export function strangeTemplate(object: Deployment, journal: InPlaceJournal) {
  const { template } = object.spec;
  if ([journal.template, journal.next].some((one) => isDeepStrictEqual(template, one))) return null;
  const images = template.spec.containers.map(({ image = '' }) => image).join(', ');
  const where = firstDifference(journal.next ?? journal.template, template).join('.');
  return {
    object: nameIn(object),
    difference: `its pod template was changed (${images}), by somebody or by a webhook of the cluster, first at ${where}`,
    weight: null,
  };
}

/** Path of the first field in which two differ; its value may be a secret. */
export function firstDifference(wanted: unknown, found: unknown): readonly string[] {
  if (!isFields(wanted) || !isFields(found)) return [];
  const names = [...new Set([...Object.keys(wanted), ...Object.keys(found)])];
  const name = names.find((one) => !isDeepStrictEqual(wanted[one], found[one])) ?? '';
  return [name, ...firstDifference(wanted[name], found[name])];
}

/** Of an object, or the items of a list. */
const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

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
  const next = journal?.next ?? wanted(journal?.template ?? object.spec.template);
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
 * Marks and journal again, and, in place of a template of somebody else, that of before. Where a batch was held it is paused:
 * nothing rolls until the step's own write. Where nothing held it any more the old pods come back first, also from the next
 * template itself. `lost`: for an object that lost its journal.
 */
export function reapply(
  object: Deployment,
  by: Fence,
  lost: Pick<InPlaceJournal, 'service' | 'template' | 'next'> | null,
): Intent {
  const marks = readMarks(object);
  const stopped = barrier(marks, by);
  if (stopped) return stopped;
  const own = readJournal(object);
  const journal: InPlaceJournal | null = own ?? (lost && { ...lost, own: ownFields(object, null) });
  if (!journal) throw new Error(`${nameIn(object)} has just lost its journal`);
  // With its own journal it may be at a step of 100%; without, nobody knows who let all of its pods go.
  const ranOn = !own && level(object, journal) === Number.POSITIVE_INFINITY;
  const strange = ranOn || strangeTemplate(object, journal) !== null;
  if (own && !strange && marks?.epoch === by.epoch) return DONE;
  const returning = strange && !isHeld(object);
  const back = strange
    ? giveBack(object, journal.template, { ...journal.own, ...(!returning && { paused: true }) })
    : [];
  const noted = returning ? { ...journal, returning } : journal;
  return { ops: [...back, ...underFence(object, by, own && !returning ? {} : { restore: JSON.stringify(noted) })] };
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
