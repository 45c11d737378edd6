/**
 * What a rollout writes to a DestinationRule: one subset for the canary, beside those of its owners. It says no share, so it is
 * there from the claim to the release, and no patch that moves traffic waits for it. Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Fence } from '../../app/ports/cluster.ts';
import type { Drift } from '../../core/rollout.ts';
import {
  beforeClaim,
  behind,
  claimOps,
  DONE,
  type Intent,
  marksLost,
  refused,
  underFence,
} from '../kubernetes/fence.ts';
import { nameOf } from '../kubernetes/kinds.ts';
import { type Op, pointer, readMarks, test } from '../kubernetes/marks.ts';
import { type DestinationRule, DestinationRules, type Subset, subsetJournal } from '../kubernetes/route-objects.ts';
import type { CanaryLabel } from '../kubernetes/twin-canary.ts';
import { RESTORE_LIMIT, tooLong } from './object-intents.ts';

export const subsetOf = ({ spec }: DestinationRule, name: string): Subset | null =>
  spec.subsets?.find((one) => one.name === name) ?? null;

/** `name`: of the canary's. All but the one label is stable's, its policies included. */
export const canarySubset = (stable: Subset, name: string, { key, canary }: CanaryLabel): Subset => ({
  ...stable,
  name,
  labels: { ...stable.labels, [key]: canary },
});

/** The subset that a rollout added, as its journal has it. */
export function parseSubset(restore: string | null | undefined): Subset | null {
  try {
    return subsetJournal.safeParse(JSON.parse(restore ?? 'null')).data ?? null;
  } catch {
    return null;
  }
}

export type Wish = { readonly ok: true; readonly subset: Subset } | { readonly ok: false; readonly refusal: string };

/** `wish`: the canary's subset for the object as it is; `owner`: the service's name in chat. */
export function intendClaim(
  object: DestinationRule,
  by: Fence,
  { owner, env, wish }: { owner: string; env: string; wish: (object: DestinationRule) => Wish },
): Intent {
  const subject = nameOf(DestinationRules, object.metadata);
  const met = beforeClaim(object, subject, by, owner);
  if (met) return met;
  const marks = readMarks(object);
  const kept = marks?.rollout === by.rollout ? parseSubset(marks.restore) : null;
  const wanted: Wish = kept ? { ok: true, subset: kept } : wish(object);
  if (!wanted.ok) return refused(wanted.refusal);
  const restore = JSON.stringify(wanted.subset);
  if (restore.length > RESTORE_LIMIT) return refused(tooLong(subject));
  return { ops: [...claimOps(object, by, restore, { env }), ...put(object, wanted.subset)] };
}

/** Takes back what `driftOf` found. `noted`: the journal that Redis has, for an object that lost its own. */
export function intendMend(object: DestinationRule, by: Fence, noted: Subset | null): Intent {
  const marks = readMarks(object);
  const stopped = behind(marks, by);
  if (stopped) return stopped;
  const subset = (marks?.rollout === by.rollout ? parseSubset(marks.restore) : null) ?? noted;
  if (!subset)
    return refused(`${nameOf(DestinationRules, object.metadata)}: nobody knows the canary's subset any more`);
  const ops = put(object, subset);
  const isHeld = marks?.rollout === by.rollout && marks.restore !== null;
  return ops.length === 0 && isHeld
    ? DONE
    : { ops: [...ops, ...underFence(object, by, { restore: JSON.stringify(subset) })] };
}

/**
 * `name`: of the canary's subset. Where the claim never came it is somebody else's. The terminal marks are left there, too:
 * should the claim come late, it finds them.
 */
export function intendRelease(object: DestinationRule, by: Fence, name: string): Intent {
  const marks = readMarks(object);
  const ours = marks?.rollout === by.rollout;
  if (marks && ours && marks.phase === 'done') return DONE;
  // Somebody else's by now, who will not let a late claim of this one through.
  if (marks && !ours && (marks.phase === 'active' || marks.epoch >= by.epoch)) return DONE;
  const stopped = behind(marks, by);
  if (stopped) return stopped;
  const changes = { phase: 'done', restore: null, abort: null, env: null } as const;
  return { ops: [...(ours ? takeOut(object, name) : []), ...underFence(object, by, changes, ['rollout', 'epoch'])] };
}

/** `object`: as read; null: it is gone. Whether an older epoch is on it does not matter: nothing but the claim writes it. */
export function driftOf(object: DestinationRule | null, subject: string, by: Fence): Drift | null {
  const found = (difference: string): Drift => ({ object: subject, difference, weight: null });
  if (!object) return found('it is gone');
  const marks = readMarks(object);
  const subset = parseSubset(marks?.restore);
  if (marks && (marks.rollout !== by.rollout || marks.epoch > by.epoch || marks.phase === 'done')) return null;
  if (!marks || !subset) return marksLost(subject);
  const now = subsetOf(object, subset.name);
  if (!now) return found(`its subset ${subset.name} is gone`);
  return isDeepStrictEqual(now, subset) ? null : found(`its subset ${subset.name} was changed`);
}

/** Nothing where it is there as wanted. */
function put(object: DestinationRule, subset: Subset): Op[] {
  const at = pointer('spec', 'subsets');
  const { subsets } = object.spec;
  if (!subsets) return [test(at, null), { op: 'add', path: at, value: [subset] }];
  const found = subsetOf(object, subset.name);
  if (isDeepStrictEqual(found, subset)) return [];
  return [...takeOut(object, subset.name), { op: 'add', path: `${at}/-`, value: subset }];
}

function takeOut({ spec: { subsets } }: DestinationRule, name: string): Op[] {
  const index = subsets?.findIndex((one) => one.name === name) ?? -1;
  const path = pointer('spec', 'subsets', index);
  return index < 0 ? [] : [test(path, subsets?.[index]), { op: 'remove', path }];
}
