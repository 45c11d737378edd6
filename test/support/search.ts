/** A search with fast-check that costs about the same time on every machine, and never finds nothing by not having looked. */
import fc from 'fast-check';

type Limits = { readonly least: number; readonly most: number; readonly withinMs: number };

/** Plays `least` however long that takes, and up to `most` within the time; how many were played to their end. */
export async function search<T>(property: fc.IAsyncProperty<T>, { least, most, withinMs }: Limits): Promise<number> {
  const began = performance.now();
  const { numRuns } = await checked(property, { numRuns: least });
  const left = withinMs - (performance.now() - began);
  if (left <= 0) return numRuns;
  const more = { numRuns: most - least, interruptAfterTimeLimit: left, markInterruptAsFailure: false };
  return numRuns + (await checked(property, more)).numRuns;
}

/** `fc.assert` tells nobody how often it played. */
async function checked<T>(property: fc.IAsyncProperty<T>, limits: fc.Parameters<T>): Promise<fc.RunDetails<T>> {
  const details = await fc.check(property, limits);
  if (details.failed) throw new Error(await fc.asyncDefaultReportMessage(details), { cause: details.errorInstance });
  return details;
}
