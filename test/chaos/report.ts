/** Which points are tried, and what came of them as text. */
import { MODES, type Point, type Tried } from './matrix.ts';

/** So many, and of every name at least one as long as there are enough; the same for the same seed. */
export function choose(points: readonly Point[], count: number, seed: number): readonly Point[] {
  const random = generator(seed);
  const shuffled = points.map((point) => ({ point, by: random() })).toSorted((a, b) => a.by - b.by);
  const seen = new Map<string, number>();
  const ranked = shuffled.map(({ point }) => {
    const rank = seen.get(point.place) ?? 0;
    seen.set(point.place, rank + 1);
    return { point, rank };
  });
  return ranked
    .toSorted((a, b) => a.rank - b.rank)
    .slice(0, count)
    .map(({ point }) => point);
}

/** As it is written and chosen on the command line. */
export const nameOf = ({ path, place, hit }: Point) => `${path}: ${place}#${hit}`;

/** Keeps the order of what was given. */
export async function inParallel<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  const worker = async () => {
    for (const [index, item] of queue) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}

/** `points x modes x violations`, by place. */
export function table(all: readonly Tried[]): string {
  const used = MODES.filter((mode) => all.some((one) => one.mode === mode));
  const rows = [...Map.groupBy(all, ({ place }) => place.replace(/^(before|after) /, ''))].map(([name, tried]) => {
    const of = (mode: string) => tried.filter((one) => one.mode === mode && one.reached).length;
    return [name, ...used.map(of), tried.filter(({ reached }) => !reached).length, bad(tried)];
  });
  const reached = all.filter((one) => one.reached);
  const times = reached.map(({ ms }) => ms).toSorted((a, b) => a - b);
  const at = (share: number) => `${((times[Math.floor(share * (times.length - 1))] ?? 0) / 1000).toFixed(1)} s`;
  const head = ['place', ...used, 'not reached', 'violations'];
  const lines = [head, ...rows.toSorted(([a], [b]) => String(a).localeCompare(String(b)))];
  const modes = new Set(reached.map(({ mode }) => mode)).size;
  const points = new Set(reached.map(({ path, place, hit }) => `${path} ${place}#${hit}`)).size;
  const missed = all.length - reached.length;
  return [
    ...lines.map((cells) => `| ${cells.join(' | ')} |`),
    `${points} points x ${modes} modes (${reached.length} stops, ${missed} not reached) x ${bad(all)} violations; from the stop to the end: median ${at(0.5)}, p95 ${at(0.95)}, longest ${at(1)}`,
  ].join('\n');
}

const bad = (tried: readonly Tried[]) => tried.filter(({ violations }) => violations.length > 0).length;

/** mulberry32 */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
