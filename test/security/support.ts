/** A bot whose requests are worked on for real, in a corner of Redis; the cluster and Slack are what a test gives. */
import type { RedisStore } from '../../src/adapters/redis/store.ts';
import type { Answer } from '../../src/app/answers.ts';
import { createBot } from '../../src/app/bot.ts';
import { createCommands } from '../../src/app/commands.ts';
import type { Deploy } from '../../src/app/deploy.ts';
import { createRollouts, type Deps as HandleDeps, type Rollouts } from '../../src/app/handle.ts';
import { createPeople } from '../../src/app/people.ts';
import type { Chat } from '../../src/app/ports/chat.ts';
import type { TrafficRouter } from '../../src/app/ports/router.ts';
import type { Store } from '../../src/app/ports/store.ts';
import type { Click, Request } from '../../src/app/requests.ts';
import { configOf, only } from '../app/support.ts';
import { loaded, playTo, record, start } from '../contracts/store.ts';
import { recordingLog } from '../support/redis.ts';

export const GATE_TS = '1700.2';
export const ROOT_TS = '1700.1';

export function aBot(store: Store, { env = 'test', chat: more = {} }: { env?: string; chat?: Partial<Chat> } = {}) {
  const log = recordingLog();
  const told: Answer[] = [];
  const deploys: string[] = [];
  const aborted: string[] = [];
  const chat = only<Chat>({
    tell: async (_, answer) => void told.push(answer),
    isFullMember: async () => true,
    groupMembers: async () => ({ ok: true, users: ['U0BO'] }),
    permalink: async (channel, ts) => `https://slack.example/${channel}/${ts}`,
    ...more,
  });
  const config = configOf(env, ['world', 'other']);
  const people = createPeople({ store, chat, log, clock: () => performance.now() });
  const { record: recordEvent } = createRollouts(
    only<HandleDeps>({
      store,
      log,
      clock: () => performance.now(),
      random: Math.random,
      onMessages: () => {},
      onTransition: () => {},
      queue: only({}),
    }),
  );
  const abort = async (id: string) => {
    aborted.push(id);
    return { kind: 'started', rollout: (await loaded(store, id)).rollout, done: Promise.resolve() } as const;
  };
  const commands = createCommands({
    ...{ config, store, chat, people, log, abort },
    rollouts: only<Rollouts>({ record: recordEvent, tick: async () => {} }),
    deploy: only<Deploy>({
      byHand: () => 'kubectl',
      start: async ({ user }) => {
        deploys.push(user);
        return { kind: 'noted' };
      },
      rollBack: async () => ({ kind: 'noted' }),
    }),
  });
  const bot = createBot({
    ...{ config, store, chat, people, commands, log, abort },
    blindAbort: async () => ({ kind: 'not held' }),
    routerOf: () => only<TrafficRouter>({ getRoute: async () => null }),
    newReference: () => 'r',
    reconcile: () => undefined,
  });
  return {
    told,
    deploys,
    aborted,
    log,
    async ask(request: Request) {
      const { after } = await bot.receive(request);
      await after();
      return told.at(-1);
    },
  };
}

/** A rollout at its first gate with traffic, whose messages are in Slack; `BO` may approve it. */
export async function atGate(store: RedisStore, env: string, service = 'world') {
  const { id } = await start(store, service, env);
  await playTo(store, id, (phase, { gates }) => phase.kind === 'waiting' && gates.length === 1);
  for (const [key, ts] of [
    ['root', ROOT_TS],
    ['gate:1', GATE_TS],
  ] as const)
    await record(store, await loaded(store, id), { type: 'message_delivered', key, ts });
  const { rollout } = await loaded(store, id);
  return { id, rollout, channel: rollout.plan.channel };
}

let keys = 0;

export const clicked = (click: Click, at: { channel: string; ts: string } | null = null, user = 'U0BO'): Request => ({
  key: `click-${keys++}`,
  user,
  name: user.toLowerCase(),
  team: 'T-ACME',
  replyTo: { user, channel: at?.channel ?? 'C0DEPLOYS', thread: null, responseUrl: null },
  what: { kind: 'click', click, reason: null, at },
});
