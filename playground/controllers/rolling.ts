/** How many pods old and new ReplicaSets should have next: the arithmetic of a rolling update, without I/O. */

export type SetSize = {
  readonly name: string;
  /** What it is asked to have. */
  readonly wanted: number;
  readonly available: number;
  /** Pods that exist. */
  readonly pods: number;
};

export type RollingLimits = { readonly maxSurge: number; readonly maxUnavailable: number };

/** `25%` of the replicas, or a number; surge rounds up, unavailable down, and not both may be 0. */
export function rollingLimits(
  replicas: number,
  given: { readonly maxSurge: number | string; readonly maxUnavailable: number | string },
): RollingLimits {
  const part = (value: number | string, round: (value: number) => number) =>
    typeof value === 'number' ? value : round((Number.parseFloat(value) / 100) * replicas);
  const maxSurge = part(given.maxSurge, Math.ceil);
  const maxUnavailable = part(given.maxUnavailable, Math.floor);
  return maxSurge + maxUnavailable === 0 ? { maxSurge, maxUnavailable: 1 } : { maxSurge, maxUnavailable };
}

/** Next size of the new set and of each old one. */
export function nextRollingSizes(
  replicas: number,
  limits: RollingLimits,
  young: SetSize,
  old: readonly SetSize[],
): Map<string, number> {
  const sizes = new Map(old.map((set) => [set.name, set.wanted]));
  const total = young.wanted + sum(old, (set) => set.wanted);
  const room = Math.max(0, replicas + limits.maxSurge - total);
  const grown = young.wanted > replicas ? replicas : Math.min(replicas, young.wanted + room);
  sizes.set(young.name, grown);

  // Old pods that do not serve go first: they can be removed without anyone noticing.
  const minAvailable = replicas - limits.maxUnavailable;
  let removable = total - minAvailable - (young.wanted - young.available);
  for (const set of old) {
    const broken = Math.max(0, Math.min(set.wanted - set.available, removable));
    sizes.set(set.name, set.wanted - broken);
    removable -= broken;
  }
  let spare = Math.min(removable, young.available + sum(old, (set) => set.available) - minAvailable);
  for (const set of old) {
    const wanted = sizes.get(set.name) ?? 0;
    const fewer = Math.max(0, Math.min(wanted, spare));
    sizes.set(set.name, wanted - fewer);
    spare -= fewer;
  }
  return sizes;
}

/** All old pods go, and only then the new ones come. */
export function nextRecreateSizes(replicas: number, young: SetSize, old: readonly SetSize[]): Map<string, number> {
  const sizes = new Map(old.map((set) => [set.name, 0]));
  return sizes.set(young.name, old.every((set) => set.pods === 0) ? replicas : young.wanted);
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
