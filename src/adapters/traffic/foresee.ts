/** What the writes of a rollout change in an object: the dialect's own patches, applied to a copy instead of sent. */
import { isDeepStrictEqual } from 'node:util';
import type { Route } from '../../core/plan.ts';
import type { Foreseen } from '../../core/writes.ts';
import type { Op } from '../kubernetes/marks.ts';
import type { Held } from '../kubernetes/objects.ts';
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
  return { object: subject, routes: written, back: after(dialect.restore(now, journal)) };
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

/** What is new or gone stands at the end of a list, or at its start: the shorter account is the right one. */
function ofLists(before: readonly unknown[], after: readonly unknown[], path: string): readonly string[] {
  const longest = Math.max(before.length, after.length);
  const account = (fromEnd: boolean) =>
    Array.from({ length: longest }, (_, n) => {
      const [b, a] = fromEnd ? [n - longest + before.length, n - longest + after.length] : [n, n];
      return differences(before[b], after[a], `${path}[${a < 0 || a >= after.length ? b : a}]`);
    }).flat();
  const [start, end] = [account(false), account(true)];
  return end.join().length < start.join().length ? end : start;
}

const step = (key: string, first: boolean) => (/^[\w-]+$/.test(key) ? `${first ? '' : '.'}${key}` : `["${key}"]`);
const text = (value: unknown) => JSON.stringify(value);
