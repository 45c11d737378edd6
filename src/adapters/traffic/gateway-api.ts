/** Gateway API HTTPRoutes: weights, header previews and mirrors on the rules that send to the rolled-out Kubernetes Service. */
import type { Fence, Log, Marks, TrafficRouter, Written } from '../../app/ports.ts';
import type { Route, Target } from '../../core/plan.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { DONE, type Intent, marksLost, refused, underFence, write } from '../kubernetes/fence.ts';
import { readEnv, readMarks } from '../kubernetes/marks.ts';
import { type HTTPRoute, HTTPRoutes, nameOf, type Ref } from '../kubernetes/objects.ts';
import { findServing, parseJournal, readJournal, routesOf } from '../kubernetes/serving.ts';
import { lookAtRoutes, servingTest } from './gateway-preflight.ts';
import { isRestored, journalOf, readRoute, sidesOf } from './gateway-rules.ts';
import { routeStatus } from './gateway-status.ts';
import {
  driftOf,
  intendClaim,
  intendRelease,
  intendReset,
  intendRoute,
  lastRoute,
  type Overwrite,
  rulesOf,
  stillRouted,
} from './gateway-writes.ts';

const RESETS = 5;
/** Seen with Traefik 3.7: it confirms a rule with RequestMirror, and answers 500 to all its requests. */
const NO_MIRROR =
  'an HTTPRoute can ask for copies, but controllers that cannot make them (Traefik is one) then fail all requests of the rule';

type Deps = {
  readonly cluster: Cluster;
  readonly log: Log;
  /** Written on what is claimed, so that another installation's bot does not take its rollouts for lost ones. */
  readonly env?: string;
};

