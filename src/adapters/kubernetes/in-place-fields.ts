/**
 * What the workload `in-place` owns of a Deployment: its template and how fast it rolls. While the canary has a share, new pods
 * do not count as available (`minReadySeconds`), so that Kubernetes makes the first batch and no more, also when nobody is
 * there to pause it; `paused` says the same to people. Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { Held } from './kinds.ts';
import { type Op, readMarks, replace, test } from './marks.ts';
import { type Deployment, type PodTemplate, parseTemplate } from './objects.ts';

/** Longer than any rollout; Kubernetes keeps such a pod in its Service as soon as it is Ready. */
export const HOLD_S = 1_000_000;
const HELD_DEADLINE_S = HOLD_S + 600;

const ownSchema = z.object({
  strategy: z.looseObject({ type: z.string().optional() }).optional(),
  minReadySeconds: z.number().optional(),
  progressDeadlineSeconds: z.number().optional(),
  paused: z.boolean().optional(),
});
/** How a Deployment rolls, as its owners have it. */
export type Own = z.infer<typeof ownSchema>;
const OWN = ['strategy', 'minReadySeconds', 'progressDeadlineSeconds', 'paused'] as const;

/**
 * `next`: the template that is rolled out, from the canary's making on. `told`: what it was told of that last, nothing at first:
 * a share of new pods, or all of them. `returning`: somebody let something else run on, and the pods of before come back first.
 */
const journalSchema = z.object({
  service: z.string(),
  template: z.unknown().transform(parseTemplate),
  own: ownSchema,
  next: z
    .unknown()
    .transform((value) => (value === undefined ? undefined : parseTemplate(value)))
    .optional(),
  told: z.enum(['share', 'all']).optional(),
  returning: z.literal(true).optional(),
});
export type InPlaceJournal = {
  readonly service: string;
  readonly template: PodTemplate;
  readonly own: Own;
  readonly next?: PodTemplate | undefined;
  readonly told?: 'share' | 'all' | undefined;
  readonly returning?: true | undefined;
};

export function readJournal(object: Held): InPlaceJournal | null {
  try {
    return journalSchema.parse(JSON.parse(readMarks(object)?.restore ?? ''));
  } catch {
    return null;
  }
}

export function ownOf({ spec }: Deployment): Own {
  const own = ownSchema.parse(spec);
  // `false` and absent are the same to Kubernetes, and only one of them can be written back as it was.
  return own.paused ? own : { ...own, paused: undefined };
}

/** What Kubernetes gives a Deployment that says nothing: for one whose journal is lost. */
export const DEFAULT_OWN: Own = {
  strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
  progressDeadlineSeconds: 600,
};

/** Exactly `pods` new ones beside all of the old ones. */
const heldAt = (pods: number): Own => ({
  strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: pods, maxUnavailable: 0 } },
  minReadySeconds: HOLD_S,
  progressDeadlineSeconds: HELD_DEADLINE_S,
});

export const isHeld = ({ spec }: Deployment) => spec.minReadySeconds === HOLD_S;

/**
 * How many new pods beside `replicas` old ones come nearest to a weight, of two as near the more: at least one, at most as many
 * as there are old ones (half of the requests). Infinity: all pods are new.
 */
export function podsFor(weight: number, replicas: number): number {
  if (weight >= 100) return Number.POSITIVE_INFINITY;
  const fewer = Math.floor((weight * replicas) / (100 - weight));
  const more = fewer + 1;
  // Not the nearest number of pods: each makes less of a difference than the one before.
  const isMoreAsNear = shareOf(more, replicas) - weight <= weight - shareOf(fewer, replicas);
  return Math.min(replicas, Math.max(1, isMoreAsNear ? more : fewer));
}

const shareOf = (pods: number, replicas: number) => (100 * pods) / (replicas + pods);

/** `20% (1 of 5 pods; 10% was asked)`; null: exactly what was asked. */
export function achieved(weight: number, replicas: number): string | null {
  if (weight <= 0 || weight >= 100) return null;
  const pods = podsFor(weight, replicas);
  const share = Math.round(shareOf(pods, replicas));
  return share === weight ? null : `${share}% (${pods} of ${replicas + pods} pods; ${weight}% was asked)`;
}

/** How many new pods a Deployment has been told to have; 0: it has its old template. */
export function level(object: Deployment, { next }: InPlaceJournal): number {
  if (next === undefined || !isDeepStrictEqual(object.spec.template, next)) return 0;
  if (!isHeld(object)) return Number.POSITIVE_INFINITY;
  const { maxSurge } = z
    .object({ maxSurge: z.number().catch(0) })
    .catch({ maxSurge: 0 })
    .parse(object.spec.strategy?.rollingUpdate);
  return maxSurge + replaced(object);
}

/** Its status tells of the Deployment as it is now. */
export const isTakenUp = ({ metadata, status }: Deployment) =>
  (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0);

/**
 * How many new pods stand for old ones, besides those of `maxSurge`: whoever scales a Deployment that has both, as autoscalers
 * do, scales both in proportion, and from then on Kubernetes fills up with new ones.
 */
function replaced(object: Deployment): number {
  const { replicas = 0, updatedReplicas = 0 } = object.status ?? {};
  return isTakenUp(object) ? Math.max(0, object.spec.replicas - (replicas - updatedReplicas)) : 0;
}

/** One patch to `pods` new ones: from there on it rolls by itself, to there and no further. */
export function rollTo(object: Deployment, journal: InPlaceJournal, pods: number): Op[] {
  const template = journal.next ?? journal.template;
  const standing = level(object, journal) > 0 ? replaced(object) : 0;
  return write(object, template, Number.isFinite(pods) ? heldAt(Math.max(1, pods - standing)) : journal.own);
}

export const pause = (object: Deployment): Op[] => field(object, 'paused', true);

/** The template with the fields of the owners: unpaused, since Kubernetes does nothing to a paused one. */
export const giveBack = (object: Deployment, template: PodTemplate, own: Own): Op[] => write(object, template, own);

function write(object: Deployment, template: PodTemplate, own: Own): Op[] {
  const same = isDeepStrictEqual(object.spec.template, template);
  return [
    ...(same ? [] : [test('/spec/template', object.spec.template), replace('/spec/template', template)]),
    ...OWN.flatMap((name) => field(object, name, own[name])),
  ];
}

function field(object: Deployment, name: (typeof OWN)[number], value: unknown): Op[] {
  const found = ownOf(object)[name];
  if (isDeepStrictEqual(found, value)) return [];
  const path = `/spec/${name}`;
  const asRead = object.spec[name] === undefined ? [] : [test(path, object.spec[name])];
  if (value === undefined) return found === undefined ? [] : [...asRead, { op: 'remove', path }];
  return [...asRead, { op: 'add', path, value }];
}
