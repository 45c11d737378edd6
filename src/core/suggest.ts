/** Near names, so that a typo is answered with what was meant. A near name is only ever shown, never used. */

const MAX_EDITS = 2;

/**
 * The known name nearest to `given`: one that it abbreviates or extends, else one at most two edits away (a swap of
 * neighbours is one). Upper case counts as lower case. null: nothing is near.
 */
export function nearest(given: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let bestRank = Number.POSITIVE_INFINITY;
  for (const name of known) {
    const rank = distance(given.toLowerCase(), name.toLowerCase());
    if (rank < bestRank) {
      best = name;
      bestRank = rank;
    }
  }
  return best;
}

/** Smaller is nearer; infinite: not near at all. An abbreviation is nearer than a typo, the same word nearest. */
function distance(given: string, name: string): number {
  const shorter = Math.min(given.length, name.length);
  if (shorter === 0) return Number.POSITIVE_INFINITY;
  const tail = Math.abs(given.length - name.length);
  if (shorter > 1 && (name.startsWith(given) || given.startsWith(name))) return tail / (tail + 1);
  if (tail > MAX_EDITS) return Number.POSITIVE_INFINITY;
  const count = edits(given, name);
  // Two words that share no letter are not near, however short they are.
  return count <= MAX_EDITS && count < shorter ? count : Number.POSITIVE_INFINITY;
}

/** Damerau-Levenshtein distance (optimal string alignment): insert, delete, replace, swap two neighbours. */
export function edits(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + same);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, at(beforeLast, j - 2) + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return at(last, b.length);
}

const at = (row: readonly number[], index: number) => row[index] ?? Number.POSITIVE_INFINITY;
