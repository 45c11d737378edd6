/**
 * namerd (Linkerd 1): one dentry per dtab namespace, its branch weights, and Sluice's marks beside it. Every write is a PUT
 * of the dtab as it was read, under its version, and is read back (design section 8).
 */
import type { Fence, Written } from '../../../app/ports/cluster.ts';
import type { Log } from '../../../app/ports/log.ts';
import type { TrafficRouter } from '../../../app/ports/router.ts';
import { type Route, STABLE_ROUTE } from '../../../core/plan.ts';
import { SUPPORT, unsayable } from '../../../core/support.ts';
import type { Cluster } from '../../kubernetes/cluster.ts';
import { all, DONE, marksLost, refused } from '../../kubernetes/fence.ts';
import { locateVersions } from '../../kubernetes/versioned-names.ts';
import { createNamerdClient, type NamerdClient } from './client.ts';
import { createConfirming } from './confirm.ts';
import { foreseeDtab } from './foresee.ts';
import { heldRoute, markedServices, type Place, placesOf, readMarks, type Seen, versionsNamed } from './marks.ts';
import { lookAtDtabs } from './preflight.ts';
import { createWriter } from './writer.ts';
import {
  driftOf,
  type Intent,
  intendBlindAbort,
  intendClaim,
  intendRelease,
  intendReset,
  intendRoute,
  intendSettle,
  isRestored,
  isSettled,
  namesStable,
  readRoute,
} from './writes.ts';

const RESETS = 8;

type Deps = {
  readonly log: Log;
  readonly env?: string;
  readonly client?: NamerdClient;
  /** Where the Deployments are, by which versions are known. */
  readonly cluster?: Cluster;
};

