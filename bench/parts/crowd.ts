/** Ten thousand rollouts that wait at a gate: what they cost, how a restart meets them, and what a second replica adds. */
import { availableParallelism } from 'node:os';
import type { Redis } from 'ioredis';
import { createKeys } from '../../src/adapters/redis/keys.ts';
import { createStore } from '../../src/adapters/redis/store.ts';
import type { FakeSlack } from '../../test/support/fake-slack/index.ts';
import { withRedis } from '../../test/support/redis.ts';
import { crowdServices, gather } from '../crowd.ts';
import { percentile } from '../measure.ts';
import { processorMs, residentMb, ticksOf } from '../process.ts';
import { type BotProgram, type Place, startBot } from '../programs.ts';
import { limitRow, noteRow, type Row, ratioRow, times } from '../report.ts';
import { NO_LOG, pause } from '../support.ts';
import { openTicks, type TicksQueue } from '../ticks-queue.ts';

const FEW = 1_000;
const MANY = 10_000;
/** Were due while no bot ran. */
const DUE = 1_000;
/** After a start every replica reads who asked for what, slowly; then nothing is left to do. */
const SETTLE_MS = 45_000;
/** Several rounds of the safety net, that of 60 s included. */
const IDLE_MS = 65_000;
const LONGEST_MS = 60_000;
const LOOK_EVERY_MS = 20;
const BUCKET_MS = 250;
/** One for each of two replicas, and one for Redis. */
const CORES_FOR_TWO = 3;
/** One replica before and after two. */
const ROUNDS = 2;

type Deps = { readonly slack: FakeSlack; readonly redis: string; readonly env: string; readonly place: Place };

export async function measureCrowd({ redis, env, ...given }: Deps): Promise<readonly Row[]> {
  const { namespace } = given.place;
  const envs = { none: `${env}-none`, few: `${env}-few`, many: `${env}-many` };
  const services = crowdServices(MANY, namespace);
  const start = (name: string) => startBot({ ...given, redis, env: name, services });
  const stores = [envs.few, envs.many].map((name) => createStore({ url: redis, env: name, log: NO_LOG }));
  const [few, many] = stores;
  if (!few || !many) throw new Error('there are two');
  try {
    const empty = await usedBytes(redis);
    await gather(few, { env: envs.few, namespace, to: FEW });
    const ofFew = ((await usedBytes(redis)) - empty) / FEW;
    const ids = await gather(many, { env: envs.many, namespace, to: MANY });
    const ofMany = ((await usedBytes(redis)) - empty) / (FEW + MANY);
    const kept = [
      limitRow(`bytes in Redis for each of ${FEW + MANY} waiting rollouts`, ofMany, 8_000),
      flatRow(`… for each of ${FEW + MANY} / for each of ${FEW}`, ofMany / ofFew),
    ];
    const idle = await measureIdling(start, envs);
    const restarted = await measureRestart(redis, envs.many, ids, () => start(envs.many));
    const replicas = await measureReplicas(redis, envs.many, ids, () => start(envs.many));
    return [...kept, ...idle, ...restarted, ...replicas];
  } finally {
    await Promise.all(stores.map((store) => store.close()));
  }
}

const flatRow = (what: string, ratio: number): Row => ({
  what,
  measured: `${ratio.toFixed(2)}x`,
  bar: '0.90x to 1.10x',
  holds: Math.abs(ratio - 1) <= 0.1,
});

const usedBytes = (url: string) =>
  withRedis(url, async (redis) => Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]));

/** Three bots with the same configuration at the same time: none, few and many wait. */
async function measureIdling(
  start: (env: string) => Promise<BotProgram>,
  envs: { none: string; few: string; many: string },
): Promise<readonly Row[]> {
  const bots: BotProgram[] = [];
  try {
    for (const env of [envs.none, envs.few, envs.many]) bots.push(await start(env));
    await pause(SETTLE_MS);
    const before = bots.map(processorMs);
    await pause(IDLE_MS);
    const [none = 0, few = 0, many = 0] = bots.map((bot, index) => processorMs(bot) - (before[index] ?? 0));
    const [mbNone = 0, mbFew = 0, mbMany = 0] = bots.map(residentMb);
    const first = ((mbFew - mbNone) / FEW) * 1_000;
    const later = ((mbMany - mbFew) / (MANY - FEW)) * 1_000;
    const percent = (ms: number) => `${((ms / IDLE_MS) * 100).toFixed(1)}%`;
    return [
      limitRow(
        `resident memory of a bot with ${MANY} services, all of which wait`,
        mbMany,
        310,
        ' MB',
        `none waits: ${mbNone.toFixed(0)} MB, ${FEW} wait: ${mbFew.toFixed(0)} MB`,
      ),
      {
        what: `… for each of the later ${MANY - FEW} / for each of the first ${FEW}`,
        measured: `${times(later / first)} (${later.toFixed(1)} kB and ${first.toFixed(1)} kB)`,
        bar: `<= ${times(1.1)}`,
        holds: later <= first * 1.1,
      },
      {
        ...ratioRow(`processor time of an idle bot: ${MANY} wait / none waits`, many / none, 1.2),
        measured: `${(many / none).toFixed(2)}x (${percent(many)} and ${percent(none)} of a core; ${FEW}: ${percent(few)})`,
      },
    ];
  } finally {
    await Promise.all(bots.map((bot) => bot.stop()));
  }
}

