/** What a newer Sluice has recorded, met while both run: only that one has words for it. */
const SHOWN = 200;

class NoWords extends Error {}

/** Thrown, so that the message stays where it is until the newer one shows it; nobody reads wrong words. */
export function noWordsFor(what: unknown): never {
  throw new NoWords(
    `a newer Sluice has to show this, here are no words for it: ${JSON.stringify(what).slice(0, SHOWN)}`,
  );
}

/** For answers, which nobody gives later: `neutral` where there are no words. */
export function wordsOr(neutral: string, words: () => string): string {
  try {
    return words();
  } catch (error) {
    if (error instanceof NoWords) return neutral;
    throw error;
  }
}
