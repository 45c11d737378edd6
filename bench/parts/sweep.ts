/** What a round of the sweep costs, however many wait: it asks for what is due, and for what Slack does not show yet. */
import { createKeys } from '../../src/adapters/redis/keys.ts';
import { createStore } from '../../src/adapters/redis/store.ts';
import { withRedis } from '../../test/support/redis.ts';
import { crowdNames } from '../crowd.ts';
import { inTurns, ratio, timed } from '../measure.ts';
import { type Row, ratioRow } from '../report.ts';
import { NO_LOG } from '../support.ts';

const FEW = 1_000;
const MANY = 100_000;
const RUNS = 400;
const WARM_UP = 100;
const BATCH = 100;

/** Only the index is filled: a round reads nothing else of a rollout that waits. */
export async function measureSweep({ redis, env }: { redis: string; env: string }): Promise<readonly Row[]> {
  const sides = { few: `${env}-few`, many: `${env}-many` };
  await fill(redis, sides.few, FEW);
  await fill(redis, sides.many, MANY);
  const stores = [sides.many, sides.few].map((name) => createStore({ url: redis, env: name, log: NO_LOG }));
  const [many, few] = stores;
  if (!many || !few) throw new Error('there are two');
  const round = (store: typeof many) => () =>
    timed(async () => {
      await store.takeOverdue(1_000, 3_000, BATCH);
      await store.pendingOutbox(BATCH);
    });
  try {
    const pair = await inTurns({ subject: round(many), baseline: round(few) }, RUNS, WARM_UP);
    return [ratioRow(`round of the sweep with ${MANY} waiting / with ${FEW} (p50)`, ratio(pair), 1.5)];
  } finally {
    await Promise.all(stores.map((store) => store.close()));
  }
}

const fill = (redis: string, env: string, count: number) =>
  withRedis(redis, async (client) => {
    const { due } = createKeys(env);
    const at = Date.now() + 3_600_000;
    const names = crowdNames(count);
    for (let from = 0; from < count; from += FEW)
      await client.zadd(due, ...names.slice(from, from + FEW).flatMap((name, n) => [at + from + n, `${name}-abcdef`]));
  });
