/** What Sluice adds to Redis and BullMQ: a transition against one HSET, a tick that finds nothing to do against a bare job. */
import { Queue as BullQueue, Worker } from 'bullmq';
import { createQueue } from '../../src/adapters/bullmq.ts';
import { connectBounded, connectPatient } from '../../src/adapters/redis/connect.ts';
import { createKeys } from '../../src/adapters/redis/keys.ts';
import { createRolloutStore } from '../../src/adapters/redis/rollouts.ts';
import { scripts } from '../../src/adapters/redis/scripts.ts';
import { createStore } from '../../src/adapters/redis/store.ts';
import { createRollouts } from '../../src/app/handle.ts';
import { decide } from '../../src/core/decide.ts';
import { inTurns, ratio, timed } from '../measure.ts';
import { type Row, ratioRow, times } from '../report.ts';
import { atGate, quietPlan, record } from '../rollouts.ts';
import { NO_LOG } from '../support.ts';

const RUNS = 400;
const WARM_UP = 100;
const TIMEOUT_MS = 2_000;
const TICKS_AT_ONCE = 50;

type Deps = { readonly redis: string; readonly env: string };

export async function measureRedis(deps: Deps): Promise<readonly Row[]> {
  const store = createStore({ url: deps.redis, env: deps.env, log: NO_LOG });
  try {
    const made = atGate(quietPlan(deps.env, 'bench'), 10, 1, await store.now());
    // Nothing is routed: a tick has no route to look at.
    const { id } = await record(store, { ...made, routeSeq: 0 });
    return [...(await measureTransition(deps, id)), await measureTick(deps, store, id)];
  } finally {
    await store.close();
  }
}

/** Slack has shown one more message: the smallest transition there is. */
async function measureTransition({ redis: url, env }: Deps, id: string): Promise<readonly Row[]> {
  const redis = connectBounded(url, 'bench', NO_LOG, TIMEOUT_MS, scripts);
  const store = createRolloutStore({ work: redis, urgent: redis, keys: createKeys(env), log: NO_LOG });
  const script: typeof redis.sluiceSave = redis.sluiceSave.bind(redis);
  let inScript = 0;
  redis.sluiceSave = async (...given) => {
    const start = performance.now();
    const answer = await script(...given);
    inScript = performance.now() - start;
    return answer;
  };
  const save = async () => {
    const loaded = await store.load(id);
    if (!loaded) throw new Error('the rollout was recorded just now');
    const event = { type: 'message_delivered', key: 'note:1', ts: '1700000000.000009' } as const;
    const decided = decide(loaded.rollout, event, loaded.now);
    if (!decided.ok) throw new Error(decided.rejection.kind);
    return timed(() => store.save(loaded, event, decided));
  };
  try {
    const loaded = await store.load(id);
    const { plan: _, ...state } = loaded?.rollout ?? { plan: null };
    const written = JSON.stringify(state);
    const baseline = () => timed(() => redis.hset(`{${env}}:bare`, 'state', written));
    const whole = await inTurns({ subject: save, baseline }, RUNS, WARM_UP);
    const subject = async () => {
      await save();
      return inScript;
    };
    const roundTrip = await inTurns({ subject, baseline }, RUNS, WARM_UP);
    return [
      ratioRow('transition script / one HSET of the same state (p50)', ratio(roundTrip), 3),
      {
        what: '… with all that the process does for it: hash chain, packing',
        measured: times(ratio(whole)),
        bar: '',
        holds: null,
      },
    ];
  } finally {
    redis.disconnect();
  }
}

async function measureTick({ redis: url, env }: Deps, store: ReturnType<typeof createStore>, id: string): Promise<Row> {
  const { connection } = connectPatient(url, 'bench', NO_LOG);
  const bare = { connection, prefix: `{${env}-bare}` };
  let arrived: () => void = () => undefined;
  const jobs = new BullQueue<{ id: string }>('jobs', { ...bare, defaultJobOptions: { removeOnComplete: true } });
  const worker = new Worker<{ id: string }>('jobs', async () => arrived(), { ...bare, concurrency: TICKS_AT_ONCE });
  const queue = createQueue({ url, env, log: NO_LOG, concurrency: TICKS_AT_ONCE });
  const rollouts = createRollouts({
    store,
    queue,
    router: nobody,
    workload: nobody,
    metrics: { measure: nobody, range: nobody },
    prober: { probe: nobody },
    log: NO_LOG,
    clock: () => performance.now(),
    random: Math.random,
    onMessages: () => undefined,
  });
  queue.onTick(async (ticked) => {
    await rollouts.tick(ticked);
    arrived();
  });
  const untilProcessed = (add: () => Promise<unknown>) =>
    timed(
      () =>
        new Promise<void>((resolve, reject) => {
          arrived = resolve;
          add().catch(reject);
        }),
    );
  try {
    await worker.waitUntilReady();
    const pair = await inTurns(
      {
        subject: () => untilProcessed(() => queue.wake(id)),
        baseline: () => untilProcessed(() => jobs.add('job', { id })),
      },
      RUNS,
      WARM_UP,
    );
    return ratioRow('tick that finds nothing to do / bare BullMQ add and process (p50)', ratio(pair), 3);
  } finally {
    await Promise.all([worker.close(), queue.close(), jobs.close()]);
    connection.disconnect();
  }
}

function nobody(): never {
  throw new Error('a tick that finds nothing to do asks nobody');
}
