import { isDeepStrictEqual } from 'node:util';
import type { Op } from '../../src/adapters/kubernetes/marks.ts';
import type { Json } from './kube.ts';

/** Applies a JSON Patch as an API server does; throws when a `test` fails or a path leads nowhere. */
export function applyPatch<T>(document: T, ops: readonly Op[]): T {
  const copy: Json = structuredClone(document);
  for (const op of ops) {
    const parts = op.path
      .split('/')
      .slice(1)
      .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = parts.pop() ?? '';
    const parent = parts.reduce((at, part) => at?.[part], copy);
    if (parent === undefined) throw new Error(`no ${op.path}`);
    if (op.op === 'test') {
      if (!isDeepStrictEqual(parent[last] ?? null, op.value)) throw new Error(`test of ${op.path} failed`);
    } else if (op.op === 'remove') {
      if (!(last in parent)) throw new Error(`no ${op.path}`);
      if (Array.isArray(parent)) parent.splice(Number(last), 1);
      else delete parent[last];
    } else if (Array.isArray(parent) && op.op === 'add') {
      parent.splice(last === '-' ? parent.length : Number(last), 0, structuredClone(op.value));
    } else {
      parent[last] = structuredClone(op.value);
    }
  }
  return copy;
}
