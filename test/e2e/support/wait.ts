import { setTimeout as sleep } from 'node:timers/promises';

const EVERY_MS = 50;

/**
 * Asks until there is an answer (neither undefined, null nor false). An error of `probe` counts as "not yet" and is shown
 * when time is up.
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  {
    withinMs = 20_000,
    everyMs = EVERY_MS,
    seen = () => '',
  }: { withinMs?: number; everyMs?: number; seen?: () => string } = {},
): Promise<Exclude<T, undefined | null | false>> {
  const deadline = Date.now() + withinMs;
  let cause: unknown;
  do {
    try {
      const answer = await probe();
      if (isAnswer(answer)) return answer;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    await sleep(everyMs);
  } while (Date.now() < deadline);
  throw new Error(`not within ${withinMs} ms: ${what}${seen() && `\n${seen()}`}`, { cause });
}

const isAnswer = <T>(answer: T): answer is Exclude<T, undefined | null | false> =>
  answer !== undefined && answer !== null && answer !== false;

export { sleep };
