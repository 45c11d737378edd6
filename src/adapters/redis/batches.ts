/** One flush for many calls; between two batches other calls of the connection have their turn. */
const BATCH = 500;

export async function inBatches<T, R>(
  all: readonly T[],
  ask: (batch: readonly T[]) => Promise<readonly R[]>,
): Promise<R[]> {
  const answers: R[] = [];
  for (let at = 0; at < all.length; at += BATCH) answers.push(...(await ask(all.slice(at, at + BATCH))));
  return answers;
}
