/**
 * One flush for many calls. Between two batches everything else has its turn, an abort above all: a batch keeps the process busy
 * for a few milliseconds.
 */
const BATCH = 100;

export async function inBatches<T, R>(
  all: readonly T[],
  ask: (batch: readonly T[]) => Promise<readonly R[]>,
): Promise<R[]> {
  const answers: R[] = [];
  for (let at = 0; at < all.length; at += BATCH) answers.push(...(await ask(all.slice(at, at + BATCH))));
  return answers;
}
