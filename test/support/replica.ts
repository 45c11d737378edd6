/** The part of a bot that works on rollouts: commands, transitions and effects, without Slack and BullMQ. */
import { createAbort } from '../../src/app/abort.ts';
import { createCommands } from '../../src/app/commands.ts';
import { createRollouts } from '../../src/app/handle.ts';
import { createPeople } from '../../src/app/people.ts';
import type { Chat } from '../../src/app/ports/chat.ts';
import type { Metrics } from '../../src/app/ports/metrics.ts';
import type { Prober } from '../../src/app/ports/prober.ts';
import type { Queue } from '../../src/app/ports/queue.ts';
import type { TrafficRouter } from '../../src/app/ports/router.ts';
import type { Store } from '../../src/app/ports/store.ts';
import type { Workload } from '../../src/app/ports/workload.ts';
import type { Click, Request } from '../../src/app/requests.ts';
import { begin } from '../../src/core/decide.ts';
import { type Plan, STABLE_ROUTE } from '../../src/core/plan.ts';
import type { Rollout } from '../../src/core/rollout.ts';
import { configOf, listeningChat, only } from '../app/support.ts';
import { loaded, record } from '../contracts/store.ts';
import { samplePlan } from './played.ts';
import { recordingLog } from './redis.ts';

type Given = {
  readonly env: string;
  readonly store: Store;
  readonly cluster: { readonly router: TrafficRouter; readonly workload: Workload };
  readonly chat?: Partial<Chat>;
  /** Told of work that nobody waits for. */
  readonly onTick?: (running: Promise<void>) => void;
  readonly onTransition?: (after: Rollout) => void;
  readonly clock?: () => number;
  readonly wakeAt?: Queue['wakeAt'];
};

export function createReplica({ env, store, cluster, chat, onTick, onTransition, clock, wakeAt }: Given) {
  const log = recordingLog();
  const deps = {
    ...{ store, router: () => cluster.router, workload: () => cluster.workload, metrics: only<Metrics>({}) },
    ...{ prober: only<Prober>({}), queue: only<Queue>({ wake: async () => {}, wakeAt: wakeAt ?? (async () => {}) }) },
    ...{ log, clock: clock ?? (() => 0), random: () => 0, onMessages: () => {} },
    onTransition: (_: Rollout, after: Rollout) => onTransition?.(after),
  };
  const rollouts = createRollouts(deps);
  const tick = (id: string) => {
    const running = rollouts.tick(id);
    onTick?.(running);
    return running;
  };
  const listening = listeningChat(chat).chat;
  const commands = createCommands({
    ...{ config: configOf(env), store, chat: listening, log },
    people: createPeople({ store, chat: listening, log, clock: () => performance.now() }),
    rollouts: { ...rollouts, tick },
    abort: createAbort(deps, rollouts),
    deploy: only({}),
  });
  return { tick, commands };
}

/** Two gates, at 10 and at 100, and nothing to measure. `approve`: who may. */
function aPlan(service: string, env: string, approve: readonly string[]): Plan {
  const plan = samplePlan(service, env);
  const gate = { approvals: 1, timeoutMs: 14_400_000, onTimeout: 'abort' } as const;
  const step = (weight: number) => ({ route: { ...STABLE_ROUTE, weight }, test: false, bakeMs: 0, gate });
  return {
    ...plan,
    ...{ steps: [step(10), step(100)], checks: [], tests: [], coolDownMs: 0 },
    access: { ...plan.access, deploy: ['U0ADA'], approve, abort: [], onCall: [] },
  };
}

/** A rollout that Slack has announced and nobody has looked at yet. */
export async function begun(store: Store, service: string, env: string, approve: readonly string[]): Promise<string> {
  const id = `${service}-abcdef`;
  const event = { type: 'requested', id, plan: aPlan(service, env, approve), epoch: 1 } as const;
  await store.create(begin(event, await store.now()), event, null);
  await record(store, await loaded(store, id), { type: 'message_delivered', key: 'root', ts: '1' });
  return id;
}

let requests = 0;
export const clicked = (user: string, click: Click): Request => ({
  ...{ key: `click-${requests++}`, user, name: user, team: 'T' },
  replyTo: { user, channel: 'C0DEPLOYS', thread: null, responseUrl: null },
  what: { kind: 'click', click, reason: 'seen' },
});
