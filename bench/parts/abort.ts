/** From the click on Abort to the answered PATCH of the route, idle and with all workers busy, and what the fence costs. */
import { underFence } from '../../src/adapters/kubernetes/fence.ts';
import { type HTTPRoute, HTTPRoutes } from '../../src/adapters/kubernetes/gateway-objects.ts';
import { replace, test } from '../../src/adapters/kubernetes/marks.ts';
import { createStore } from '../../src/adapters/redis/store.ts';
import { compose, type Parts } from '../../src/compose.ts';
import { loadConfig } from '../../src/config.ts';
import { isTerminal, type Rollout } from '../../src/core/rollout.ts';
import { aCheck } from '../../test/core/support.ts';
import type { FakeSlack } from '../../test/support/fake-slack/index.ts';
import { crowdServices, gather } from '../crowd.ts';
import { startHanging } from '../hanging.ts';
import { inTurns, type Pair, percentile, ratio, timed } from '../measure.ts';
import type { Patched } from '../patch-hook.ts';
import { createPerson, type Person } from '../person.ts';
import { type BotProgram, type Place, startBot } from '../programs.ts';
import { limitRow, type Row, ratioRow, times } from '../report.ts';
import { atGate, quietPlan, record } from '../rollouts.ts';
import { NO_LOG, pause } from '../support.ts';
import { countBusy, openTicks } from '../ticks-queue.ts';

/** For a p99 that is not the worst one alone. */
const ABORTS = 300;
const PATCHES = 200;
const WARM_UP = 20;
const WEIGHT = 10;
/** For the bot's watch to show the route that was armed; people take longer to decide. */
const SETTLE_MS = 80;
const ENDED_MS = 20_000;
const REAL = 'real API server';
const WAITING = 10_000;
/** Ticks that a replica carries out at once. */
const WORKERS = 50;
const BUSY_MS = 20_000;

type Deps = {
  readonly slack: FakeSlack;
  readonly redis: string;
  readonly env: string;
  readonly place: Place;
  readonly where: typeof REAL | 'playground';
};
type Arms = {
  readonly parts: Parts;
  readonly bot: BotProgram;
  readonly ana: Person;
  readonly place: Place;
  readonly env: string;
};

export async function measureAbort({ where, ...given }: Deps): Promise<readonly Row[]> {
  const idle = await withBot({ ...given, env: `${given.env}-idle` }, async (arms) => {
    const aborts = await abortInTurns(arms);
    // It would take the marks of the next part for a rollout that Redis has lost.
    await arms.bot.stop();
    const sides = { subject: () => fencedPatch(arms), baseline: () => plainPatch(arms) };
    return { aborts, fence: await inTurns(sides, PATCHES, WARM_UP) };
  });
  const busy = await whileBusy(given);
  const [quiet, loaded] = [idle.aborts, busy.aborts];
  const patch = (pair: Pair) => `of ${ABORTS}; plain PATCH ${Math.round(late(pair.baseline))} ms`;
  const against = (name: string, share: number): Row => {
    const [subject, plain] = (['subject', 'baseline'] as const).map(
      (side) => percentile(loaded[side], share) / percentile(quiet[side], share),
    );
    if (subject === undefined || plain === undefined) throw new Error('there are two sides');
    const row = ratioRow(`… with all that / idle (${name})`, subject, 2);
    return { ...row, measured: `${row.measured} (plain PATCH meanwhile ${times(plain)})` };
  };
  const rows = [
    ratioRow(`abort click to the PATCH answered / plain PATCH of the route (p50, ${where})`, ratio(quiet), 3),
    limitRow('abort click to the PATCH answered (p99)', late(quiet.subject), 100, ' ms', patch(quiet)),
    {
      what: '… workers of the queue that were busy meanwhile, at the fewest',
      measured: `${busy.fewest}`,
      bar: `${WORKERS}`,
      holds: busy.fewest >= WORKERS,
    },
    ratioRow(`… with all workers busy and ${WAITING} waiting / plain PATCH (p50)`, ratio(loaded), 3),
    limitRow('… with all that (p99)', late(loaded.subject), 100, ' ms', patch(loaded)),
    against('p50', 0.5),
    against('p99', 0.99),
    ratioRow(`fenced PATCH / plain PATCH of the route (p50, ${where})`, ratio(idle.fence), 1.25),
  ];
  // A PATCH of the playground costs next to nothing: what is compared with it says little.
  return rows.map((row) => (where === REAL || !row.what.includes('/ plain PATCH') ? row : { ...row, holds: null }));
}

