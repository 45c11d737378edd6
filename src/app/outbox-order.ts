/** Which message goes first, and how long what is left has to wait. */
import type { Outgoing } from '../core/event.ts';
import type { Rollout } from '../core/rollout.ts';

/** Waiting time before what is left may be tried again, ms. */
export type Left = number | 'nothing';

/** The root comes before everything else, which is in its thread; a picture after its gate. */
export function sendableOf(waiting: readonly Outgoing[], { messages }: Rollout): readonly Outgoing[] {
  const hasRoot = messages.root !== undefined;
  return waiting.filter(({ key }) => {
    if (!hasRoot) return key === 'root';
    return !key.startsWith('chart:') || messages[key.replace('chart', 'gate')] !== undefined;
  });
}

/** An edit that takes buttons away, gates, results, the rest. */
export function mostUrgent(sendable: readonly Outgoing[], { messages }: Rollout): Outgoing | null {
  const rank = ({ key }: Outgoing): number => {
    if (key.startsWith('gate:')) return messages[key] === undefined ? 1 : 0;
    if (key === 'result') return 2;
    if (key.startsWith('note:')) return 3;
    return key === 'root' ? 4 : 5;
  };
  return sendable.reduce<Outgoing | null>((best, one) => (best === null || rank(one) < rank(best) ? one : best), null);
}

export const soonest = (parts: readonly Left[]): Left =>
  parts.reduce((best, one) => (best === 'nothing' || (one !== 'nothing' && one < best) ? one : best), 'nothing');
