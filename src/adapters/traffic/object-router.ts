/**
 * A router whose routes are fields of Kubernetes objects: what is the same for all of them. Every write is one fenced patch on
 * one object (design section 8); which fields it writes is the dialect's.
 */
import type { Fence, Log, Marks, TrafficRouter, Written } from '../../app/ports.ts';
import { type Route, STABLE_ROUTE, type Target } from '../../core/plan.ts';
import type { Drift } from '../../core/rollout.ts';
import { unsayable } from '../../core/support.ts';
import type { Draft } from '../kubernetes/api.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import {
  DONE,
  drifted,
  heldMessage,
  type Intent,
  marksLost,
  type Result,
  refused,
  underFence,
  write,
} from '../kubernetes/fence.ts';
import { birthMarks, highestEpoch, isOurs, MANAGED_LABEL, readEnv, readMarks } from '../kubernetes/marks.ts';
import { type Held, nameOf, type Ref } from '../kubernetes/objects.ts';
import { otherOwner } from '../kubernetes/owners.ts';
import { missingRolloutRights } from '../kubernetes/rollout-rights.ts';
import { NotServed } from '../kubernetes/served.ts';
import { findServing } from '../kubernetes/serving.ts';
import { locateVersions, routedVersions } from '../kubernetes/versioned-names.ts';
import type { Made, RouteObjects } from './dialect.ts';
import { foreseeObject } from './foresee.ts';
import { createIntents, isMarkedSettled, lastRoute, RESTORE_LIMIT, tooLong } from './object-intents.ts';

const RESETS = 5;

export type RouterDeps = {
  readonly cluster: Cluster;
  readonly log: Log;
  /** Written on what is claimed, so that another installation's bot does not take its rollouts for lost ones. */
  readonly env?: string;
};

