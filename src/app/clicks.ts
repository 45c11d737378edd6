/** What a button of a rollout's messages means, and whether it stands where it was posted. */

import type { Event } from '../core/event.ts';
import { isSamePlace, type Place, parsePlace } from '../core/place.ts';
import type { Actor } from '../core/plan.ts';
import type { Rollout } from '../core/rollout.ts';
import type { Click } from './requests.ts';

/**
 * Where the button was posted, if `at` is another message; null: it stands there, or the rollout does not know yet. An Abort
 * counts wherever it stands.
 */
export function originalOf(clicked: Click, { messages, plan }: Rollout, at: Place): string | null {
  if (clicked.action === 'abort') return null;
  const own = messages[clicked.action === 'rollback' ? 'result' : `gate:${clicked.gate.split('.').at(-1)}`];
  return own === undefined || isSamePlace(at, parsePlace(own, plan.channel)) ? null : own;
}

export function gateEvent(
  clicked: Exclude<Click, { action: 'abort' | 'rollback' }>,
  actor: Actor,
  reason: string | null,
): Event {
  const { gate } = clicked;
  switch (clicked.action) {
    case 'approve':
      return { type: 'approved', gate, actor, reason };
    case 'hold':
      return { type: 'held', gate, actor };
    case 'reapply':
      return { type: 'reapplied', gate, actor };
    case 'accept':
      return { type: 'accepted', gate, actor };
    case 'retry':
      return { type: 'retried', gate, actor };
    case 'keep':
      return { type: 'kept', gate, actor };
    default:
      return clicked.action satisfies never;
  }
}
