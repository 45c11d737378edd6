/** The objects that carry the route of a target: how each is found, read, made and written. What the parts of a router share. */
import type { Fence, Written } from '../../app/ports/cluster.ts';
import type { Target } from '../../core/plan.ts';
import { DONE, type Intent, type Result, refused, write } from '../kubernetes/fence.ts';
import { type Held, type Kind, nameOf, type Ref } from '../kubernetes/kinds.ts';
import { birthMarks, MANAGED_LABEL } from '../kubernetes/marks.ts';
import type { Service } from '../kubernetes/objects.ts';
import { findServing } from '../kubernetes/serving.ts';
import type { Dialect, Made, RouteObjects, RouterDeps } from './dialect.ts';
import { createIntents } from './object-intents.ts';

/** One object of a target: how it is written, and what its fields mean. */
export type Handle<T extends Held, Journal> = {
  readonly kind: Kind<T>;
  readonly ref: Ref;
  readonly subject: string;
  readonly dialect: Dialect<T, Journal>;
  readonly intents: ReturnType<typeof createIntents<T, Journal>>;
  readonly send: (intend: (object: T) => Intent, gone?: Written) => Promise<Result<T>>;
};

export type Handles<T extends Held, Journal> = ReturnType<typeof createHandles<T, Journal>>;

export function createHandles<T extends Held, Journal>(
  { cluster, env = 'default' }: RouterDeps,
  routes: RouteObjects<T, Journal>,
) {
  async function of(target: Target): Promise<readonly Handle<T, Journal>[]> {
    const kind = await routes.kind(cluster);
    return Promise.all(
      routes.refs(target).map(async (ref) => {
        const subject = nameOf(kind, ref);
        const dialect = await routes.dialect(target, ref);
        const send = (intend: (object: T) => Intent, gone?: Written) => write(cluster, kind, ref, intend, gone);
        return { kind, ref, subject, dialect, intents: createIntents(dialect, subject), send };
      }),
    );
  }

  const seen = ({ kind, ref }: Handle<T, Journal>) => cluster.view(kind, ref.namespace).get(ref.name);

  /** As an object of a router that makes them would be made beside `service`; null: it makes none. */
  const made = async (target: Target, { ref }: Handle<T, Journal>, service: Service): Promise<Made | null> =>
    (await routes.make?.(cluster, target, ref, service)) ?? null;

  return {
    of,
    seen,
    made,
    fresh: ({ kind, ref }: Handle<T, Journal>) => cluster.get(kind, ref),
    watched: async (target: Target) =>
      Promise.all((await of(target)).map(async (one) => ({ ...one, object: await seen(one) }))),

    /** The same as of now. */
    async madeNow(target: Target, one: Handle<T, Journal>): Promise<Made | null> {
      if (!routes.make) return null;
      const serving = await findServing(cluster, target);
      return serving.ok ? made(target, one, serving.service) : { ok: false, refusal: serving.refusal };
    },

    /** Makes an object that is missing and may be, claimed from birth; null: there is one. */
    async create(one: Handle<T, Journal>, make: Made, fence: Fence): Promise<Written | null> {
      if (await seen(one)) return null;
      if (!make.ok) return refused(make.refusal);
      const { draft, restore } = make;
      const outcome = await cluster.create(one.kind, one.ref, {
        ...draft,
        labels: { ...draft.labels, ...MANAGED_LABEL },
        annotations: { ...draft.annotations, ...birthMarks(fence, { restore, env }) },
      });
      if (outcome.ok) return DONE;
      return outcome.error.kind === 'conflict' ? null : refused(outcome.error.message);
    },
  };
}
