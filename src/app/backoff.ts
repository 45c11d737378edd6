/** How long what failed rests before it is tried again, whoever asks for it. */

/** Of what was never cleared, since somebody else did it. */
const KEPT = 1_000;

/** `stepsMs`: after the first failure, the second …; the last one from then on. `clock`: local, ms. */
export function createBackoff(stepsMs: readonly [number, ...number[]], clock: () => number) {
  const failed = new Map<string, { readonly times: number; readonly until: number }>();
  return {
    /** ms; 0: it may be tried. */
    left: (name: string): number => Math.max(0, (failed.get(name)?.until ?? 0) - clock()),

    /** It failed once more. Answers how long it rests now, ms; `atLeastMs`: as somebody asked. */
    failed(name: string, atLeastMs = 0): number {
      const times = failed.get(name)?.times ?? 0;
      const ms = Math.max(atLeastMs, stepsMs[Math.min(times, stepsMs.length - 1)] ?? stepsMs[0]);
      const [oldest] = failed.keys();
      failed.delete(name);
      if (failed.size >= KEPT && oldest !== undefined) failed.delete(oldest);
      failed.set(name, { times: times + 1, until: clock() + ms });
      return ms;
    },

    worked: (name: string): void => void failed.delete(name),
  };
}

/** For how long a server asked to be left alone (Retry-After), ms; 0: it did not. */
export function askedToWait(error: unknown): number {
  for (let one = error; one instanceof Error; one = one.cause) {
    if ('retryAfterMs' in one && typeof one.retryAfterMs === 'number') return one.retryAfterMs;
  }
  return 0;
}
