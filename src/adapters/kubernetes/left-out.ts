/** Objects that cannot be read, whoever made them so: they keep nobody from the others, and each is named in the log once. */
import type { Log } from '../../app/ports/log.ts';
import { headOf } from './kinds.ts';

export function createLeftOut(log: Pick<Log, 'warn'>) {
  const errors = new Map<string, unknown>();
  return {
    /** null: left out, until it can be read. `key`: what it is known by here. */
    read<T>(key: string, given: unknown, parse: (given: unknown) => T): T | null {
      try {
        return parse(given);
      } catch (error) {
        if (!errors.has(key)) log.warn({ name: headOf(given)?.name ?? '', err: error }, 'an object is left out');
        errors.set(key, error);
        return null;
      }
    },
    has: (key: string) => errors.has(key),
    /** Why it cannot be read. */
    errorOf: (key: string) => errors.get(key),
    /** It can be read again, or is gone. */
    forget: (key: string) => void errors.delete(key),
    /** Of those whose keys begin so, only these are still there. */
    forgetOthers(prefix: string, keys: readonly string[]): void {
      for (const key of errors.keys()) if (key.startsWith(prefix) && !keys.includes(key)) errors.delete(key);
    },
    forgetAll: () => errors.clear(),
  };
}
