/** The journal of a Kubernetes Service whose selector is switched for a rollout. */
import { z } from 'zod';
import type { Held } from './kinds.ts';
import { readMarks } from './marks.ts';

const labels = z.record(z.string(), z.string());
const schema = z.object({ selector: labels, canary: labels });

export type Labels = Readonly<Record<string, string>>;
/** The selector as it was, and as it selects the canary's pods. */
export type Switched = { readonly selector: Labels; readonly canary: Labels };

/** null: it cannot be read, or is something else's. */
export function parseSwitched(restore: string | null): Switched | null {
  try {
    return schema.safeParse(JSON.parse(restore ?? 'null')).data ?? null;
  } catch {
    return null;
  }
}

/** As it was when a running rollout claimed the Kubernetes Service; null: none did. */
export const selectorBefore = (service: Held) => parseSwitched(readMarks(service)?.restore ?? null)?.selector ?? null;
