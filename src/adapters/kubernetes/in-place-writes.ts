/** What each operation of a rollout in place writes to the Deployment, or why it does not. Pure. */
import { isDeepStrictEqual } from 'node:util';
import type { Fence } from '../../app/ports/cluster.ts';
import type { Drift } from '../../core/rollout.ts';
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
  const strange = strangeIn(object, journal);
  if (strange) return drifted(strange);
  // Not by the marks: making and pausing are two writes of one stage.
  if (level(object, journal) < pods) {
    const isShare = Number.isFinite(pods);
    const { returning, ...arrived } = journal;
    // Rolled out now, the new pods that run already would all count as the first batch.
    if (returning && isShare && rollingBack(object) !== null) return DONE;
    const restore = JSON.stringify({ ...arrived, told: isShare ? 'share' : 'all' });
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

/** What somebody else made of it; null: its template is the one that it was told to have, and what holds that at its share is there. */
export function strangeIn(object: Deployment, journal: InPlaceJournal): Drift | null {
  const { template } = object.spec;
  const found = (difference: string): Drift => ({ object: nameIn(object), difference, weight: null });
  // A bot of before did not note what it had told; only Sluice holds a Deployment so.
  const isHeldAtNext = isHeld(object) && isDeepStrictEqual(template, journal.next);
  const told = journal.told ?? (isHeldAtNext ? 'share' : undefined);
  if (isDeepStrictEqual(template, told ? journal.next : journal.template)) {
    if (told !== 'share' || isHeld(object)) return null;
    return found('what holds it at its share, minReadySeconds, was taken off: it rolls on to new pods only');
  }
  const images = template.spec.containers.map(({ image = '' }) => image).join(', ');
  const where = firstDifference(journal.next ?? journal.template, template).join('.');
  return found(
    `its pod template was changed (${images}), by somebody or by a webhook of the cluster, first at ${where}`,
  );
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
  const strange = journal && !overwrite ? strangeIn(object, { ...journal, next }) : null;
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
 * Marks and journal again, and, in place of what is somebody else's, the template of before. Where a batch was held it is paused:
 * nothing rolls until the step's own write. Where nothing held it any more the old pods come back first, also from the next
 * template itself, unless all `pods` are wanted new. `lost`: for an object that lost its journal.
 */
export function reapply(
  object: Deployment,
  by: Fence,
  pods: number,
  lost: Pick<InPlaceJournal, 'service' | 'template' | 'next'> | null,
): Intent {
  const marks = readMarks(object);
  const stopped = barrier(marks, by);
  if (stopped) return stopped;
  const own = readJournal(object);
  const journal = own ?? (lost && { ...lost, own: ownFields(object, null), told: toldIn(object, pods, lost.next) });
  if (!journal) throw new Error(`${nameIn(object)} has just lost its journal`);
  if (strangeIn(object, journal)) {
    const { told: _, ...before } = journal;
    const returning = !isHeld(object);
    const fields = { ...journal.own, ...(!returning && { paused: true }) };
    const restore = JSON.stringify({ ...before, ...(returning && { returning }) });
    return { ops: [...giveBack(object, journal.template, fields), ...underFence(object, by, { restore })] };
  }
  if (own && marks?.epoch === by.epoch) return DONE;
  return { ops: underFence(object, by, own ? {} : { restore: JSON.stringify(journal) }) };
}

/** Without its journal nobody knows who let all of its pods go: only where they are wanted so it was told. */
function toldIn(object: Deployment, pods: number, next: InPlaceJournal['next']): InPlaceJournal['told'] {
  if (!isDeepStrictEqual(object.spec.template, next)) return undefined;
  return isHeld(object) || Number.isFinite(pods) ? 'share' : 'all';
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
