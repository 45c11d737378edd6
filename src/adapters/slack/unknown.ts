/** What a newer Sluice has recorded, met while both run: only that one has words for it. */
const SHOWN = 200;

/** Thrown, so that the message stays where it is until the newer one shows it; nobody reads wrong words. */
export function noWordsFor(what: unknown): never {
  throw new Error(`a newer Sluice has to show this, here are no words for it: ${JSON.stringify(what).slice(0, SHOWN)}`);
}