const abortInTurns = (arms: Arms) =>
  inTurns({ subject: () => abortOnce(arms), baseline: () => plainPatch(arms) }, ABORTS, WARM_UP);

/** Every slot of the queue holds a rollout whose Prometheus does not answer, more wait for one, and a crowd waits for people. */
async function whileBusy(given: Omit<Deps, 'where'>) {
  const { namespace } = given.place;
  const env = `${given.env}-busy`;
  const prometheus = await startHanging();
  const store = createStore({ url: given.redis, env, log: NO_LOG });
  const queue = openTicks(given.redis, env);
  try {
    await gather(store, { env, namespace, to: WAITING });
    const place = { ...given.place, prometheus: prometheus.url };
    const services = { ...crowdServices(WAITING, namespace), ...measuredServices(namespace) };
    return await withBot({ ...given, env, place, services }, async (arms) => {
      await Promise.all(MEASURED.map((name) => standMeasured(store, env, namespace, name)));
      const deadline = Date.now() + BUSY_MS;
      while (prometheus.asking() < WORKERS) {
        if (Date.now() > deadline) throw new Error(`only ${prometheus.asking()} of ${WORKERS} workers are busy`);
        await pause(50);
      }
      const counting = countBusy(queue);
      const aborts = await abortInTurns(arms).finally(counting.stop);
      return { aborts, fewest: counting.fewest() };
    });
  } finally {
    prometheus.stop();
    await queue.close();
    await store.close();
  }
}

const MEASURED = Array.from({ length: 3 * WORKERS }, (_, n) => `measured-${n}`);

const measuredServices = (namespace: string): Record<string, object> =>
  Object.fromEntries(
    MEASURED.map((name) => [
      name,
      {
        ...crowdServices(1, namespace)['crowd-00000'],
        deployment: name,
        traffic: { router: 'gateway-api', route: name },
      },
    ]),
  );

/** At a gate of 10%: its one check is due every second, and takes five. */
async function standMeasured(store: ReturnType<typeof createStore>, env: string, namespace: string, name: string) {
  const plan = quietPlan(env, namespace);
  const traffic = { router: 'gateway-api', routes: [`${namespace}/${name}`] } as const;
  const check = aCheck('success rate', { intervalMs: 1_000, query: 'vector(1)', fails: 100 });
  const target = { ...plan.target, service: name, deployment: name, container: name, traffic };
  const made = atGate({ ...plan, target, checks: [check] }, WEIGHT, 1, await store.now());
  await record(store, { ...made, routeSeq: 0 });
}

async function withBot<T>(
  { slack, redis, env, place, services = {} }: Omit<Deps, 'where'> & { services?: Record<string, object> },
  measure: (arms: Arms) => Promise<T>,
): Promise<T> {
  const preload = new URL('../patch-hook.ts', import.meta.url);
  const bot = await startBot({ slack, redis, env, place, preload, services });
  const ana = createPerson('ana', slack.signingSecret);
  const config = await loadConfig(bot.config);
  if (!config.ok) throw new Error(config.errors.join('\n'));
  const parts = compose({
    env: { REDIS_URL: redis, KUBECONFIG: place.kubeconfig, SLUICE_CONFIG: bot.config, LOG_LEVEL: 'silent' },
    config: config.config,
    log: NO_LOG,
  });
  try {
    return await measure({ parts, bot, ana, place, env });
  } finally {
    ana.leave();
    await bot.stop();
    await parts.queue.close();
    await parts.cluster.close();
    await parts.store.close();
  }
}

const late = (times: readonly number[]) => percentile(times, 0.99);

