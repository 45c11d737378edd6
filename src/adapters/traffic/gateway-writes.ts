/** What each operation writes to an HTTPRoute as it was read, or why it does not. Pure: `gateway-api.ts` sends the patches. */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { Fence } from '../../app/ports.ts';
import type { Route } from '../../core/plan.ts';
import type { Drift } from '../../core/rollout.ts';
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
} from '../kubernetes/fence.ts';
import { readMarks, readRouteMark, replace, test } from '../kubernetes/marks.ts';
import { type BackendRef, type HTTPRoute, HTTPRoutes, nameOf } from '../kubernetes/objects.ts';
import { readJournal } from '../kubernetes/serving.ts';
import {
  countRouted,
  describe,
  isRestored,
  type Journal,
  journalOf,
  readRoute,
  render,
  restoreOps,
  type Sides,
  shows,
  stableOps,
} from './gateway-rules.ts';

/** Longest text that is put into an annotation for the way back. */
export const RESTORE_LIMIT = 8_000;
/** `sluice.dev/route` of an object that has its own backends again. */
const RESTORED = 'restored';

const routeMark = z.object({
  weight: z.number(),
  preview: z.object({ header: z.string(), value: z.string() }).nullable(),
  mirror: z.number().nullable(),
});

const subjectOf = (object: HTTPRoute) => nameOf(HTTPRoutes, object.metadata);
export const rulesOf = (object: HTTPRoute) => object.spec.rules ?? [];

/** The route that Sluice wrote last, by its own note; null: none, or it is given back. */
export function lastRoute(object: HTTPRoute): Route | null {
  try {
    return routeMark.safeParse(JSON.parse(readRouteMark(object) ?? 'null')).data ?? null;
  } catch {
    return null;
  }
}

/** What differs from what Sluice wrote last, in the fields that it owns. */
export function driftOf(object: HTTPRoute, sides: Sides): Drift | null {
  const rules = rulesOf(object);
  const journal = readJournal(object);
  const last = lastRoute(object);
  const missing = journal.length - countRouted(rules, journal, sides);
  const found = (difference: string, weight: number | null): Drift => ({
    object: subjectOf(object),
    difference,
    weight,
  });
  if (missing > 0) return found(`${missing} of ${journal.length} rules that this rollout routes are gone`, null);
  if (!last)
    return isRestored(rules, sides) ? null : found('it sends to the canary before this rollout wrote that', null);
  if (shows(rules, journal, sides, last)) return null;
  const route = readRoute(rules, journal, sides);
  const weightOnly = route !== null && isDeepStrictEqual({ ...last, weight: route.weight }, route);
  return found(describe(rules, journal, sides, last), weightOnly ? route.weight : null);
}

export function intendClaim(
  object: HTTPRoute,
  by: Fence,
  target: { service: string },
  isServing: (ref: BackendRef) => boolean,
  env: string,
): Intent {
  const subject = subjectOf(object);
  const marks = readMarks(object);
  const ours = marks?.rollout === by.rollout;
  if (marks && !ours && marks.phase === 'active') return refused(heldMessage(subject, marks, target.service));
  const stopped = behind(marks, by);
  if (stopped) return stopped;
  if (marks && ours && marks.epoch === by.epoch) return DONE;
  // Taken over from an older epoch of the same rollout: the rules may be routed already, the journal is the old one.
  if (marks && ours && marks.restore !== null) return { ops: claimOps(object, by, marks.restore, { env }) };
  const journal = journalOf(rulesOf(object), isServing);
  const restore = JSON.stringify(journal);
  if (journal.length === 0) return refused(`${subject}: no rule sends to the service's Kubernetes Service alone`);
  if (restore.length > RESTORE_LIMIT) return refused(tooLong(subject));
  return { ops: claimOps(object, by, restore, { route: null, env }) };
}

export const tooLong = (subject: string) =>
  `${subject}: its routed rules take more than ${RESTORE_LIMIT} characters to note for the way back; split the route.`;

/** `journal`: what the rules would be journalled as, should the object have lost its own. */
export type Overwrite = { readonly journal: (rules: HTTPRoute) => Journal };

/** `repeat`: writes even when the object carries this write already (to take a raised weight back). */
export function intendRoute(
  object: HTTPRoute,
  route: Route,
  by: Fence,
  sides: Sides,
  { overwrite, repeat = false }: { overwrite: Overwrite | null; repeat?: boolean },
): Intent {
  const met = meet(object, by);
  if (typeof met === 'object') return met;
  if (met === 'repeat' && !repeat) return DONE;
  if (met === 'unmarked' && !overwrite) return drifted(marksLost(subjectOf(object)));
  const drift = overwrite || repeat ? null : driftOf(object, sides);
  if (drift) return drifted(drift);
  const rules = rulesOf(object);
  const own = readJournal(object);
  const journal = own.length > 0 || !overwrite ? own : overwrite.journal(object);
  if (countRouted(rules, journal, sides) === 0) {
    return refused(
      `${subjectOf(object)}: no rule is left that this rollout routes; put its backendRefs back, or abort`,
    );
  }
  return {
    ops: [
      test('/spec/rules', rules),
      replace('/spec/rules', render(rules, journal, sides, route)),
      ...underFence(object, by, { restore: JSON.stringify(journal), route: JSON.stringify(route) }),
    ],
  };
}

/** `noted`: the journal that Redis has, for an object that lost its own. */
export function intendReset(
  object: HTTPRoute,
  by: Fence,
  sides: Sides,
  { abort, noted, blind = null }: { abort: boolean; noted: Journal; blind?: string | null },
): Intent {
  const marks = readMarks(object);
  // An abort is not held up by what its own epoch wrote.
  const stopped = abort ? barrier(marks, by) : behind(marks, by);
  if (stopped) return stopped;
  const rules = rulesOf(object);
  const written = marks?.rollout === by.rollout && marks.epoch === by.epoch && marks.seq >= by.seq;
  if (written && isRestored(rules, sides)) return DONE;
  const own = readJournal(object);
  const journal = own.length > 0 ? own : noted;
  const ops = journal.length > 0 ? restoreOps(rules, journal, sides) : stableOps(rules, sides);
  const changes = { route: RESTORED, ...(blind !== null && { abort: blind }) };
  const tested = abort ? (['rollout', 'epoch'] as const) : (['rollout', 'epoch', 'seq'] as const);
  return { ops: [...ops, ...underFence(object, by, changes, tested)] };
}

/** Takes the claim off an object that has its own backends again. */
export function intendRelease(object: HTTPRoute, by: Fence, sides: Sides): Intent {
  const marks = readMarks(object);
  if (!marks || marks.rollout !== by.rollout || marks.phase === 'done') return DONE;
  const stopped = behind(marks, by);
  if (stopped) return stopped;
  if (!isRestored(rulesOf(object), sides)) return refused(stillRouted(subjectOf(object), sides));
  return {
    ops: underFence(object, by, { phase: 'done', restore: null, route: null, abort: null, env: null }, [
      'rollout',
      'epoch',
    ]),
  };
}

export const stillRouted = (subject: string, { stable, canary }: Sides): string =>
  `${subject} still sends to ${stable} or ${canary}: put the Kubernetes Service of before into its backendRefs by hand`;
