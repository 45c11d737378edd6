/** What the writes of a rollout change in an object: the dialect's own patches, applied to a copy instead of sent. */
import { isDeepStrictEqual } from 'node:util';
import type { Route } from '../../core/plan.ts';
import type { Foreseen } from '../../core/writes.ts';
import type { Held } from '../kubernetes/kinds.ts';
import type { Op } from '../kubernetes/marks.ts';
import type { Dialect } from './dialect.ts';

export function foreseeObject<T extends Held, Journal>(
  dialect: Dialect<T, Journal>,
  { object, subject, service }: { readonly object: T; readonly subject: string; readonly service: string },
  routes: readonly Route[],
): Foreseen {
  const journal = dialect.take(object, service);
  let now = object;
  const after = (ops: readonly Op[]) => {
    const before = now;
    now = applied(before, ops);
    return differences(before, now);
  };
  const written = routes.map((route) => after(dialect.say(now, journal, route)));
  const [last, succeeded] = [now, dialect.succeed?.(journal)];
  return {
    object: subject,
    routes: written,
    back: after(dialect.restore(last, journal)),
    ...(succeeded && { settled: differences(last, applied(last, dialect.restore(last, succeeded))) }),
  };
}

/** The object with a patch in it; what the patch tests is not tested. */
export function applied<T>(object: T, ops: readonly Op[]): T {
  const copy = structuredClone(object);
  for (const op of ops) {
    if (op.op === 'test') continue;
    const parts = op.path
      .split('/')
      .slice(1)
      .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = parts.pop() ?? '';
    const parent = parts.reduce<unknown>((at, part) => (isRecord(at) ? at[part] : undefined), copy);
    if (!isRecord(parent)) continue;
    if (Array.isArray(parent))
      parent.splice(Number(last), op.op === 'add' ? 0 : 1, ...('value' in op ? [op.value] : []));
    else if ('value' in op) parent[last] = op.value;
    else delete parent[last];
  }
  return copy;
}

/** An array is one too: its keys are its places. */
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** One line for each field: `spec.rules[0].backendRefs[1].weight: 10 → 50`. */
export function differences(before: unknown, after: unknown, path = ''): readonly string[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (Array.isArray(before) && Array.isArray(after)) return ofLists(before, after, path);
  if (isRecord(before) && isRecord(after) && !Array.isArray(before) && !Array.isArray(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) => differences(before[key], after[key], `${path}${step(key, path === '')}`));
  }
  if (before === undefined) return [`${path}: ${text(after)} (new)`];
  return [after === undefined ? `${path}: gone` : `${path}: ${text(before)} → ${text(after)}`];
}

/**
 * Things are put into a list, or taken out of it, at any place: at each, the shorter account is the right one. What was there is
 * called by the place that it had.
 */
function ofLists(before: readonly unknown[], after: readonly unknown[], path: string): readonly string[] {
  const lines: string[] = [];
  const pair = (b: number, a: number) => differences(before[b], after[a], `${path}[${b}]`);
  const gone = (b: number) => differences(before[b], undefined, `${path}[${b}]`);
  const made = (a: number) => differences(undefined, after[a], `${path}[${a}]`);
  let [b, a] = [0, 0];
  while (b < before.length || a < after.length) {
    const spare = after.length - a - (before.length - b);
    if (spare > 0 && (b === before.length || isShorter([made(a), pair(b, a + 1)], [pair(b, a), made(a + 1)])))
      lines.push(...made(a++));
    else if (spare < 0 && (a === after.length || isShorter([gone(b), pair(b + 1, a)], [pair(b, a), gone(b + 1)])))
      lines.push(...gone(b++));
    else lines.push(...pair(b++, a++));
  }
  return lines;
}

const isShorter = (one: readonly unknown[], other: readonly unknown[]) => String(one).length < String(other).length;

const step = (key: string, first: boolean) => (/^[\w-]+$/.test(key) ? `${first ? '' : '.'}${key}` : `["${key}"]`);
const text = (value: unknown) => JSON.stringify(value);