export function createGatewayApiRouter({ cluster, log, env = 'default' }: Deps): TrafficRouter {
  const send = (ref: Ref, intend: (object: HTTPRoute) => Intent, gone?: Written) =>
    write(cluster, HTTPRoutes, ref, intend, gone);
  const watched = (target: Target) =>
    Promise.all(routesOf(target).map((ref) => cluster.view(HTTPRoutes, ref.namespace).get(ref.name)));

  /** What the rules would be journalled as, should somebody have put the route's own manifest back. */
  async function overwriting(target: Target): Promise<Overwrite> {
    const serving = await findServing(cluster, target);
    return {
      journal: (object) =>
        serving.ok
          ? journalOf(rulesOf(object), servingTest(target, serving.service.metadata.name, object.metadata.namespace))
          : [],
    };
  }

  /** One patch, unless an older write that landed just before it left something routed. */
  async function giveBack(
    ref: Ref,
    target: Target,
    intend: (object: HTTPRoute) => Intent,
    gone: Written,
  ): Promise<Written> {
    const sides = sidesOf(target.deployment);
    for (let tries = 0; tries < RESETS; tries++) {
      const { object, ...written } = await send(ref, intend, gone);
      if (written.kind !== 'done' || !object || isRestored(rulesOf(object), sides)) return written;
      if (readJournal(object).length === 0) return refused(stillRouted(nameOf(HTTPRoutes, ref), sides));
    }
    throw new Error(`${nameOf(HTTPRoutes, ref)} is still routed after ${RESETS} resets`);
  }

  return {
    supports: { weight: true, header: true, mirror: NO_MIRROR },

    preflight: (target) => lookAtRoutes(cluster, target),

    async claim(target, fence) {
      const serving = await findServing(cluster, target);
      if (!serving.ok) return refused(serving.refusal);
      const journal: Record<string, string> = {};
      for (const ref of routesOf(target)) {
        const isServing = servingTest(target, serving.service.metadata.name, ref.namespace);
        const { object, ...written } = await send(ref, (found) => intendClaim(found, fence, target, isServing, env));
        if (written.kind !== 'done') return written;
        journal[nameOf(HTTPRoutes, ref)] = (object && readMarks(object)?.restore) ?? '[]';
      }
      return { ...DONE, journal };
    },

    async setRoute(target, route, fence, overwrite) {
      if (route.mirror !== null) return refused(NO_MIRROR);
      const sides = sidesOf(target.deployment);
      const over = overwrite ? await overwriting(target) : null;
      const raised: { ref: Ref; before: Route }[] = [];
      for (const ref of routesOf(target)) {
        let before: Route | null = null;
        const { object: _, ...written } = await send(ref, (object) => {
          before = lastRoute(object);
          return intendRoute(object, route, fence, sides, { overwrite: over });
        });
        if (written.kind !== 'done') {
          for (const one of raised) await lower(one.ref, one.before, fence, target);
          return written;
        }
        raised.push({ ref, before: before ?? { weight: 0, preview: null, mirror: null } });
      }
      return DONE;
    },

    async reset(target, fence, journal, abort) {
      const sides = sidesOf(target.deployment);
      const one = async (ref: Ref) => {
        const noted = parseJournal(journal[nameOf(HTTPRoutes, ref)] ?? null);
        const gone = abort ? DONE : refused(`${nameOf(HTTPRoutes, ref)} is gone`);
        return giveBack(ref, target, (object) => intendReset(object, fence, sides, { abort, noted }), gone);
      };
      const written = await all(routesOf(target).map(one));
      // An abort is never given up: as a fault it is tried again, and told to people when it lasts.
      if (abort && written.kind === 'refused') throw new Error(written.message);
      return written;
    },

    async getRoute(target) {
      const objects = await watched(target);
      const found = objects.filter((object) => object !== null);
      const [first] = found;
      if (!first || found.length < objects.length) return null;
      const sides = sidesOf(target.deployment);
      const routes = found.map((object) => readRoute(rulesOf(object), readJournal(object), sides));
      const same = routes.every((route) => JSON.stringify(route) === JSON.stringify(routes[0]));
      return { route: (same && routes[0]) || null, marks: newestMarks(found) };
    },

    async confirmed(target) {
      const answers = (await watched(target)).map((object) =>
        object ? routeStatus(object) : ({ kind: 'pending' } as const),
      );
      return (
        answers.find(({ kind }) => kind === 'rejected') ??
        answers.find(({ kind }) => kind === 'pending') ?? { kind: 'confirmed' }
      );
    },

    async drift(target, _route, fence) {
      const sides = sidesOf(target.deployment);
      for (const [index, ref] of routesOf(target).entries()) {
        const seen = (await watched(target))[index] ?? null;
        const suspect = (object: HTTPRoute | null) => driftFrom(object, ref, fence, sides);
        // A copy that lags behind looks like a foreign edit: only a fresh one convicts.
        if (suspect(seen) === null) continue;
        const drift = suspect(await cluster.get(HTTPRoutes, ref));
        if (drift) return drift;
      }
      return null;
    },

    async release(target, fence) {
      const sides = sidesOf(target.deployment);
      return all(routesOf(target).map((ref) => send(ref, (object) => intendRelease(object, fence, sides), DONE)));
    },

    async listMarked(namespaces) {
      const objects = (await Promise.all(namespaces.map((namespace) => cluster.list(HTTPRoutes, namespace)))).flat();
      return objects.flatMap((object) => {
        const marks = readMarks(object);
        return marks ? [{ object: nameOf(HTTPRoutes, object.metadata), marks, env: readEnv(object) }] : [];
      });
    },

    async blindAbort(target, rollout, by, keepTraffic = false) {
      const sides = sidesOf(target.deployment);
      const one = (ref: Ref) => {
        const subject = nameOf(HTTPRoutes, ref);
        const intend = (object: HTTPRoute): Intent => {
          const marks = readMarks(object);
          if (marks?.rollout !== rollout || marks.phase === 'done')
            return refused(`${subject} is not held by rollout ${rollout}`);
          if (marks.abort !== null && (keepTraffic || isRestored(rulesOf(object), sides))) return DONE;
          const fence: Fence = { rollout, epoch: marks.epoch + 1, seq: marks.seq };
          if (keepTraffic) return { ops: underFence(object, fence, { abort: by }, ['rollout', 'epoch']) };
          return intendReset(object, fence, sides, { abort: true, noted: [], blind: by });
        };
        return keepTraffic ? mark(ref, intend) : giveBack(ref, target, intend, DONE);
      };
      return all(routesOf(target).map(one));
    },
  };

  async function mark(ref: Ref, intend: (object: HTTPRoute) => Intent): Promise<Written> {
    const { object: _, ...written } = await send(ref, intend, DONE);
    return written;
  }

  async function lower(ref: Ref, route: Route, fence: Fence, target: Target): Promise<void> {
    const sides = sidesOf(target.deployment);
    const written = await send(ref, (object) =>
      intendRoute(object, route, fence, sides, { overwrite: null, repeat: true }),
    );
    if (written.kind !== 'done')
      log.warn({ route: nameOf(HTTPRoutes, ref), written }, 'a raised route could not be lowered again');
  }
}

/** Several routes speak with one voice: the last write's, and held as long as one of them is. */
function newestMarks(objects: readonly HTTPRoute[]): Marks | null {
  const all = objects.flatMap((object) => readMarks(object) ?? []);
  const [newest] = all.toSorted((a, b) => b.epoch - a.epoch || b.seq - a.seq);
  if (!newest) return null;
  const isHeld = all.some(({ rollout, phase }) => rollout === newest.rollout && phase === 'active');
  return { ...newest, phase: isHeld ? 'active' : 'done' };
}

function driftFrom(object: HTTPRoute | null, ref: Ref, fence: Fence, sides: ReturnType<typeof sidesOf>) {
  const subject = nameOf(HTTPRoutes, ref);
  if (!object) return { object: subject, difference: 'it is gone', weight: null };
  const marks = readMarks(object);
  if (!marks) return marksLost(subject);
  // Another holder's, or older than our last write: not for a drift to tell.
  if (marks.rollout !== fence.rollout || marks.epoch > fence.epoch || marks.phase === 'done') return null;
  if (marks.epoch < fence.epoch || marks.seq < fence.seq) return marksLost(subject);
  return driftOf(object, sides);
}

/** All parts at once; the first that is not done speaks for all, a fault for the rest. */
async function all(parts: readonly Promise<Written>[]): Promise<Written> {
  const settled = await Promise.allSettled(parts);
  const failed = settled.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
  const results = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  return results.find(({ kind }) => kind !== 'done') ?? DONE;
}