export function createObjectRouter<T extends Held, Journal>(
  { cluster, log, env = 'default' }: RouterDeps,
  routes: RouteObjects<T, Journal>,
): TrafficRouter {
  /** One object of a target: how it is written, and what its fields mean. */
  const objectsOf = async (target: Target) => {
    const kind = await routes.kind(cluster);
    return Promise.all(
      routes.refs(target).map(async (ref) => {
        const subject = nameOf(kind, ref);
        const dialect = await routes.dialect(target, ref);
        const send = (intend: (object: T) => Intent, gone?: Written) => write(cluster, kind, ref, intend, gone);
        return { kind, ref, subject, dialect, intents: createIntents(dialect, subject), send };
      }),
    );
  };
  type Routed = Awaited<ReturnType<typeof objectsOf>>[number];

  const seen = ({ kind, ref }: Routed) => cluster.view(kind, ref.namespace).get(ref.name);
  const watched = async (target: Target) =>
    Promise.all((await objectsOf(target)).map(async (one) => ({ ...one, object: await seen(one) })));

  /** As an object of a router that makes them would be made now; null: it makes none. */
  async function madeNow(target: Target, { ref }: Routed): Promise<Made | null> {
    if (!routes.make) return null;
    const serving = await findServing(cluster, target);
    return serving.ok ? routes.make(cluster, target, ref, serving.service) : { ok: false, refusal: serving.refusal };
  }

  /** Makes an object that is missing and may be, claimed from birth; null: there is one. */
  async function create(one: Routed, made: Made, fence: Fence): Promise<Written | null> {
    if (await seen(one)) return null;
    if (!made.ok) return refused(made.refusal);
    const { draft, restore } = made;
    const outcome = await cluster.create(one.kind, one.ref, {
      ...draft,
      labels: { ...draft.labels, ...MANAGED_LABEL },
      annotations: { ...draft.annotations, ...birthMarks(fence, { restore, env }) },
    });
    if (outcome.ok) return DONE;
    return outcome.error.kind === 'conflict' ? null : refused(outcome.error.message);
  }

  /** An abort before the claim: whoever would still make the object has to find that it comes too late. */
  async function claimMissing(target: Target, one: Routed, fence: Fence): Promise<void> {
    const made = await madeNow(target, one);
    if (made) await create(one, made, fence);
  }

  /** One patch, unless an older write that landed just before it left something routed. */
  async function giveBack(one: Routed, intend: (object: T) => Intent, gone: Written): Promise<Written> {
    for (let tries = 0; tries < RESETS; tries++) {
      const { object, ...written } = await one.send(intend, gone);
      if (written.kind !== 'done' || !object || one.dialect.isRestored(object)) return written;
      if (one.dialect.isEmpty(one.intents.journalOf(object))) return refused(one.intents.stillRouted);
    }
    throw new Error(`${one.subject} is still routed after ${RESETS} resets`);
  }

  async function lower(one: Routed, route: Route, fence: Fence): Promise<void> {
    const written = await one.send((object) =>
      one.intents.route(object, route, fence, { overwrite: null, repeat: true }),
    );
    if (written.kind !== 'done') log.warn({ route: one.subject, written }, 'a raised route could not be lowered again');
  }

  return {
    supports: routes.supports,

    async locate(target, wanted, image) {
      // An abort asks for no rights: it needs what it has, at once.
      const missing = wanted && 'rollout' in wanted ? [] : await missingRolloutRights(cluster, target);
      if (missing.length > 0) return { ok: false, refusal: missing.join(' ') };
      const unserved = await routes.kind(cluster).then(() => null, notServed);
      if (unserved !== null) return { ok: false, refusal: unserved };
      return locateVersions(cluster, target, await routedVersions(cluster, target), wanted, image);
    },

    async preflight(target, wanted = []) {
      const missing = await missingRolloutRights(cluster, target);
      if (missing.length > 0) return { ok: false, refusals: missing };
      const unserved = await routes.kind(cluster).then(() => null, notServed);
      if (unserved !== null) return { ok: false, refusals: [unserved] };
      const found = await watched(target);
      const objects = found.map(({ object }) => object);
      const refusals = found.flatMap(({ object, subject, dialect, intents }) =>
        object ? heldElsewhere(object, subject, target, dialect.isRestored(object) ? null : intents.stillRouted) : [],
      );
      if (refusals.length > 0) return { ok: false, refusals };
      const look = await routes.look(cluster, target, objects, wanted);
      const serving = look.refusals.length > 0 ? null : await findServing(cluster, target);
      const long = found.flatMap(({ object, subject, dialect }) => {
        if (!object || !serving?.ok) return [];
        const journal = dialect.take(object, serving.service.metadata.name);
        return JSON.stringify(journal).length > RESTORE_LIMIT ? [tooLong(subject)] : [];
      });
      const all = [...look.refusals, ...(serving && !serving.ok ? [serving.refusal] : []), ...long];
      if (all.length > 0) return { ok: false, refusals: all };
      return {
        ok: true,
        facts: {
          objects: found.map(({ subject }) => subject),
          epoch: highestEpoch(objects.filter((object) => object !== null)),
          several: look.several,
        },
        warnings: look.warnings,
      };
    },

    async foresee(target, wanted) {
      const serving = await findServing(cluster, target);
      if (!serving.ok) return [];
      const service = serving.service.metadata.name;
      const found = await Promise.all(
        (await watched(target)).map(async ({ object, subject, dialect, kind, ref }) => {
          const made = object ? null : await routes.make?.(cluster, target, ref, serving.service);
          const draft = made?.ok ? kind.schema.safeParse(asIfMade(ref, made.draft)).data : null;
          const start = object ?? draft;
          return start ? [foreseeObject(dialect, { object: start, subject, service }, wanted)] : [];
        }),
      );
      return found.flat();
    },

    async claim(target, fence) {
      const serving = await findServing(cluster, target);
      if (!serving.ok) return refused(serving.refusal);
      const service = serving.service.metadata.name;
      const journal: Record<string, string> = {};
      for (const one of await objectsOf(target)) {
        const made = await routes.make?.(cluster, target, one.ref, serving.service);
        const created = made && (await create(one, made, fence));
        if (created && created.kind !== 'done') return created;
        const { object, ...written } = await one.send((found) => {
          const renewal = made?.ok && isOurs(found) ? made : null;
          return one.intents.claim(found, fence, { service, owner: target.service, env, renewal });
        });
        if (written.kind !== 'done') return written;
        journal[one.subject] = (object && readMarks(object)?.restore) ?? '[]';
      }
      return { ...DONE, journal };
    },

    async setRoute(target, route, fence, overwrite, journal = {}) {
      const unsupported = unsayable(route, routes.supports);
      if (unsupported) return refused(unsupported);
      const serving = overwrite ? await findServing(cluster, target) : null;
      const service = serving?.ok ? serving.service.metadata.name : null;
      const raised: Routed[] = [];
      let before: Route | null = null;
      for (const one of await objectsOf(target)) {
        const made = serving?.ok ? await routes.make?.(cluster, target, one.ref, serving.service) : null;
        if (made) await create(one, made, fence);
        const overtaking =
          overwrite || !routes.repeats
            ? null
            : await convicted(one, target, (copy) => heldOvertaken(copy, target, one, fence));
        const intend = (object: T): Intent => {
          // All had the same route; one that carries this write already, from before a crash, no longer says which.
          if (readMarks(object)?.seq !== fence.seq) before ??= lastRoute(object);
          const renewal = routes.repeats && made?.ok && isOurs(object) ? made : null;
          // Where the marks were taken off a routed object, only Redis knows what its fields were before.
          const noted = one.dialect.parse(journal[one.subject] ?? null);
          const take = (found: T) => {
            if (!one.dialect.isEmpty(noted) && one.dialect.canSay(found, noted, route)) return noted;
            return service === null ? one.dialect.parse(null) : one.dialect.take(found, service);
          };
          return one.intents.route(object, route, fence, { overwrite: overwrite ? take : null, renewal });
        };
        const { object: _, ...written }: Result<T> = overtaking ? drifted(overtaking) : await one.send(intend);
        if (written.kind !== 'done') {
          for (const up of raised) await lower(up, before ?? STABLE_ROUTE, fence);
          return written;
        }
        raised.push(one);
      }
      return DONE;
    },

    async reset(target, fence, journal, abort) {
      const reset = async (one: Routed) => {
        const noted = one.dialect.parse(journal[one.subject] ?? null);
        const gone = abort ? DONE : refused(`${one.subject} is gone`);
        let isThere = false;
        const back = (object: T) => {
          isThere = true;
          return one.intents.reset(object, fence, { abort, noted });
        };
        const written = await giveBack(one, back, gone);
        if (isThere || !abort || !routes.make) return written;
        // Somebody may have made it meanwhile.
        await claimMissing(target, one, fence);
        return giveBack(one, back, gone);
      };
      const written = await all((await objectsOf(target)).map(reset));
      // An abort is never given up: as a fault it is tried again, and told to people when it lasts.
      if (abort && written.kind === 'refused') throw new Error(written.message);
      return written;
    },

    async settle(target, fence, journal, overwrite) {
      for (const one of await objectsOf(target)) {
        const noted = one.dialect.parse(journal[one.subject] ?? null);
        const { object: _, ...written } = await one.send((object) =>
          one.intents.settle(object, fence, { overwrite, noted }),
        );
        // What is settled stays so: all routes give the canary everything, before and after.
        if (written.kind !== 'done') return written;
      }
      return DONE;
    },

    async sendsToStable(target) {
      const found = (await objectsOf(target)).map(async ({ kind, ref, subject, dialect }) => {
        const object = await cluster.get(kind, ref);
        return object && dialect.sendsToStable?.(object) ? [subject] : [];
      });
      return (await Promise.all(found)).flat();
    },

    async getRoute(target) {
      const found = (await watched(target)).flatMap(({ object, ...one }) => (object ? [{ ...one, object }] : []));
      if (found.length === 0 || found.length < routes.refs(target).length) return null;
      if (found.every(({ object }) => isMarkedSettled(object))) {
        const whole = found.every(({ object, intents }) => intents.isSettled(object));
        const marks = newestMarks(found.map(({ object }) => object));
        return { route: whole ? { ...STABLE_ROUTE, weight: 100 } : null, marks, settled: true };
      }
      const read = found.map(({ dialect, intents, object }) => dialect.read(object, intents.journalOf(object)));
      const same = read.every((route) => JSON.stringify(route) === JSON.stringify(read[0]));
      return { route: (same && read[0]) || null, marks: newestMarks(found.map(({ object }) => object)) };
    },

    async confirmed(target) {
      // Of an object that is gone nobody says anything any more: it is not waited for.
      const answers = (await watched(target)).flatMap(({ object, dialect }) =>
        object ? [dialect.status?.(object) ?? ({ kind: 'confirmed' } as const)] : [],
      );
      return (
        answers.find(({ kind }) => kind === 'rejected') ??
        answers.find(({ kind }) => kind === 'pending') ?? { kind: 'confirmed' }
      );
    },

    async drift(target, _route, fence) {
      for (const one of await objectsOf(target)) {
        const drift = await convicted(one, target, (copy) => driftFrom(copy, target, one, fence));
        if (drift) return drift;
      }
      return null;
    },

    async release(target, fence) {
      const release = async (one: Routed): Promise<Written> => {
        const { object: _, ...written } = await one.send((object) => one.intents.release(object, fence), DONE);
        return written;
      };
      return all((await objectsOf(target)).map(release));
    },

    async listMarked(namespaces) {
      const kind = await routes.kind(cluster);
      const objects = (await Promise.all(namespaces.map((namespace) => cluster.list(kind, namespace)))).flat();
      return objects.flatMap((object) => {
        const marks = routes.isRoute?.(object) === false ? null : readMarks(object);
        return marks ? [{ object: nameOf(kind, object.metadata), marks, env: readEnv(object) }] : [];
      });
    },

    async blindAbort(target, rollout, by, keepTraffic = false) {
      const objects = await objectsOf(target);
      let metSettled = false;
      const abort = async (one: Routed, partly: boolean): Promise<Written> => {
        const intend = (object: T): Intent => {
          const marks = readMarks(object);
          if (marks?.rollout !== rollout || marks.phase === 'done')
            return refused(`${one.subject} is not held by rollout ${rollout}`);
          if (isMarkedSettled(object) && !partly) {
            metSettled = true;
            return refused(`${one.subject}: the new version has taken over already`);
          }
          if (marks.abort !== null && (keepTraffic || one.dialect.isRestored(object))) return DONE;
          const fence: Fence = { rollout, epoch: marks.epoch + 1, seq: marks.seq };
          if (keepTraffic) return { ops: underFence(object, fence, { abort: by }, ['rollout', 'epoch']) };
          return one.intents.reset(object, fence, { abort: true, noted: one.dialect.parse(null), blind: by });
        };
        if (!keepTraffic) return giveBack(one, intend, DONE);
        const { object: _, ...written } = await one.send(intend, DONE);
        return written;
      };
      const written = await all(objects.map((one) => abort(one, false)));
      if (!metSettled || objects.length < 2) return written;
      // One that waits for its turn still: the promotion is not over.
      const found = await Promise.all(objects.map(({ kind, ref }) => cluster.get(kind, ref)));
      const isOver = found.every((object) => object !== null && isMarkedSettled(object));
      return isOver ? written : all(objects.map((one) => abort(one, true)));
    },
  };

  /** A copy that lags behind looks like a foreign edit: only a fresh one convicts. */
  async function convicted(
    one: Routed,
    target: Target,
    judge: (copy: T | null) => Promise<Drift | null>,
  ): Promise<Drift | null> {
    if ((await judge(await seen(one))) === null) return null;
    if (routes.repeats) await cluster.get(one.kind, routes.repeats(target));
    return judge(await cluster.get(one.kind, one.ref));
  }

  async function driftFrom(object: T | null, target: Target, one: Routed, fence: Fence): Promise<Drift | null> {
    if (!object) return { object: one.subject, difference: 'it is gone', weight: null };
    const marks = readMarks(object);
    if (!marks) return marksLost(one.subject);
    // Another holder's, or older than our last write: not for a drift to tell.
    if (marks.rollout !== fence.rollout || marks.epoch > fence.epoch || marks.phase === 'done') return null;
    if (marks.epoch < fence.epoch || marks.seq < fence.seq) return marksLost(one.subject);
    return one.intents.driftOf(object) ?? overtaken(object, target, one);
  }

  /** Of an object that this holder has: else the write finds out. */
  async function heldOvertaken(object: T | null, target: Target, one: Routed, by: Fence): Promise<Drift | null> {
    const marks = object && readMarks(object);
    const isHeld = marks?.rollout === by.rollout && marks.epoch === by.epoch && marks.phase === 'active';
    return object && isHeld ? overtaken(object, target, one) : null;
  }

  /** What was changed in the object that this one repeats. */
  async function overtaken(object: T, target: Target, one: Routed): Promise<Drift | null> {
    if (!routes.repeats || !isOurs(object)) return null;
    const made = await madeNow(target, one);
    if (!made || (made.ok && made.restore === readMarks(object)?.restore)) return null;
    const fields = made.ok ? one.intents.outdated(object, made) : made.refusal;
    const difference = `${one.subject} does not repeat it any more: ${fields}. Re-apply brings it up to date.`;
    return { object: nameOf(one.kind, routes.repeats(target)), difference, weight: null };
  }
}

