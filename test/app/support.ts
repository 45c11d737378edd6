/** Parts for tests of the app: a real store in a corner of Redis, and ports that can do only what a test gives them. */
import { createStore } from '../../src/adapters/redis/store.ts';
import type { Answer } from '../../src/app/answers.ts';
import type { Chat } from '../../src/app/ports/chat.ts';
import type { Marks } from '../../src/app/ports/cluster.ts';
import type { TrafficRouter } from '../../src/app/ports/router.ts';
import type { Workload } from '../../src/app/ports/workload.ts';
import type { Request } from '../../src/app/requests.ts';
import type { Config } from '../../src/core/config.ts';
import { parseConfig } from '../../src/core/parse-config.ts';
import type { Route } from '../../src/core/plan.ts';
import { recordingLog, redisCorner } from '../support/redis.ts';

/** A port with these members; any other one fails the test that needs it. */
export function only<T extends object>(part: Partial<T>): T {
  return new Proxy(part as T, {
    get(target, name, receiver) {
      if (!(name in target)) throw new Error(`the test gives no ${String(name)}`);
      return Reflect.get(target, name, receiver);
    },
  });
}

const service = (name: string) => ({
  namespace: name,
  deployment: name,
  image: `buoyantio/${name}:{version}`,
  traffic: { router: 'gateway-api', route: name },
  checks: [],
  access: { deploy: ['U0ANA', 'U0BO'], approve: ['U0BO'] },
});

/** `more`: of each service. */
export function configOf(env: string, names: readonly string[] = ['world'], more: object = {}): Config {
  const services = Object.fromEntries(names.map((name) => [name, { ...service(name), ...more }]));
  const parsed = parseConfig({ env, slack: { channel: 'deploys' }, services });
  if (!parsed.ok) throw new Error(parsed.errors.join('\n'));
  return parsed.config;
}

export function openCorner() {
  const { url, env, clear } = redisCorner();
  const log = recordingLog();
  const store = createStore({ url, env, log });
  return {
    url,
    env,
    store,
    log,
    async close() {
      await store.close();
      await clear();
    },
  };
}

let keys = 0;

export const typed = (text: string, thread: { channel: string; ts: string } | null = null): Request => ({
  ...person(),
  what: { kind: 'command', text, thread },
});

export const pressedAbort = (rollout: string): Request => ({
  ...person(),
  what: { kind: 'click', click: { action: 'abort', rollout, env: 'test', service: 'world' }, reason: null },
});

const person = () => ({
  key: `key-${keys++}`,
  user: 'U0BO',
  name: 'bo',
  team: 'T',
  replyTo: { user: 'U0BO', channel: 'C0DEPLOYS', thread: null, responseUrl: null },
});

/** A chat that remembers what it told people. */
export function listeningChat(more: Partial<Chat> = {}) {
  const told: Answer['kind'][] = [];
  const chat = only<Chat>({
    tell: async (_, answer) => void told.push(answer.kind),
    isFullMember: async () => true,
    permalink: async () => null,
    channel: async () => ({ ok: true, id: 'C0DEPLOYS' }),
    home: async () => 'C0DEPLOYS',
    ...more,
  });
  return { chat, told };
}

export const marksOf = (rollout: string, more: Partial<Marks> = {}): Marks => ({
  ...{ rollout, epoch: 4, seq: 9, phase: 'active', abort: null, restore: null },
  ...more,
});

/** A cluster that a rollout holds, as a blind abort meets it; `calls`: what was written. */
export function heldCluster(held: {
  marks: Marks | null;
  weight: number;
  promoted: boolean;
  mayRoute?: boolean;
  rolling?: string;
}) {
  const calls: string[] = [];
  const route: Route = { weight: held.weight, preview: null, mirror: null };
  const router: Pick<TrafficRouter, 'getRoute' | 'blindAbort'> = {
    getRoute: async () => ({ route, marks: held.marks }),
    blindAbort: async (_, rollout, __, keepTraffic) => {
      if (held.marks?.rollout !== rollout) return { kind: 'refused', message: 'not held' };
      calls.push(keepTraffic ? 'mark' : 'route');
      return { kind: 'done' };
    },
  };
  const workload: Pick<Workload, 'isPromoted' | 'demote'> = {
    isPromoted: async () => held.promoted,
    demote: async (_, { epoch }) => {
      calls.push(`demote at ${epoch}`);
      return { kind: 'done', mayRoute: held.mayRoute ?? true, ...(held.rolling && { rolling: held.rolling }) };
    },
  };
  return { calls, router, workload };
}
