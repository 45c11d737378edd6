/** From a signed request to its acknowledgement: the whole bot against a bare Bolt app, and how often Redis is asked before. */
import { createStore } from '../../src/adapters/redis/store.ts';
import { openGate } from '../../src/core/rollout.ts';
import type { FakeSlack } from '../../test/support/fake-slack/index.ts';
import { inTurns, ratio } from '../measure.ts';
import { type Button, createPerson } from '../person.ts';
import { type Place, startBareBolt, startBot } from '../programs.ts';
import { startDoor } from '../redis-door.ts';
import { type Row, ratioRow } from '../report.ts';
import { atGate, quietPlan, record } from '../rollouts.ts';
import { NO_LOG, pause } from '../support.ts';

const RUNS = 200;
const WARM_UP = 50;
/** Less than Sluice itself waits for Redis (250 ms). */
const ACK_MS = 200;
const TRIES = 5;
const MOST_ROUND_TRIPS = 4;

type Deps = { readonly slack: FakeSlack; readonly redis: string; readonly env: string; readonly place: Place };

export async function measureAcknowledgements({ slack, redis, env, place }: Deps): Promise<readonly Row[]> {
  const store = createStore({ url: redis, env, log: NO_LOG });
  const approve = await standAtGate(store, env, place.namespace);
  const [ana, bo] = ['ana', 'bo'].map((name) => createPerson(name, slack.signingSecret));
  if (!ana || !bo) throw new Error('ana and bo are there');
  const door = await startDoor(redis);
  const bare = await startBareBolt(slack);
  const bot = await startBot({ slack, redis, env, place });
  const slow = await startBot({ slack, redis: door.url, env, place });
  try {
    const kinds = [
      { what: 'deploy command', say: (url: string) => ana.types(url, 'world v2') },
      { what: 'approve button', say: (url: string) => bo.clicks(url, approve) },
    ];
    const rows: Row[] = [];
    for (const { what, say } of kinds) {
      // What comes after the acknowledgement ends with an answer to the person: it must not meet the next request.
      const subject = async () => {
        const told = answers(slack);
        const ms = await say(bot.url);
        await slack.until(() => answers(slack) > told, { what: `the answer to the ${what}` });
        return ms;
      };
      const pair = await inTurns({ subject, baseline: () => say(bare.url) }, RUNS, WARM_UP);
      rows.push(ratioRow(`${what}: signed HTTP to acknowledgement / bare Bolt ack (p50)`, ratio(pair), 3));
    }
    for (const { what, say } of kinds) {
      const trips = await roundTrips(() => say(slow.url), door);
      rows.push({
        what: `${what}: Redis round trips before the acknowledgement`,
        measured: `${trips ?? 'more'}`,
        bar: '<= 1',
        holds: trips !== null && trips <= 1,
      });
    }
    return rows;
  } finally {
    for (const person of [ana, bo]) person.leave();
    await Promise.all([bare.stop(), bot.stop(), slow.stop(), store.close()]);
    door.stop();
  }
}

/** bo's click is complete and refused each time: a rollout that moved on would be another one at the next click. */
export async function standAtGate(
  store: ReturnType<typeof createStore>,
  env: string,
  namespace: string,
): Promise<Button> {
  const epoch = await store.nextEpoch('world', 0);
  const made = atGate(quietPlan(env, namespace), 10, epoch, await store.now());
  const [first] = made.gates;
  if (!openGate(made) || !first) throw new Error('it stands at its second gate');
  // Nothing is routed in this cluster.
  const { id } = await record(store, { ...made, routeSeq: 0 });
  const ts = made.messages['gate:1'];
  return { action: 'approve', value: { rollout: id, gate: first.id }, ...(ts === undefined ? {} : { ts }) };
}

const answers = ({ workspace }: FakeSlack) =>
  workspace.messages.filter(({ ephemeralTo }) => ephemeralTo !== null).length;

/** The fewest with which the acknowledgement comes in time; null: not even with many. Other traffic of the bot only costs tries. */
async function roundTrips(
  ask: () => Promise<number>,
  door: Awaited<ReturnType<typeof startDoor>>,
): Promise<number | null> {
  await ask();
  for (let allowed = 0; allowed <= MOST_ROUND_TRIPS; allowed++) {
    for (let tries = 0; tries < TRIES; tries++) {
      await pause(50);
      door.letThrough(allowed);
      const asked = ask();
      const isInTime = await Promise.race([asked.then(() => true), pause(ACK_MS).then(() => false)]);
      door.open();
      await asked;
      if (isInTime) return allowed;
    }
  }
  return null;
}
