/**
 * Rollout ids: `<service>-<6 characters>`. The service follows from the id, so that whoever has only an id (a button, an
 * annotation) knows under which keys the rollout lives.
 */

/** 32 characters, without those that are misread (i, l, o, u): five bits of each random byte choose one. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const SUFFIX_LENGTH = 6;
const ID = /^([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)-[a-z0-9]{6}$/;

/** Randomness is an input like time; `randomBytes` gives that many bytes. */
export function newId(service: string, randomBytes: (count: number) => Uint8Array): string {
  const suffix = Array.from(randomBytes(SUFFIX_LENGTH), (byte) => ALPHABET[byte % ALPHABET.length]);
  return `${service}-${suffix.join('')}`;
}

/** null: not the id of a rollout (people type ids). */
export function serviceOf(id: string): string | null {
  return ID.exec(id)?.[1] ?? null;
}
