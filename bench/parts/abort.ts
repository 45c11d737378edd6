/** On a real API server: from the click on Abort to the answered PATCH of the route, and what the fence costs. */
import { underFence } from '../../src/adapters/kubernetes/fence.ts';
import { replace, test } from '../../src/adapters/kubernetes/marks.ts';
import { type HTTPRoute, HTTPRoutes } from '../../src/adapters/kubernetes/objects.ts';
import { compose, type Parts } from '../../src/compose.ts';
import { loadConfig } from '../../src/config.ts';
import { isTerminal, type Rollout } from '../../src/core/rollout.ts';
import type { FakeSlack } from '../../test/support/fake-slack/index.ts';
import { inTurns, percentile, ratio, timed } from '../measure.ts';
import type { Patched } from '../patch-hook.ts';
import { createPerson, type Person } from '../person.ts';
import { type BotProgram, type Place, startBot } from '../programs.ts';
import { limitRow, type Row, ratioRow } from '../report.ts';
import { atGate, quietPlan, record } from '../rollouts.ts';
import { NO_LOG, pause } from '../support.ts';

const ABORTS = 120;
const PATCHES = 200;
const WARM_UP = 20;
const WEIGHT = 10;
/** For the bot's watch to show the route that was armed; people take longer to decide. */
const SETTLE_MS = 80;
const ENDED_MS = 20_000;

type Deps = { readonly slack: FakeSlack; readonly redis: string; readonly env: string; readonly place: Place };
type Arms = {
  readonly parts: Parts;
  readonly bot: BotProgram;
  readonly ana: Person;
  readonly place: Place;
  readonly env: string;
};

export async function measureAbort({ slack, redis, env, place }: Deps): Promise<readonly Row[]> {
  const bot = await startBot({ slack, redis, env, place, preload: new URL('../patch-hook.ts', import.meta.url) });
  const ana = createPerson('ana', slack.signingSecret);
  const config = await loadConfig(bot.config);
  if (!config.ok) throw new Error(config.errors.join('\n'));
  const parts = compose({
    env: { REDIS_URL: redis, KUBECONFIG: place.kubeconfig, SLUICE_CONFIG: bot.config, LOG_LEVEL: 'silent' },
    config: config.config,
    log: NO_LOG,
  });
  try {
    const arms = { parts, bot, ana, place, env };
    const abort = await inTurns({ subject: () => abortOnce(arms), baseline: () => plainPatch(arms) }, ABORTS, WARM_UP);
    // It would take the marks of the next part for a rollout that Redis has lost.
    await bot.stop();
    const fence = await inTurns(
      { subject: () => fencedPatch(arms), baseline: () => plainPatch(arms) },
      PATCHES,
      WARM_UP,
    );
    return [
      ratioRow('abort click to the PATCH answered / plain PATCH of the route (p50)', ratio(abort), 3),
      limitRow(
        'abort click to the PATCH answered (p99)',
        late(abort.subject),
        100,
        ' ms',
        `of ${ABORTS}; plain PATCH ${Math.round(late(abort.baseline))} ms`,
      ),
      ratioRow('fenced PATCH / plain PATCH of the route (p50)', ratio(fence), 1.25),
    ];
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

/** A rollout at its gate, known to the bot, with a claimed route that sends a share to the canary. */
async function arm({ parts, place, env }: Arms): Promise<Rollout> {
  const { store, queue } = parts;
  const plan = quietPlan(env, place.namespace);
  const router = parts.routerOf(plan.target);
  const seen = (await router.getRoute(plan.target))?.marks?.epoch ?? 0;
  const made = atGate(plan, WEIGHT, await store.nextEpoch('world', seen), await store.now());
  const fence = { rollout: made.id, epoch: made.epoch, seq: made.routeSeq };
  const claimed = await router.claim(plan.target, { ...fence, seq: 0 });
  if (claimed.kind !== 'done') throw new Error(`the route is not claimed: ${JSON.stringify(claimed)}`);
  const routed = await router.setRoute(plan.target, made.route, fence, false);
  if (routed.kind !== 'done') throw new Error(`the route is not set: ${JSON.stringify(routed)}`);
  // Without a controller's word for its route: between two aborts the clean-up need not wait for the proxy.
  const rollout = await record(store, { ...made, confirmed: false, journal: claimed.journal ?? {} });
  await queue.wake(rollout.id);
  return rollout;
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
