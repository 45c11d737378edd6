/**
 * Every rollout that a bot left in Redis, told again: its recorded events, replayed through `decide` from `begin`, must give
 * the state that is stored, by a chain of hashes that verifies. May look while a bot runs.
 */
import { isDeepStrictEqual } from 'node:util';
import { verifyChain } from '../../src/adapters/redis/chain.ts';
import { connectBounded, disconnect, type RedisClient } from '../../src/adapters/redis/connect.ts';
import { createKeys } from '../../src/adapters/redis/keys.ts';
import { createStore, type RedisStore } from '../../src/adapters/redis/store.ts';
import type { RecordedEvent } from '../../src/app/ports/store.ts';
import { begin, decide } from '../../src/core/decide.ts';
import { isAbortable, isTerminal, type Rollout } from '../../src/core/rollout.ts';
import { recordingLog } from './redis.ts';

const ANSWER_MS = 5_000;

export type Replayed = {
  readonly rollouts: number;
  readonly events: number;
  /** What does not hold, each with the rollout and the event it was found at; empty: all is well. */
  readonly problems: readonly string[];
};

/** Replays all rollouts of `env` in the Redis at `url`, whichever kind it is. */
export async function replayAll({ url, env }: { readonly url: string; readonly env: string }): Promise<Replayed> {
  const log = recordingLog();
  const store = createStore({ url, env, log });
  const redis = connectBounded(url, 'replay', log, ANSWER_MS);
  try {
    // The nodes of a Redis Cluster are known only then.
    await store.reach();
    const ids = await store.kept();
    const replayed = await Promise.all(ids.map((id) => replayOne(redis, store, env, id)));
    return {
      rollouts: ids.length,
      events: replayed.reduce((sum, { events }) => sum + events, 0),
      problems: replayed.flatMap(({ problems }) => problems),
    };
  } finally {
    await Promise.all([store.close(), disconnect(redis)]);
  }
}

async function replayOne(redis: RedisClient, store: RedisStore, env: string, id: string) {
  const problem = (what: string, events = 0) => ({ events, problems: [`${id}: ${what}`] });
  // In this order: events are only ever added, so those of the state that was read are all there.
  const hash = await redis.hgetall(createKeys(env).rollout(id).state);
  const loaded = await store.load(id);
  if (!loaded) return problem('its events are there, its state is not');
  const { rollout, head, abort } = loaded;
  const all = await store.events(id);
  const events = all.slice(0, rollout.version);
  const told = (what: string) => problem(what, events.length);
  if (events.length < rollout.version) return told(`${events.length} events for version ${rollout.version}`);

  const chain = verifyChain(all);
  if (!chain.ok) return told(`event ${chain.version}: ${chain.problem}`);
  if (events.at(-1)?.hash !== head) return told('the last event is not the head of its chain');

  const replayed = replay(events);
  if (typeof replayed === 'string') return told(replayed);
  // As it is stored: without what is undefined.
  const again: Rollout = JSON.parse(JSON.stringify(replayed));
  const differs = Object.keys({ ...again, ...rollout }).filter(
    (key) => !isDeepStrictEqual(Reflect.get(again, key), Reflect.get(rollout, key)),
  );
  const problems = differs.map(
    (key) =>
      `${id}: ${key} is ${JSON.stringify(Reflect.get(rollout, key))}, its events give ${JSON.stringify(Reflect.get(again, key))}`,
  );
  if (Number(hash.ver) === rollout.version) {
    const epoch = abort?.epoch ?? rollout.epoch;
    const fields = {
      phase: rollout.phase.kind,
      abortable: isAbortable(rollout) ? '1' : '0',
      epoch: String(epoch),
      head,
    };
    for (const [field, value] of Object.entries(fields)) {
      // An abort that was asked for between the two reads raises the epoch, and nothing else.
      const later = field === 'epoch' && Number(hash.epoch) < epoch;
      if (hash[field] !== value && !later)
        problems.push(`${id}: field ${field} is ${hash[field]}, its state gives ${value}`);
    }
  }
  if (isTerminal(rollout) && (await store.holder(rollout.plan.target.service)) === id)
    problems.push(`${id}: ended, and holds the lock`);
  return { events: events.length, problems };
}

/** The rollout that the events make, or what is wrong with them as a sentence. */
export function replay([first, ...rest]: readonly RecordedEvent[]): Rollout | string {
  if (first?.event.type !== 'requested') return `event 1 is ${first?.event.type}, not the request`;
  let { rollout } = begin(first.event, first.at);
  for (const { event, at, version } of rest) {
    const decided = decide(rollout, event, at);
    if (!decided.ok) return `event ${version} (${event.type}) is refused: ${JSON.stringify(decided.rejection)}`;
    rollout = decided.rollout;
  }
  return rollout;
}
