/**
 * What the rounds of the sweep cost, however many wait: each second it asks for what is due, and for what Slack does not show
 * yet; each minute whether each rollout still has its hints.
 */
import { createKeys } from '../../src/adapters/redis/keys.ts';
import { createStore } from '../../src/adapters/redis/store.ts';
import { withRedis } from '../../test/support/redis.ts';
import { crowdNames, gather } from '../crowd.ts';
import { inTurns, percentile, ratio, timed } from '../measure.ts';
import { type Row, ratioRow } from '../report.ts';
import { NO_LOG } from '../support.ts';

const FEW = 1_000;
const MANY = 100_000;
const RUNS = 400;
const WARM_UP = 100;
const BATCH = 100;
/** Those that wait with all that is kept of them. */
const WAITING = 10_000;
const ROUNDS = 30;
const ROUNDS_WARM = 5;
const MINUTE_MS = 60_000;

type Given = { readonly redis: string; readonly env: string };

export async function measureSweep(given: Given): Promise<readonly Row[]> {
  return [await measureDue(given), await measureHints({ ...given, env: `${given.env}-hints` })];
}

/** Only the index is filled: a round reads nothing else of a rollout that waits. */
async function measureDue({ redis, env }: Given): Promise<Row> {
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
    return ratioRow(`round of the sweep with ${MANY} waiting / with ${FEW} (p50)`, ratio(pair), 1.5);
  } finally {
    await Promise.all(stores.map((store) => store.close()));
  }
}

/** What the round of each minute asks Redis of every rollout that waits; the marks in the cluster cost one LIST per namespace. */
async function measureHints({ redis, env }: Given): Promise<Row> {
  const sides = await Promise.all(
    [WAITING, FEW].map(async (count) => {
      const name = `${env}-${count}`;
      const store = createStore({ url: redis, env: name, log: NO_LOG });
      await gather(store, { env: name, namespace: 'hello', to: count });
      const services = crowdNames(count);
      const round = () =>
        timed(async () => {
          const active = await store.active(services);
          if (active.length !== count) throw new Error(`${active.length} of ${count} wait`);
          await store.forgotten(active, MINUTE_MS);
        });
      return { store, round };
    }),
  );
  try {
    const [many, few] = sides;
    if (!many || !few) throw new Error('there are two');
    const { subject, baseline } = await inTurns({ subject: many.round, baseline: few.round }, ROUNDS, ROUNDS_WARM);
    const [each, eachOfFew] = [percentile(subject, 0.5) / WAITING, percentile(baseline, 0.5) / FEW];
    const row = ratioRow(
      `… of each minute, for each of ${WAITING} waiting / for each of ${FEW} (p50)`,
      each / eachOfFew,
      1.5,
    );
    return {
      ...row,
      measured: `${row.measured} (${(1_000 * each).toFixed(0)} and ${(1_000 * eachOfFew).toFixed(0)} us)`,
    };
  } finally {
    await Promise.all(sides.map(({ store }) => store.close()));
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