export function createNamerdRouter(deps: Deps): TrafficRouter {
  const { log, env = 'default', client = createNamerdClient() } = deps;
  const { read, ...writer } = createWriter(client, log);
  const confirming = createConfirming(client);

  const write: typeof writer.write = (place, ...how) => {
    confirming.forget(place);
    return writer.write(place, ...how);
  };

  /** As often as something routed is left: an older write may have landed just before. */
  async function giveBack(place: Place, intend: (seen: Seen) => Intent, gone: Written): Promise<Written> {
    for (let tries = 0; tries < RESETS; tries++) {
      const { seen, ...written } = await write(place, intend, gone);
      if (written.kind !== 'done' || !seen || isRestored(seen)) return written;
    }
    throw new Error(`${place.subject} is still routed after ${RESETS} resets`);
  }

  async function lower(place: Place, route: Route, fence: Fence): Promise<void> {
    try {
      const { seen: _, ...written } = await write(place, (seen) =>
        intendRoute(seen, route, fence, { overwrite: false, repeat: true, env }),
      );
      if (written.kind !== 'done')
        log.warn({ dtab: place.subject, written }, 'a raised dtab could not be lowered again');
    } catch (error) {
      log.warn({ dtab: place.subject, err: error }, 'a raised dtab could not be lowered again');
    }
  }

  return {
    supports: SUPPORT.namerd,

    async locate(target, wanted, image) {
      if (!deps.cluster) throw new Error('versions are known by their Deployments, and there is no cluster');
      const seen = (await Promise.all(placesOf(target).map(read))).flatMap((one) => one ?? []);
      const held = seen.flatMap((one) => heldRoute(one, target) ?? []);
      const names = new Set(seen.flatMap((one) => versionsNamed(one.own?.tree, target)));
      for (const { before } of held) for (const name of before) names.add(name);
      const where = placesOf(target).map(({ subject, path }) => `${subject}, dentry ${path},`);
      return locateVersions(deps.cluster, target, { where: where.join(' and '), names, held }, wanted, image);
    },

    preflight: (target) => lookAtDtabs(client, target),

    async foresee(target, routes) {
      const seen = await Promise.all(placesOf(target).map(read));
      return seen.flatMap((one) => (one ? [foreseeDtab(one, routes, env)] : []));
    },

    async claim(target, fence) {
      const journal: Record<string, string> = {};
      for (const place of placesOf(target)) {
        const { seen, ...written } = await write(place, (found) => intendClaim(found, fence, env));
        if (written.kind !== 'done') return written;
        journal[place.subject] = seen?.marks?.restore ?? '';
      }
      return { ...DONE, journal };
    },

    async setRoute(target, route, fence, overwrite, journal = {}) {
      const why = unsayable(route, SUPPORT.namerd);
      if (why !== null) return refused(why);
      const raised: { place: Place; before: Route }[] = [];
      const lowerAll = () => Promise.all(raised.map(({ place, before }) => lower(place, before, fence)));
      for (const place of placesOf(target)) {
        let before: Route = STABLE_ROUTE;
        try {
          const intend = (seen: Seen) => {
            // A second look after a write of unknown outcome finds this route already.
            if (seen.marks?.seq !== fence.seq) before = seen.route ?? STABLE_ROUTE;
            const noted = overwrite ? journal[place.subject] || null : null;
            return intendRoute(seen, route, fence, { overwrite, noted, env });
          };
          const { seen: _, ...written } = await write(place, intend, undefined, confirming.isSeen);
          if (written.kind !== 'done') {
            await lowerAll();
            return written;
          }
          raised.push({ place, before });
        } catch (error) {
          await lowerAll();
          throw error;
        }
      }
      return DONE;
    },

    async reset(target, fence, journal, abort) {
      const written = await all(
        placesOf(target).map((place) => {
          const noted = journal[place.subject] || null;
          const gone = abort ? DONE : refused(`${place.subject} is gone`);
          return giveBack(place, (seen) => intendReset(seen, fence, { abort, noted, env }), gone);
        }),
      );
      // An abort is never given up: as a fault it is tried again, and told to people when it lasts.
      if (abort && written.kind === 'refused') throw new Error(written.message);
      return written;
    },

    async settle(target, fence, journal, overwrite) {
      for (const place of placesOf(target)) {
        const noted = journal[place.subject] || null;
        const { seen: _, ...written } = await write(place, (seen) =>
          intendSettle(seen, fence, { overwrite, noted, env }),
        );
        if (written.kind !== 'done') return written;
      }
      return DONE;
    },

    async sendsToStable(target) {
      const seen = await Promise.all(placesOf(target).map(read));
      return seen.flatMap((one) => (one && namesStable(one) ? [one.place.subject] : []));
    },

    async getRoute(target) {
      const seen = await Promise.all(placesOf(target).map(read));
      const found = seen.flatMap((one) => one ?? []);
      if (found.length === 0) return null;
      const all = found.flatMap(({ marks }) => marks ?? []);
      const [newest = null] = all.toSorted((a, b) => b.epoch - a.epoch || b.seq - a.seq);
      if (found.length === seen.length && found.every(({ settled }) => settled)) {
        const whole = found.every(isSettled);
        return { route: whole ? { ...STABLE_ROUTE, weight: 100 } : null, marks: newest, settled: true };
      }
      const routes = found.map(readRoute);
      const same = routes.every((route) => JSON.stringify(route) === JSON.stringify(routes[0]));
      return { route: (same && routes[0]) || null, marks: newest };
    },

    async confirmed(target) {
      const answers = await Promise.all(placesOf(target).map((place) => confirming.isConfirmed(place, read)));
      return { kind: answers.every(Boolean) ? 'confirmed' : 'pending' };
    },

    async drift(target, _route, fence) {
      for (const place of placesOf(target)) {
        const seen = await read(place);
        if (!seen) return { object: place.subject, difference: 'it is gone', weight: null };
        const { marks } = seen;
        if (!marks) return marksLost(place.subject);
        // Another holder's, or later than our last write: not for a drift to tell.
        if (marks.rollout !== fence.rollout || marks.epoch > fence.epoch) continue;
        if (marks.epoch < fence.epoch || marks.seq < fence.seq) return marksLost(place.subject);
        const drift = driftOf(seen);
        if (drift) return drift;
      }
      return null;
    },

    async release(target, fence) {
      return all(
        placesOf(target).map(async (place) => {
          const { seen: _, ...written } = await write(place, (found) => intendRelease(found, fence), DONE);
          return written;
        }),
      );
    },

    async listMarked(addresses) {
      const found = await Promise.all(
        addresses.map(async (address) => {
          const entries = (await client.read(address))?.entries ?? [];
          return markedServices(entries).flatMap((service) => {
            const { marks, env: whose } = readMarks(entries, service);
            return marks ? [{ object: `${address}, dentry /sluice/${service}`, marks, env: whose }] : [];
          });
        }),
      );
      return found.flat();
    },

    async blindAbort(target, rollout, by, keepTraffic = false) {
      const places = placesOf(target);
      const found = await Promise.all(places.map(read));
      const partly = found.some((one) => one?.settled === false);
      const intend = (seen: Seen) => intendBlindAbort(seen, rollout, { by, keepTraffic, env, partly });
      return all(
        places.map(async (place) => {
          if (!keepTraffic) return giveBack(place, intend, DONE);
          const { seen: _, ...written } = await write(place, intend, DONE);
          return written;
        }),
      );
    },
  };
}
