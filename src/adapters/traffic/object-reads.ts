/** What the route objects of a rollout say: the route they show, whose they are, and whether their controllers took it. */
import type { Marks } from '../../app/ports/cluster.ts';
import type { TrafficRouter } from '../../app/ports/router.ts';
import { STABLE_ROUTE } from '../../core/plan.ts';
import { type Held, nameOf } from '../kubernetes/kinds.ts';
import { readEnv, readMarks } from '../kubernetes/marks.ts';
import type { RouteObjects, RouterDeps } from './dialect.ts';
import type { Drifts } from './object-drift.ts';
import type { Handles } from './object-handles.ts';
import { isMarkedSettled } from './object-intents.ts';

export function createReads<T extends Held, Journal>(
  { cluster }: RouterDeps,
  routes: RouteObjects<T, Journal>,
  handles: Handles<T, Journal>,
  drifts: Drifts<T, Journal>,
) {
  return {
    async getRoute(target) {
      const found = (await handles.watched(target)).flatMap(({ object, ...one }) =>
        object ? [{ ...one, object }] : [],
      );
      if (found.length === 0) return null;
      const marks = newestMarks(found.map(({ object }) => object));
      const areAllThere = found.length === routes.refs(target).length;
      if (areAllThere && found.every(({ object }) => isMarkedSettled(object))) {
        const whole = found.every(({ object, intents }) => intents.isSettled(object));
        return { route: whole ? { ...STABLE_ROUTE, weight: 100 } : null, marks, settled: true };
      }
      const read = found.map(({ dialect, intents, object }) => dialect.read(object, intents.journalOf(object)));
      const same = read.every((route) => JSON.stringify(route) === JSON.stringify(read[0]));
      return { route: (same && read[0]) || null, marks };
    },

    async confirmed(target) {
      // Of an object that is gone nobody says anything any more: it is not waited for.
      const answers = (await handles.watched(target)).flatMap(({ object, dialect }) =>
        object ? [dialect.status?.(object) ?? ({ kind: 'confirmed' } as const)] : [],
      );
      return (
        answers.find(({ kind }) => kind === 'rejected') ??
        answers.find(({ kind }) => kind === 'pending') ?? { kind: 'confirmed' }
      );
    },

    async sendsToStable(target) {
      const found = (await handles.of(target)).map(async (one) => {
        const object = await handles.fresh(one);
        return object && one.dialect.sendsToStable?.(object) ? [one.subject] : [];
      });
      return (await Promise.all(found)).flat();
    },

    async drift(target, _route, fence) {
      for (const one of await handles.of(target)) {
        const drift = await drifts.of(target, one, fence);
        if (drift) return drift;
      }
      return null;
    },

    async listMarked(namespaces) {
      const kind = await routes.kind(cluster);
      const objects = (await Promise.all(namespaces.map((namespace) => cluster.list(kind, namespace)))).flat();
      return objects.flatMap((object) => {
        const marks = routes.isRoute?.(object) === false ? null : readMarks(object);
        return marks ? [{ object: nameOf(kind, object.metadata), marks, env: readEnv(object) }] : [];
      });
    },
  } satisfies Partial<TrafficRouter>;
}

/** Several routes speak with one voice: the last write's, and held as long as one of them is. */
function newestMarks(objects: readonly Held[]): Marks | null {
  const found = objects.flatMap((object) => readMarks(object) ?? []);
  const [newest] = found.toSorted((a, b) => b.epoch - a.epoch || b.seq - a.seq);
  if (!newest) return null;
  const isHeld = found.some(({ rollout, phase }) => rollout === newest.rollout && phase === 'active');
  return { ...newest, phase: isHeld ? 'active' : 'done' };
}
