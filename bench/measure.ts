/** Times of two things measured in turns, so that whatever else the machine does meets both. */

/** Milliseconds of one run. */
export type Timed = () => Promise<number>;
export type Pair = { readonly subject: readonly number[]; readonly baseline: readonly number[] };

/** Runs both in turns; which one goes first changes each time. The first `warmUp` runs do not count. */
export async function inTurns(
  { subject, baseline }: { readonly subject: Timed; readonly baseline: Timed },
  runs: number,
  warmUp: number,
): Promise<Pair> {
  const times = { subject: [] as number[], baseline: [] as number[] };
  for (let run = -warmUp; run < runs; run++) {
    const order = run % 2 === 0 ? (['subject', 'baseline'] as const) : (['baseline', 'subject'] as const);
    for (const side of order) {
      const ms = await (side === 'subject' ? subject : baseline)();
      if (run >= 0) times[side].push(ms);
    }
  }
  return times;
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** The value that a share of all values does not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) throw new Error('nothing was measured');
  return value;
}

export const ratio = ({ subject, baseline }: Pair): number => percentile(subject, 0.5) / percentile(baseline, 0.5);
