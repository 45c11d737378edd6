/** Answers of Slack that are kept for a while, so that two hundred commands at once do not meet its rates. */

/** Membership is at most 60 s old when it counts (design section 3); channels need not be newer than people. */
const FRESH_MS = 55_000;
const KEPT = 1_000;

/**
 * Asks again when the last answer is older than 55 s, was no `good` one (whoever mends something is heard at once), or never
 * came. Who asks meanwhile shares the call.
 */
export function keepRecent<T>(
  ask: (key: string) => Promise<T>,
  isGood: (answer: T) => boolean,
): (key: string) => Promise<T> {
  const kept = new Map<string, { readonly answer: Promise<T>; readonly at: number }>();
  return (key) => {
    const known = kept.get(key);
    if (known && performance.now() - known.at < FRESH_MS) return known.answer;
    if (kept.size >= KEPT) kept.clear();
    const answer = ask(key);
    const one = { answer, at: performance.now() };
    kept.set(key, one);
    const forget = () => kept.get(key) === one && kept.delete(key);
    answer.then((value) => isGood(value) || forget(), forget);
    return answer;
  };
}
