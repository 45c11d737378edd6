/** What is looked at before a rollout touches its route objects. Reads only. */
import type { TrafficRouter } from '../../app/ports/router.ts';
import type { Target } from '../../core/plan.ts';
import type { Draft } from '../kubernetes/api.ts';
import { heldMessage } from '../kubernetes/fence.ts';
import type { Held, Ref } from '../kubernetes/kinds.ts';
import { highestEpoch, readMarks } from '../kubernetes/marks.ts';
import { otherOwner, revertWarnings } from '../kubernetes/owners.ts';
import { missingRolloutRights } from '../kubernetes/rollout-rights.ts';
import { NotServed } from '../kubernetes/served.ts';
import { findServing } from '../kubernetes/serving.ts';
import { locateVersions, routedVersions } from '../kubernetes/versioned-names.ts';
import type { RouteObjects, RouterDeps } from './dialect.ts';
import { foreseeObject } from './foresee.ts';
import type { Handles } from './object-handles.ts';
import { RESTORE_LIMIT, tooLong } from './object-intents.ts';

export function createPreflight<T extends Held, Journal>(
  { cluster }: RouterDeps,
  routes: RouteObjects<T, Journal>,
  handles: Handles<T, Journal>,
) {
  /** Why nothing can be asked of these objects at all. */
  async function unaskable(target: Target): Promise<readonly string[]> {
    const missing = await missingRolloutRights(cluster, target);
    return missing.length > 0 ? missing : unserved();
  }

  const unserved = (): Promise<readonly string[]> => routes.kind(cluster).then(() => [], notServed);

  return {
    async locate(target, wanted, image) {
      // An abort asks for no rights: it needs what it has, at once.
      const isAbort = wanted !== null && 'rollout' in wanted;
      const refusals = await (isAbort ? unserved() : unaskable(target));
      if (refusals.length > 0) return { ok: false, refusal: refusals.join(' ') };
      return locateVersions(cluster, target, await routedVersions(cluster, target), wanted, image);
    },

    async preflight(target, wanted = []) {
      const unasked = await unaskable(target);
      if (unasked.length > 0) return { ok: false, refusals: unasked };
      const found = await handles.watched(target);
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
        warnings: [
          ...look.warnings,
          // With in-place nothing is written there but annotations.
          ...found.flatMap(({ kind, object }) =>
            object && target.workload !== 'in-place' ? revertWarnings(kind, object) : [],
          ),
        ],
      };
    },

    async foresee(target, wanted) {
      const serving = await findServing(cluster, target);
      if (!serving.ok) return [];
      const service = serving.service.metadata.name;
      const found = await Promise.all(
        (await handles.watched(target)).map(async ({ object, ...one }) => {
          const made = object ? null : await handles.made(target, one, serving.service);
          const draft = made?.ok ? one.kind.schema.safeParse(asIfMade(one.ref, made.draft)).data : null;
          const start = object ?? draft;
          if (!start) return [];
          const foreseen = foreseeObject(one.dialect, { object: start, subject: one.subject, service }, wanted);
          return [object ? foreseen : { ...foreseen, isNew: true as const }];
        }),
      );
      return found.flat();
    },
  } satisfies Partial<TrafficRouter>;
}

/** An object that does not exist yet, with what the server would add. */
const asIfMade = (ref: Ref, { labels, annotations, spec }: Draft) => ({
  metadata: { ...ref, uid: '', resourceVersion: '', labels, annotations },
  spec,
});

function notServed(error: unknown): readonly string[] {
  if (error instanceof NotServed) return [error.message];
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
