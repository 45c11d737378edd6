/** The writes of a rollout on its way up: its claim, each route, and the place that a canary takes for good. */
import { isDeepStrictEqual } from 'node:util';
import type { Fence, Written } from '../../app/ports/cluster.ts';
import type { TrafficRouter } from '../../app/ports/router.ts';
import { type Route, STABLE_ROUTE } from '../../core/plan.ts';
import { unsayable } from '../../core/support.ts';
import { DONE, drifted, type Intent, refused } from '../kubernetes/fence.ts';
import type { Held } from '../kubernetes/kinds.ts';
import { isOurs, readMarks } from '../kubernetes/marks.ts';
import { findServing } from '../kubernetes/serving.ts';
import type { RouteObjects, RouterDeps } from './dialect.ts';
import type { Drifts } from './object-drift.ts';
import type { Handle, Handles } from './object-handles.ts';
import { lastRoute } from './object-intents.ts';

export function createWrites<T extends Held, Journal>(
  { cluster, log, env = 'default' }: RouterDeps,
  routes: RouteObjects<T, Journal>,
  handles: Handles<T, Journal>,
  drifts: Drifts<T, Journal>,
) {
  /** What cannot be lowered stays for the retry or the abort: the reason why it was to be is told, not this. */
  async function lower(one: Handle<T, Journal>, route: Route, fence: Fence): Promise<void> {
    const intend = (object: T) => one.intents.route(object, route, fence, { overwrite: null, repeat: true });
    const unlowered = await one.send(intend).then(
      (written) => (written.kind === 'done' ? null : written),
      (error: unknown) => error,
    );
    if (unlowered !== null) log.warn({ route: one.subject, unlowered }, 'a raised route could not be lowered again');
  }

  return {
    async claim(target, fence) {
      const serving = await findServing(cluster, target);
      if (!serving.ok) return refused(serving.refusal);
      const service = serving.service.metadata.name;
      const journal: Record<string, string> = {};
      for (const one of await handles.of(target)) {
        const made = await handles.made(target, one, serving.service);
        const created = made && (await handles.create(one, made, fence));
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
      let before: Route | null = null;
      const raise = async (one: Handle<T, Journal>): Promise<Written> => {
        const made = serving?.ok ? await handles.made(target, one, serving.service) : null;
        if (made) await handles.create(one, made, fence);
        const overtaking = overwrite ? null : await drifts.inOriginal(target, one, fence);
        if (overtaking) return drifted(overtaking);
        const intend = (object: T): Intent => {
          // All had the same route; one that carries this write already, from before a crash, no longer says which.
          const last = lastRoute(object);
          if (readMarks(object)?.seq !== fence.seq || !isDeepStrictEqual(last, route)) before ??= last;
          const renewal = routes.repeats && made?.ok && isOurs(object) ? made : null;
          // Where the marks were taken off a routed object, only Redis knows what its fields were before.
          const noted = one.dialect.parse(journal[one.subject] ?? null);
          const take = (found: T) => {
            if (!one.dialect.isEmpty(noted) && one.dialect.canSay(found, noted, route)) return noted;
            return service === null ? one.dialect.parse(null) : one.dialect.take(found, service);
          };
          return one.intents.route(object, route, fence, { overwrite: overwrite ? take : null, renewal });
        };
        const { object: _, ...written } = await one.send(intend);
        return written;
      };
      const all = await handles.of(target);
      const lowerAll = async (raised: typeof all) => {
        for (const up of raised) await lower(up, before ?? STABLE_ROUTE, fence);
      };
      for (const [index, one] of all.entries()) {
        try {
          const written = await raise(one);
          if (written.kind === 'done') continue;
          await lowerAll(all.slice(0, index));
          return written;
        } catch (error) {
          // It may have been written all the same.
          if (all.length > 1) await lowerAll(all.slice(0, index + 1));
          throw error;
        }
      }
      return DONE;
    },

    async settle(target, fence, journal, overwrite) {
      for (const one of await handles.of(target)) {
        const noted = one.dialect.parse(journal[one.subject] ?? null);
        const { object: _, ...written } = await one.send((object) =>
          one.intents.settle(object, fence, { overwrite, noted }),
        );
        // What is settled stays so: all routes give the canary everything, before and after.
        if (written.kind !== 'done') return written;
      }
      return DONE;
    },
  } satisfies Partial<TrafficRouter>;
}