/** An object that does not exist yet, with what the server would add. */
const asIfMade = (ref: Ref, { labels, annotations, spec }: Draft) => ({
  metadata: { ...ref, uid: '', resourceVersion: '', labels, annotations },
  spec,
});

function notServed(error: unknown): string {
  if (error instanceof NotServed) return error.message;
  throw error;
}

/** Why an object as it stands cannot be claimed by a new rollout. */
function heldElsewhere(object: Held, subject: string, { service }: Target, leftOver: string | null): string[] {
  const owner = otherOwner(object);
  if (owner) return [`${subject} is managed by ${owner}: take it off there before Sluice routes it.`];
  const marks = readMarks(object);
  if (marks?.phase === 'active') return [heldMessage(subject, marks, service)];
  return leftOver === null ? [] : [`Without a rollout, ${leftOver}.`];
}

/** Several routes speak with one voice: the last write's, and held as long as one of them is. */
function newestMarks(objects: readonly Held[]): Marks | null {
  const found = objects.flatMap((object) => readMarks(object) ?? []);
  const [newest] = found.toSorted((a, b) => b.epoch - a.epoch || b.seq - a.seq);
  if (!newest) return null;
  const isHeld = found.some(({ rollout, phase }) => rollout === newest.rollout && phase === 'active');
  return { ...newest, phase: isHeld ? 'active' : 'done' };
}

/** All parts at once; the first that is not done speaks for all, a fault for the rest. */
async function all(parts: readonly Promise<Written>[]): Promise<Written> {
  const settled = await Promise.allSettled(parts);
  const failed = settled.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
  const results = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  return results.find(({ kind }) => kind !== 'done') ?? DONE;
}