async function abortOnce(arms: Arms): Promise<number> {
  const { parts, bot, ana, env } = arms;
  const { id } = await arm(arms);
  await pause(SETTLE_MS);
  const start = process.hrtime.bigint();
  const patched = taken(bot, start);
  await ana.clicks(bot.url, { action: 'abort', value: { rollout: id, env, service: 'world' } });
  const at = await patched;
  await ended(parts, id);
  return Number(at - start) / 1e6;
}

/**
 * A rollout at its gate, with a claimed route that sends a share to the canary. There is no canary: nobody shall look at the
 * rollout before the abort, which does not ask for one.
 */
async function arm({ parts, place, env }: Arms): Promise<Rollout> {
  const { store } = parts;
  const plan = quietPlan(env, place.namespace);
  const router = parts.routerOf(plan.target);
  const seen = (await router.getRoute(plan.target))?.marks?.epoch ?? 0;
  const made = atGate(plan, WEIGHT, await store.nextEpoch('world', seen), await store.now());
  const fence = { rollout: made.id, epoch: made.epoch, seq: made.routeSeq };
  const claimed = await router.claim(plan.target, { ...fence, seq: 0 });
  if (claimed.kind !== 'done') throw new Error(`the route is not claimed: ${JSON.stringify(claimed)}`);
  const routed = await router.setRoute(plan.target, made.route, fence, false);
  if (routed.kind !== 'done') throw new Error(`the route is not set: ${JSON.stringify(routed)}`);
  const held = await parts.workloadOf(plan.target).claim(plan.target, fence);
  if (held.kind !== 'done') throw new Error(`the Deployment is not claimed: ${JSON.stringify(held)}`);
  // Without a controller's word for its route: between two aborts the clean-up need not wait for the proxy.
  return record(store, { ...made, confirmed: false, journal: claimed.journal ?? {} });
}

/** When the route took a PATCH of this bot. One that met an older copy of it is refused and sent again: that costs time, too. */
function taken({ child }: BotProgram, after: bigint): Promise<bigint> {
  return new Promise((resolve) => {
    const look = (message: unknown) => {
      const { at, status } = message as Patched;
      // What came while nobody listened is delivered now.
      if (BigInt(at) < after || status !== 200) return;
      child.off('message', look);
      resolve(BigInt(at));
    };
    child.on('message', look);
  });
}

async function ended({ store }: Parts, id: string): Promise<void> {
  const deadline = Date.now() + ENDED_MS;
  while (Date.now() < deadline) {
    const loaded = await store.load(id);
    if (!loaded || isTerminal(loaded.rollout)) return;
    await pause(5);
  }
  throw new Error(`${id} does not end after its abort`);
}

const refOf = ({ place }: Arms) => ({ namespace: place.namespace, name: 'world' });

async function routeOf(arms: Arms): Promise<HTTPRoute> {
  const route = await arms.parts.cluster.get(HTTPRoutes, refOf(arms));
  if (!route) throw new Error('the route is gone');
  return route;
}

let patches = 0;

/** By the same client, without any test. */
async function plainPatch(arms: Arms): Promise<number> {
  const { metadata, spec } = await routeOf(arms);
  const annotations = { ...metadata.annotations, 'bench/patches': String(patches++) };
  const ops = [
    replace('/spec/rules', spec.rules),
    { op: 'add', path: '/metadata/annotations', value: annotations } as const,
  ];
  return send(arms, ops);
}

/** As the router writes a weight: rules and marks, tested as they were read. */
async function fencedPatch(arms: Arms): Promise<number> {
  const route = await routeOf(arms);
  const fence = { rollout: 'world-fenced', epoch: 1_000_000, seq: patches++ };
  const rules = route.spec.rules;
  const ops = [test('/spec/rules', rules), replace('/spec/rules', rules), ...underFence(route, fence)];
  return send(arms, ops);
}

async function send(arms: Arms, ops: Parameters<Parts['cluster']['patch']>[2]): Promise<number> {
  let ok = false;
  const ms = await timed(async () => {
    ok = (await arms.parts.cluster.patch(HTTPRoutes, refOf(arms), ops)).ok;
  });
  if (!ok) throw new Error('the PATCH was refused');
  return ms;
}
