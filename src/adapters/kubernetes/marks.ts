/** Sluice's marks on the objects it claims (annotations), and the JSON Patch operations that test and write them. */
import type { Fence, Marks } from '../../app/ports/cluster.ts';
import type { Held } from './kinds.ts';

const PREFIX = 'sluice.dev/';
const MANAGED_BY = 'app.kubernetes.io/managed-by';
export const MANAGED_LABEL = { [MANAGED_BY]: 'sluice' } as const;

/** RFC 6902. `test` compares JSON values; a failed one refuses the whole patch. */
export type Op =
  | { readonly op: 'test' | 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/** JSON Pointer of RFC 6901: `~` and `/` inside a part are escaped. */
export const pointer = (...parts: readonly (string | number)[]) =>
  parts.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

export const test = (path: string, value: unknown): Op => ({ op: 'test', path, value });
export const replace = (path: string, value: unknown): Op => ({ op: 'replace', path, value });

/**
 * What Sluice writes in annotations, `null` takes one off. `route`: the route that was written last; `env`: whose bot it is;
 * `replicas`: how many a Deployment had before it was scaled to 0.
 */
export type MarkChanges = Partial<
  Record<
    'rollout' | 'epoch' | 'seq' | 'phase' | 'restore' | 'route' | 'abort' | 'env' | 'replicas',
    string | number | null
  >
>;

const annotation = (object: Held, mark: string) => object.metadata.annotations?.[PREFIX + mark] ?? null;

/** Marks as found; null when the object was never claimed or they cannot be read. */
export function readMarks(object: Held): Marks | null {
  const rollout = annotation(object, 'rollout');
  const epoch = count(annotation(object, 'epoch'));
  if (!rollout || epoch === null) return null;
  return {
    rollout,
    epoch,
    seq: count(annotation(object, 'seq')) ?? 0,
    phase: annotation(object, 'phase') === 'done' ? 'done' : 'active',
    abort: annotation(object, 'abort'),
    restore: annotation(object, 'restore'),
  };
}

function count(text: string | null): number | null {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** The route that was written last, as JSON. */
export const readRouteMark = (object: Held) => annotation(object, 'route');

/** Replicas of a Deployment before a rollout scaled it to 0; null: none did. */
export const readReplicas = (object: Held) => count(annotation(object, 'replicas'));

/** `env` of the bot whose rollout claimed the object. */
export const readEnv = (object: Held) => annotation(object, 'env');

/** Annotations of a new object: claimed from birth. */
export function birthMarks(
  { rollout, epoch, seq }: Fence,
  more: Readonly<Partial<Record<'restore' | 'env', string>>> = {},
): Record<string, string> {
  const marks = { rollout, epoch: String(epoch), seq: String(seq), phase: 'active', ...more };
  return Object.fromEntries(Object.entries(marks).map(([mark, value]) => [PREFIX + mark, value]));
}

/** Highest epoch on the objects, 0 without any. */
export const highestEpoch = (objects: readonly Held[]) =>
  Math.max(0, ...objects.map((object) => readMarks(object)?.epoch ?? 0));

export const isOurs = (object: Held) => object.metadata.labels?.[MANAGED_BY] === 'sluice';

/** An object that a rollout works with now: worth watching. */
export const isActive = (object: Held) => isOurs(object) || readMarks(object)?.phase === 'active';

/** Tests that the marks are still as they were read. */
export function testMarks(object: Held, marks: readonly (keyof MarkChanges)[]): Op[] {
  const annotations = object.metadata.annotations ?? {};
  return marks.flatMap((mark) => {
    const value = annotations[PREFIX + mark];
    return value === undefined ? [] : [test(pointer('metadata', 'annotations', PREFIX + mark), value)];
  });
}

/** Writes marks; makes the annotations map when the object has none. */
export function setMarks(object: Held, changes: MarkChanges): Op[] {
  const path = (mark: string) => pointer('metadata', 'annotations', PREFIX + mark);
  const { annotations } = object.metadata;
  // The `test` keeps a map that appeared meanwhile from being replaced.
  const map: Op[] = annotations
    ? []
    : [
        test(pointer('metadata', 'annotations'), null),
        { op: 'add', path: pointer('metadata', 'annotations'), value: {} },
      ];
  const marks = Object.entries(changes).flatMap(([mark, value]): Op[] => {
    if (value !== null) return [{ op: 'add', path: path(mark), value: String(value) }];
    return annotations?.[PREFIX + mark] === undefined ? [] : [{ op: 'remove', path: path(mark) }];
  });
  return [...map, ...marks];
}
