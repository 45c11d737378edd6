/** The hash chain over a rollout's events: whoever changes, drops or swaps one afterwards is found out. */
import { createHash } from 'node:crypto';
import type { RecordedEvent } from '../../app/ports/store.ts';
import type { Event } from '../../core/event.ts';
import type { Plan } from '../../core/plan.ts';

/** Before the first event. */
export const NO_HEAD = '';

/** An event as it is stored: the first one without its plan, which is the rollout's own and not kept twice. */
export function withoutPlan(event: Event): { readonly event: StoredEvent; readonly plan: Plan | null } {
  if (event.type !== 'requested') return { event, plan: null };
  const { plan, ...rest } = event;
  return { event: rest, plan };
}

export type StoredEvent = Exclude<Event, Requested> | Omit<Requested, 'plan'>;
type Requested = Extract<Event, { type: 'requested' }>;

/** SHA-256, base64url, over the hash before, version, time and event; JSON has no raw line break, so the parts stay apart. */
export function linkHash(before: string, version: number, at: number, event: Event): string {
  const { event: stored, plan } = withoutPlan(event);
  const parts = [before, version, at, JSON.stringify(stored), JSON.stringify(plan)];
  return createHash('sha256').update(parts.join('\n')).digest('base64url');
}

export type ChainCheck =
  | { readonly ok: true; readonly head: string }
  | { readonly ok: false; readonly version: number; readonly problem: string };

/**
 * Checks events from the first one on. A chain that was cut at its end, or rewritten as a whole, still verifies: compare `head`
 * with one that was noted elsewhere.
 */
export function verifyChain(events: readonly RecordedEvent[]): ChainCheck {
  let head = NO_HEAD;
  for (const [index, { version, at, event, hash }] of events.entries()) {
    if (version !== index + 1) return { ok: false, version, problem: `event ${index + 1} is missing before it` };
    if (hash !== linkHash(head, version, at, event)) return { ok: false, version, problem: 'it was changed' };
    head = hash;
  }
  return { ok: true, head };
}
