/** What each operation writes to a route object as it was read, or why it does not. Pure: others send the patches. */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { Fence } from '../../app/ports/cluster.ts';
import { type Route, STABLE_ROUTE } from '../../core/plan.ts';
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
import type { Held } from '../kubernetes/kinds.ts';
import { type Op, pointer, readMarks, readRouteMark, replace, test } from '../kubernetes/marks.ts';
import type { Dialect, Made } from './dialect.ts';
import { applied, differences } from './foresee.ts';

/** Longest text that is put into an annotation for the way back. */
export const RESTORE_LIMIT = 8_000;
/** `sluice.dev/route` of an object that has its own fields again. */
const RESTORED = 'restored';
/** The same of one in which the canary has taken stable's place for good. */
const SETTLED = 'settled';

export const isMarkedSettled = (object: Held) => readRouteMark(object) === SETTLED;

const ALL: Route = { ...STABLE_ROUTE, weight: 100 };

type Renewal = Pick<Extract<Made, { ok: true }>, 'draft' | 'restore' | 'stale'>;

const routeMark = z.object({
  weight: z.number(),
  preview: z
    .union([
      z.object({ header: z.string(), value: z.string() }),
      z.object({ header: z.string(), pattern: z.string() }),
      z.object({ cookie: z.string(), value: z.string() }),
    ])
    .nullable(),
  mirror: z.number().nullable(),
});

/** The route that Sluice wrote last, by its own note; null: none, or it is given back. */
export function lastRoute(object: Held): Route | null {
  try {
    return routeMark.safeParse(JSON.parse(readRouteMark(object) ?? 'null')).data ?? null;
  } catch {
    return null;
  }
}

export const tooLong = (subject: string) =>
  `${subject}: what Sluice would route in it takes more than ${RESTORE_LIMIT} characters to note for the way back; split it.`;

const at = (annotation: string) => pointer('metadata', 'annotations', annotation);

/** `said`: what a route writes itself stays as it says. */
function renew(
  { metadata: { annotations = {} }, spec }: Held,
  renewal: Renewal | null,
  said: readonly Op[] = [],
): Op[] {
  if (!renewal) return [];
  const { draft, stale = [] } = renewal;
  const taken = new Set(said.map(({ path }) => path));
  return [
    test('/spec', spec),
    replace('/spec', draft.spec),
    ...stale.filter((key) => key in annotations).map((key) => ({ op: 'remove', path: at(key) }) as const),
    ...Object.entries(draft.annotations)
      .map(([key, value]) => ({ op: 'add', path: at(key), value }) as const)
      .filter(({ path }) => !taken.has(path)),
  ];
}

