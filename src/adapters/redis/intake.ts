/** Commands and clicks, recorded before they are acknowledged: one inbox per service. */
import type { Store } from '../../app/ports/store.ts';
import { inBatches } from './batches.ts';
import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';

const REPLAY_KNOWN_MS = 600_000;
/** 10 MB or so: more than any crowd of people, and less than what would hurt Redis. */
const INBOX_LENGTH = 10_000;

type Deps = { readonly work: RedisClient; readonly urgent: RedisClient; readonly keys: Keys };

export function createIntakeStore({
  work,
  urgent,
  keys,
}: Deps): Pick<
  Store,
  'take' | 'untake' | 'intakes' | 'withIntakes' | 'isWaiting' | 'noteAnswer' | 'answerOf' | 'drop'
> {
  return {
    async take(service, key, body) {
      const { seen, inbox } = keys.service(service);
      const [kind, id] = await urgent.sluiceTake(seen(key), inbox, JSON.stringify(body), REPLAY_KNOWN_MS, INBOX_LENGTH);
      return kind === 'full' ? { kind } : { kind, id };
    },

    async untake(service, key) {
      const { seen, inbox } = keys.service(service);
      await work.sluiceUntake(seen(key), inbox, REPLAY_KNOWN_MS);
    },

    async intakes(service) {
      const entries = await work.xrange(keys.service(service).inbox, '-', '+');
      return entries.map(([id, [, body]]) => ({ id, body: JSON.parse(body ?? 'null') }));
    },

    async withIntakes(services) {
      const lengths = await inBatches(services, (batch) =>
        Promise.all(batch.map((service) => work.xlen(keys.service(service).inbox))),
      );
      return services.filter((_, index) => lengths[index] !== 0);
    },

    async isWaiting(service, id) {
      return (await work.xrange(keys.service(service).inbox, id, id)).length > 0;
    },

    async noteAnswer(service, id, answer) {
      await work.set(keys.service(service).answer(id), JSON.stringify(answer), 'PX', REPLAY_KNOWN_MS);
    },

    async answerOf(service, id) {
      return JSON.parse((await work.get(keys.service(service).answer(id))) ?? 'null');
    },

    async drop(service, id) {
      await work.xdel(keys.service(service).inbox, id);
    },
  };
}