/** Some became due while the bot was away. A look moves a rollout's time in the due index to its reminder, hours ahead. */
async function measureRestart(
  redis: string,
  env: string,
  ids: readonly string[],
  start: () => Promise<BotProgram>,
): Promise<readonly Row[]> {
  const { due } = createKeys(env);
  return withRedis(redis, async (client) => {
    const now = Date.now();
    const overdue = ids.filter((_, n) => n % (MANY / DUE) === 0);
    for (const id of overdue) await client.zadd(due, now - 10_000, id);
    const looks = lookedAt(client, due, DUE);
    const bot = await start();
    try {
      const { firstAt, lastAt, busiest } = await looks;
      // What a herd would look at comes within seconds.
      await pause(3_000);
      const ticks = await ticksOf(bot);
      const all = lastAt - bot.startedAt;
      const forgotten = await forget(client, due, bot, ids);
      return [
        limitRow(
          `restart with ${MANY} waiting, ${DUE} of them due, to the last of these looked at`,
          all / 1_000,
          5,
          ' s',
          `${((bot.readyAt - bot.startedAt) / 1_000).toFixed(1)} s of it to read ${MANY} services and be ready`,
        ),
        noteRow(
          '… spread of the looks',
          `${((lastAt - firstAt) / 1_000).toFixed(1)} s, ${busiest} in the busiest ${BUCKET_MS} ms`,
        ),
        limitRow('… looks at rollouts that were not due', Math.max(0, ticks - DUE), DUE / 10),
        forgotten,
      ];
    } finally {
      await bot.stop();
    }
  });
}

/** The due index is lost altogether: the safety net writes it anew from what stands with each rollout. */
async function forget(client: Redis, due: string, bot: BotProgram, ids: readonly string[]): Promise<Row> {
  const before = await ticksOf(bot);
  await client.del(due);
  const at = Date.now();
  while ((await client.zcard(due)) < ids.length && Date.now() < at + 2 * LONGEST_MS) await pause(100);
  const seconds = (Date.now() - at) / 1_000;
  await pause(3_000);
  const ticks = (await ticksOf(bot)) - before;
  return {
    what: `… due index lost: looks at the ${MANY} while it is written anew`,
    measured: `${ticks} (after ${seconds.toFixed(0)} s)`,
    bar: `<= ${DUE / 10}`,
    holds: ticks <= DUE / 10 && seconds < LONGEST_MS * 1.5,
  };
}

async function lookedAt(client: Redis, due: string, count: number) {
  const deadline = Date.now() + LONGEST_MS;
  const seen: { readonly at: number; readonly left: number }[] = [];
  for (let left = count; left > 0; ) {
    if (Date.now() > deadline) throw new Error(`${left} of ${count} are not looked at`);
    // What is only claimed is a few seconds ahead.
    left = await client.zcount(due, '-inf', Date.now() + 60_000);
    seen.push({ at: Date.now(), left });
    await pause(LOOK_EVERY_MS);
  }
  const first = seen.find(({ left }) => left < count);
  const last = seen.at(-1);
  if (!first || !last) throw new Error('nothing was to be looked at');
  const busiest = Math.max(
    ...seen.map(({ at, left }) => {
      const then = seen.findLast((one) => one.at <= at - BUCKET_MS);
      return (then?.left ?? count) - left;
    }),
  );
  return { firstAt: first.at, lastAt: last.at, busiest };
}

/** One hint for each, waiting in a queue that stands still until all are there. */
async function measureReplicas(
  redis: string,
  env: string,
  ids: readonly string[],
  start: () => Promise<BotProgram>,
): Promise<readonly Row[]> {
  const queue = openTicks(redis, env);
  const drained: { one: number[]; two: number[] } = { one: [], two: [] };
  let hints = 0;
  let ticks = 0;
  const first = await start();
  try {
    const measure = async (side: 'one' | 'two', bots: readonly BotProgram[]) => {
      await pause(SETTLE_MS);
      const before = await sumOf(bots);
      for (let round = 0; round < ROUNDS; round++) drained[side].push(await drain(queue, ids));
      hints += ROUNDS * ids.length;
      ticks += (await sumOf(bots)) - before;
    };
    await measure('one', [first]);
    const second = await start();
    await measure('two', [first, second]).finally(() => second.stop());
    await measure('one', [first]);
  } finally {
    await first.stop();
    await queue.close();
  }
  const [one, two] = [percentile(drained.one, 0.5), percentile(drained.two, 0.5)];
  const cores = availableParallelism();
  const perSecond = (ms: number) => Math.round((ids.length / ms) * 1_000);
  return [
    {
      what: `ticks a second of two replicas / of one, on ${cores} cores that they share with Redis`,
      measured: `${(one / two).toFixed(2)}x (${perSecond(two)} and ${perSecond(one)})`,
      bar: '>= 1.50x with a core for each and for Redis',
      holds: cores < CORES_FOR_TWO ? null : one / two >= 1.5,
    },
    {
      what: '… looks for each hint: nothing is done twice',
      measured: `${ticks} for ${hints}`,
      bar: `<= ${hints} + 1%`,
      holds: ticks <= hints * 1.01,
    },
  ];
}

const sumOf = async (bots: readonly BotProgram[]) =>
  (await Promise.all(bots.map(ticksOf))).reduce((sum, ticks) => sum + ticks, 0);

async function drain(queue: TicksQueue, ids: readonly string[]): Promise<number> {
  await queue.pause();
  await queue.addBulk(ids.map((id) => ({ name: 'tick', data: { id } })));
  const start = performance.now();
  await queue.resume();
  for (;;) {
    const { wait = 0, active = 0 } = await queue.getJobCounts('wait', 'active');
    if (wait + active === 0) return performance.now() - start;
    await pause(LOOK_EVERY_MS);
  }
}
