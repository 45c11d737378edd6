/** Sizes of a Deployment's ReplicaSets when it is scaled amid a rollout, or paused: in proportion, without I/O. */
import type { SetSize } from './rolling.ts';

export type ScaledSet = SetSize & {
  readonly revision: number;
  /** The most pods that the Deployment allowed when the set was sized; null: unknown. */
  readonly mostBefore: number | null;
};

/** `young`: the set of the template; null while a paused Deployment has none yet. */
export function nextScaledSizes(
  replicas: number,
  maxSurge: number,
  young: ScaledSet | null,
  old: readonly ScaledSet[],
): Map<string, number> {
  const all = young ? [...old, young] : old;
  const active = all.filter(({ wanted }) => wanted > 0);
  const only = active.length > 1 ? undefined : (active[0] ?? young ?? newest(old));
  if (active.length <= 1) return new Map(only ? [[only.name, replicas]] : []);
  if (young && young.wanted === replicas && young.available === replicas) {
    return new Map([[young.name, replicas], ...old.map((set) => [set.name, 0] as const)]);
  }
  return inProportion(replicas, maxSurge, active);
}

function inProportion(replicas: number, maxSurge: number, active: readonly ScaledSet[]): Map<string, number> {
  const most = replicas > 0 ? replicas + maxSurge : 0;
  const missing = most - active.reduce((sum, { wanted }) => sum + wanted, 0);
  // What is left over goes to the largest: the newer of equals when it grows, the older when it shrinks.
  const age = (set: ScaledSet) => (missing > 0 ? -set.revision : set.revision);
  const sets = active.toSorted((a, b) => b.wanted - a.wanted || age(a) - age(b));
  const sizes = new Map<string, number>();
  let given = 0;
  for (const set of sets) {
    const left = missing - given;
    const share = replicas === 0 ? -set.wanted : shareOf(set, most);
    const part = missing > 0 ? Math.min(share, left) : Math.max(share, left);
    sizes.set(set.name, set.wanted + part);
    given += part;
  }
  const [largest] = sets;
  if (largest) sizes.set(largest.name, Math.max(0, (sizes.get(largest.name) ?? 0) + missing - given));
  return sizes;
}

function shareOf({ wanted, mostBefore }: ScaledSet, most: number): number {
  return mostBefore ? Math.round((wanted * most) / mostBefore) - wanted : 0;
}

function newest(sets: readonly ScaledSet[]): ScaledSet | undefined {
  return sets.toSorted((a, b) => b.revision - a.revision)[0];
}
