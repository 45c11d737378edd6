/** Who held the service and its Deployments, and when. Pure, but for the epochs that it remembers. */
import type { KubeObject } from '../../playground/api-server/objects.ts';
import type { RecordedEvent } from '../../src/app/ports/store.ts';
import { isTerminal, type Rollout } from '../../src/core/rollout.ts';

const EPOCH = 'sluice.dev/epoch';

/** I8: tells of each revision whether its epoch is older than one that this object had before, also under an earlier uid. */
export function watchEpochs(): (object: Pick<KubeObject, 'kind' | 'metadata'>) => readonly string[] {
  const highest = new Map<string, number>();
  return ({ kind, metadata: { name, annotations = {} } }) => {
    const [epoch, before] = [Number(annotations[EPOCH] ?? 0), highest.get(name) ?? 0];
    // Taken off by others: nothing is claimed by it.
    if (epoch === 0) return [];
    highest.set(name, Math.max(epoch, before));
    return epoch < before ? [`I8 ${kind} ${name} has epoch ${epoch} after ${before}`] : [];
  };
}

type Life = { readonly id: string; readonly from: number; readonly to: number };

/** From what came after the request, whose time is taken before it is recorded. */
export const lifeOf = (rollout: Rollout, events: readonly Pick<RecordedEvent, 'at'>[]): Life => ({
  id: rollout.id,
  from: (events[1] ?? events[0])?.at ?? 0,
  to: isTerminal(rollout) ? rollout.phase.since : Number.POSITIVE_INFINITY,
});

/** I7: two rollouts of one service never live at once. */
export function overlaps(lives: readonly Life[]): readonly string[] {
  const sorted = lives.toSorted((a, b) => a.from - b.from);
  return sorted.flatMap((one, n) =>
    sorted.slice(n + 1).flatMap(({ id, from }) => (from < one.to ? [`I7 ${id} began before ${one.id} had ended`] : [])),
  );
}
