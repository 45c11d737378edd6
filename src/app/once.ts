/** What was recorded is worked on by one replica at a time, told, and only then dropped. */
import type { Answer } from './answers.ts';
import { hold } from './lease.ts';
import type { Chat } from './ports/chat.ts';
import type { Log } from './ports/log.ts';
import type { Store } from './ports/store.ts';
import type { Request, Taken } from './requests.ts';

type Deps = {
  readonly store: Pick<Store, 'lease' | 'isWaiting' | 'noteAnswer' | 'answerOf' | 'drop'>;
  readonly chat: Pick<Chat, 'tell'>;
  readonly log: Log;
};

/** Renewed while the request is worked on. */
const LEASE_MS = 5_000;

export function createOnce({ store, chat, log }: Deps) {
  /**
   * Does nothing where another replica works on the entry, or has done so. The entry goes last: to be told twice after a crash
   * is better than not to be told. Told is what was decided first: who heard that a service is busy does not see their refused
   * rollout start later. null: nothing is left to be told.
   */
  return async function once(
    { replyTo }: Request,
    { service, id }: NonNullable<Taken>,
    work: () => Promise<Answer | null>,
  ): Promise<null> {
    const lease = await hold(store, `intake:${service}:${id}`, LEASE_MS);
    if (!lease) return null;
    try {
      const [isWaiting, decided] = await Promise.all([store.isWaiting(service, id), store.answerOf(service, id)]);
      if (!isWaiting) return null;
      const said = decided ?? (await work());
      if (said && !decided) await store.noteAnswer(service, id, said);
      if (said) await chat.tell(replyTo, said);
      await store
        .drop(service, id)
        .catch((error: unknown) => log.warn({ service, id, err: error }, 'told, but not dropped: it is told again'));
      return null;
    } finally {
      // It runs out anyway, and what was done and told is.
      await lease.release().catch(() => undefined);
    }
  };
}
