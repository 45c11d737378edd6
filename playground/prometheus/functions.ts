/** The arithmetic of `rate`, `increase` and `histogram_quantile` as Prometheus 3 defines it. */
import type { Point } from './series.ts';

/**
 * How much a counter grew in (end - rangeMs, end], extrapolated to the edges of the window where the first and last points
 * lie near them; null with fewer than two points. A fall is a restart of the counter.
 */
export function increaseOf(points: readonly Point[], end: number, rangeMs: number): number | null {
  const inside = points.filter(({ at }) => at > end - rangeMs && at <= end);
  const first = inside[0];
  const last = inside.at(-1);
  if (!first || !last || inside.length < 2) return null;
  const grown = inside.reduce((total, { value }, index) => {
    const before = inside[index - 1]?.value ?? value;
    return total + (value < before ? value : value - before);
  }, 0);
  const covered = last.at - first.at;
  const gap = covered / (inside.length - 1);
  const near = gap * 1.1;
  const edge = (distance: number) => (distance < near ? distance : gap / 2);
  // A counter cannot have been below zero: it is not extrapolated to before its birth.
  const untilZero = grown > 0 ? covered * (first.value / grown) : Number.POSITIVE_INFINITY;
  const before = Math.min(edge(first.at - (end - rangeMs)), untilZero);
  return grown * ((covered + before + edge(end - last.at)) / covered);
}

export type Bucket = { readonly upTo: number; readonly count: number };

/** Linear inside the bucket that holds the quantile; NaN without observations or without a `+Inf` bucket. */
export function quantileOf(quantile: number, given: readonly Bucket[]): number {
  if (Number.isNaN(quantile)) return Number.NaN;
  if (quantile < 0) return Number.NEGATIVE_INFINITY;
  if (quantile > 1) return Number.POSITIVE_INFINITY;
  const buckets = given.toSorted((a, b) => a.upTo - b.upTo);
  const last = buckets.at(-1);
  if (!last || buckets.length < 2 || last.upTo !== Number.POSITIVE_INFINITY || !(last.count > 0)) return Number.NaN;
  const rank = quantile * last.count;
  const index = buckets.findIndex(({ count }) => count >= rank);
  const bucket = buckets[index];
  const lower = buckets[index - 1] ?? { upTo: 0, count: 0 };
  if (!bucket || bucket === last) return lower.upTo;
  if (index === 0 && bucket.upTo <= 0) return bucket.upTo;
  return lower.upTo + (bucket.upTo - lower.upTo) * ((rank - lower.count) / (bucket.count - lower.count));
}