/** The intents for one object, which `subject` names in sentences. */
export function createIntents<T extends Held, Journal>(dialect: Dialect<T, Journal>, subject: string) {
  const journalOf = (object: T): Journal => dialect.parse(readMarks(object)?.restore ?? null);
  const stillRouted = `${subject} ${dialect.words.undo}`;

  /** What differs from what Sluice wrote last, in the fields that it owns. */
  function driftOf(object: T): Drift | null {
    const journal = journalOf(object);
    const last = lastRoute(object);
    const missing = dialect.missing(object, journal);
    const found = (difference: string, weight: number | null): Drift => ({ object: subject, difference, weight });
    if (missing) return found(missing, null);
    if (!last)
      return dialect.isRestored(object) ? null : found('it sends to the canary before this rollout wrote that', null);
    if (dialect.shows(object, journal, last)) return null;
    const route = dialect.read(object, journal);
    const weightOnly = route !== null && isDeepStrictEqual({ ...last, weight: route.weight }, route);
    return found(dialect.describe(object, journal, last), weightOnly ? route.weight : null);
  }

  /** All of the traffic to the canary, and then the canary in stable's place; null: no version is routed here. */
  function settling(object: T, journal: Journal): readonly Op[] | null {
    if (!dialect.succeed || !dialect.canSay(object, journal, ALL)) return null;
    const all = dialect.say(object, journal, ALL);
    return [...all, ...dialect.restore(applied(object, all), dialect.succeed(journal))];
  }

  /** Whether the canary has stable's place, and nothing else of a rollout is left. */
  function isSettled(object: T): boolean {
    const ops = isMarkedSettled(object) ? settling(object, journalOf(object)) : null;
    return ops !== null && isDeepStrictEqual(applied(object, ops), object);
  }

  /** Which fields of an object that was made would be made otherwise now, but for what its route says. */
  function outdated(object: T, { draft, stale = [] }: Renewal): string {
    const said = new Set(dialect.say(object, journalOf(object), STABLE_ROUTE).map(({ path }) => path));
    const keys = [...Object.keys(draft.annotations), ...stale].filter((key) => !said.has(at(key)));
    const kept = (annotations: Readonly<Record<string, string>> = {}) =>
      Object.fromEntries(Object.entries(annotations).filter(([key]) => keys.includes(key)));
    const found = [
      ...differences(kept(object.metadata.annotations), kept(draft.annotations), 'annotations'),
      ...differences(object.spec, draft.spec, 'spec'),
    ];
    return found.join('; ') || 'nobody knows any more what it was made of';
  }

  const changedSince = (object: T): Drift | null =>
    isSettled(object)
      ? null
      : { object: subject, difference: dialect.describe(object, journalOf(object), ALL), weight: null };

  return {
    journalOf,
    driftOf,
    stillRouted,
    outdated,

    /**
     * `service`: the Kubernetes Service that is rolled out; `owner`: its name in chat; `renewal`: as an object that Sluice
     * made has to be by now.
     */
    claim(
      object: T,
      by: Fence,
      { service, owner, env, renewal }: { service: string; owner: string; env: string; renewal: Renewal | null },
    ): Intent {
      const marks = readMarks(object);
      const ours = marks?.rollout === by.rollout;
      if (marks && !ours && marks.phase === 'active') return refused(heldMessage(subject, marks, owner));
      const stopped = behind(marks, by);
      if (stopped) return stopped;
      if (marks && ours && marks.epoch === by.epoch) return DONE;
      // Taken over from an older epoch of the same rollout: it may be routed already, the journal is the old one.
      if (marks && ours && marks.restore !== null) return { ops: claimOps(object, by, marks.restore, { env }) };
      const journal = dialect.take(object, service);
      if (!renewal && dialect.isEmpty(journal)) return refused(`${subject}: ${dialect.words.nothing}`);
      const restore = renewal?.restore ?? JSON.stringify(journal);
      if (restore.length > RESTORE_LIMIT) return refused(tooLong(subject));
      return { ops: [...claimOps(object, by, restore, { route: null, env }), ...renew(object, renewal)] };
    },

    /**
     * `overwrite`: what the fields would be journalled as, should the object have lost its own journal. `repeat`: writes even
     * when the object carries this write already (to take a raised weight back). `renewal`: as in `claim`.
     */
    route(
      object: T,
      route: Route,
      by: Fence,
      {
        overwrite,
        repeat = false,
        renewal = null,
      }: { overwrite: ((object: T) => Journal) | null; repeat?: boolean; renewal?: Renewal | null },
    ): Intent {
      const met = meet(object, by);
      if (typeof met === 'object') return met;
      // Not where it was taken back since.
      if (met === 'repeat' && !repeat && isDeepStrictEqual(lastRoute(object), route)) return DONE;
      if (met === 'unmarked' && !overwrite) return drifted(marksLost(subject));
      const drift = overwrite || repeat ? null : driftOf(object);
      if (drift) return drifted(drift);
      const own = journalOf(object);
      const journal = overwrite && dialect.isEmpty(own) ? overwrite(object) : own;
      if (!dialect.canSay(object, journal, route)) return refused(`${subject}: ${dialect.words.mend}`);
      const marks = { restore: renewal?.restore ?? JSON.stringify(journal), route: JSON.stringify(route) };
      const said = dialect.say(object, journal, route);
      return { ops: [...said, ...renew(object, renewal, said), ...underFence(object, by, marks)] };
    },

    /** `noted`: the journal that Redis has, for an object that lost its own. */
    reset(
      object: T,
      by: Fence,
      { abort, noted, blind = null }: { abort: boolean; noted: Journal; blind?: string | null },
    ): Intent {
      if (dialect.isForeign?.(object)) return DONE;
      const marks = readMarks(object);
      // An abort is not held up by what its own epoch wrote.
      const stopped = abort ? barrier(marks, by) : behind(marks, by);
      if (stopped) return stopped;
      const written = marks?.rollout === by.rollout && marks.epoch === by.epoch && marks.seq >= by.seq;
      if (written && dialect.isRestored(object)) return DONE;
      const own = journalOf(object);
      const ops = dialect.restore(object, dialect.isEmpty(own) ? noted : own);
      const changes = { route: RESTORED, ...(blind !== null && { abort: blind }) };
      const tested = abort ? (['rollout', 'epoch'] as const) : (['rollout', 'epoch', 'seq'] as const);
      return { ops: [...ops, ...underFence(object, by, changes, tested)] };
    },

    isSettled,

    /** The canary takes stable's place: from all of the traffic on, in one patch. `noted` as in `reset`. */
    settle(object: T, by: Fence, { overwrite, noted }: { overwrite: boolean; noted: Journal }): Intent {
      const met = meet(object, by);
      if (typeof met === 'object') return met;
      if (met === 'repeat' && isMarkedSettled(object)) return DONE;
      if (met === 'unmarked' && !overwrite) return drifted(marksLost(subject));
      const drift = overwrite ? null : isMarkedSettled(object) ? changedSince(object) : driftOf(object);
      if (drift) return drifted(drift);
      const own = journalOf(object);
      const journal = dialect.isEmpty(own) ? noted : own;
      const ops = settling(object, journal);
      if (!ops) return refused(`${subject}: ${dialect.words.mend}`);
      const marks = { route: SETTLED, restore: JSON.stringify(journal) };
      return { ops: [...ops, ...underFence(object, by, marks)] };
    },

    /** Takes the claim off an object that has its own fields again, or the canary in stable's place. */
    release(object: T, by: Fence): Intent {
      const marks = readMarks(object);
      if (!marks || marks.rollout !== by.rollout || marks.phase === 'done') return DONE;
      const stopped = behind(marks, by);
      if (stopped) return stopped;
      if (!isMarkedSettled(object) && !dialect.isRestored(object)) return refused(stillRouted);
      const changes = { phase: 'done', restore: null, route: null, abort: null, env: null } as const;
      return { ops: underFence(object, by, changes, ['rollout', 'epoch']) };
    },
  };
}
