/** What is wrong in `sluice.yaml`, in one line each: the place and the remedy. */
import type { z } from 'zod';
import { nearest } from './suggest.ts';

export type RawIssue = { readonly code?: string | undefined; readonly input?: unknown };

/** A message that says what to write and what was found: `write true or false, not "yes"`. */
export const wanted =
  (what: string) =>
  ({ input }: RawIssue): string =>
    input === undefined ? `missing; write ${what}` : `write ${what}, not ${show(input)}`;

/** A value as a person would recognise it, cut where it gets long. */
export function show(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'keys and values';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

export function describe(issue: z.core.$ZodIssue, under: readonly PropertyKey[] = []): readonly string[] {
  const path = [...under, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const known = issue.message.split(' ');
    return issue.keys.map((key) => `${place([...path, key])}: unknown key; ${suggestion(key, known)}`);
  }
  if (issue.code === 'invalid_union') {
    // The alternative that was meant is the one in which something deeper than its kind is wrong.
    const meant = issue.errors.find((issues) => issues.some(isDeeper));
    if (meant) return meant.flatMap((inner) => describe(inner, path));
  }
  if (issue.code === 'invalid_key') return issue.issues.map((inner) => `${place(path)}: ${inner.message}`);
  return [`${place(path)}: ${issue.message}`];
}

const isDeeper = ({ path, code }: z.core.$ZodIssue) =>
  path.length > 0 || code === 'unrecognized_keys' || code === 'custom';

/** `did you mean "checks"?`, else what there is. */
export function suggestion(given: string, known: readonly string[]): string {
  const near = nearest(given, known);
  return near === null ? `known: ${known.join(', ')}` : `did you mean "${near}"?`;
}

/** `services.world.checks[1].max` */
export function place(path: readonly PropertyKey[]): string {
  const text = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  return text.replace(/^\./, '') || 'the file';
}
