/**
 * A stage whose bot has a Redis of its own that something happens to. What must hold whatever happens is looked at from
 * outside, at each revision of the route and at the end (the numbers are those of the invariants).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import type { HttpRoute } from '../../playground/api-server/objects.ts';
import { createStore } from '../../src/adapters/redis/store.ts';
import { readChannel } from '../scenarios/support/channel.ts';
import { type Options, type Stage, setStage } from '../scenarios/support/stage.ts';
import type { Name } from '../support/fake-slack/index.ts';
import { recordingLog } from '../support/redis.ts';
import { replayAll } from '../support/replay.ts';

/** Of the strategy `brisk`: each needs so many approvals as stand before it. */
const PLAN = [50, 100];
/** What was typed right before Redis went away is taken up again after ten seconds, by design. */
const LONG = { timeoutMs: 30_000 };

type Opened = { readonly url: string; stop(): Promise<void> };
type Bot = Awaited<ReturnType<Stage['startBot']>>;

export type RedisStage<T extends Opened> = ReturnType<typeof readChannel> & {
  readonly redis: T;
  readonly stage: Stage;
  readonly bot: Bot;
  /** Ana asks for v2, and its first gate is open: half of the traffic is on the canary. */
  begin(): Promise<void>;
  approve(user: Name, label: string): Promise<void>;
  /** Presses again as long as it is told that nothing was recorded. */
  insist(user: Name, label: string): Promise<void>;
  abort(user: Name): Promise<void>;
  /** The bot has found Redis again after this. */
  backAfter(healing: () => Promise<unknown>): Promise<void>;
  weightIs(weight: number, withinMs?: number): Promise<void>;
  /** v2 is live, told once, and nothing but terminal marks is left. */
  live(): Promise<void>;
  /** Everything is as it was before, told once, and nothing but terminal marks is left. */
  back(why: RegExp): Promise<void>;
};

export function useRedisStage<T extends Opened>(
  open: () => Promise<T>,
  options: () => Omit<Options, 'redis'> = () => ({}),
): () => RedisStage<T> {
  let set: RedisStage<T> | undefined;
  let problems: string[] = [];
  const now = () => {
    if (!set) throw new Error('the stage is not set');
    return set;
  };

  beforeEach(async () => {
    const redis = await open();
    const stage = await setStage({ service: { checks: [], tests: [] }, ...options(), redis });
    const watched = watch(stage);
    problems = watched.problems;
    set = { ...act(stage, watched.approvals), redis, stage, bot: await stage.startBot() };
  });
  afterEach(async ({ task }) => {
    const { stage, redis } = now();
    const hasFailed = task.result?.state === 'fail';
    if (hasFailed) process.stderr.write(`${stage.slack.transcript()}\n${stage.log()}\n`);
    // A test that failed may have left its Redis in any state.
    const replayed = hasFailed ? null : await replayAll(stage.corner).catch(unread);
    await stage.stop();
    await redis.stop();
    expect(stage.slack.violations).toEqual([]);
    expect(problems).toEqual([]);
    expect(replayed?.problems ?? []).toEqual([]);
    expect(replayed?.rollouts, 'rollouts that were replayed').not.toBe(0);
  });
  return now;
}

const unread = (error: unknown) => ({ rollouts: 0, problems: [`Redis cannot be read: ${error}`] });

/** I1, I3, I5, I8 at each revision of the route. `approvals`: clicks until now, whether they counted or not. */
function watch({ playground: { store } }: Stage) {
  const problems: string[] = [];
  const approvals = { count: 0 };
  let before = 0;
  let epoch = 0;
  store.subscribe(({ kind, object }) => {
    if (kind !== kinds.httpRoutes) return;
    const { spec, metadata } = object as HttpRoute;
    const weights = (spec.rules?.[0]?.backendRefs ?? []).map(({ name, weight = 1 }) => ({ name, weight }));
    const sum = weights.reduce((total, { weight }) => total + weight, 0);
    const weight = weights.find(({ name }) => name === 'world-canary')?.weight ?? 0;
    const marked = Number(metadata.annotations?.['sluice.dev/epoch'] ?? epoch);
    if (weights.length > 1 && sum !== 100) problems.push(`the weights sum to ${sum}`);
    if (marked < epoch) problems.push(`epoch ${marked} after ${epoch}`);
    if (weight > before) {
      const step = PLAN.indexOf(weight);
      if (step < 0 || before !== (PLAN[step - 1] ?? 0)) problems.push(`${weight} after ${before}`);
      if (step > approvals.count) problems.push(`${weight} after ${approvals.count} approvals`);
    }
    before = weight;
    epoch = marked;
  });
  return { problems, approvals };
}

function act(stage: Stage, approvals: { count: number }) {
  const channel = readChannel(stage, LONG.timeoutMs);
  const { slack, get, weights, corner } = stage;

  async function ended(words: RegExp, image: string): Promise<void> {
    const isEnd = ({ text }: { text: string }) => words.test(text);
    await slack.until(() => slack.thread().find(isEnd), { what: `${words}`, ...LONG });
    await slack.until(() => get(kinds.deployments, 'world-canary') === undefined, { what: 'clean-up', ...LONG });
    const marks = () => get(kinds.httpRoutes, 'world')?.metadata.annotations ?? {};
    await slack.until(() => marks()['sluice.dev/phase'] === 'done', { what: 'the route is released', ...LONG });
    expect(channel.image('world')).toBe(image);
    expect(weights.at(-1)).toBe(0);
    for (const name of ['world-canary', 'world-stable']) expect(get(kinds.services, name)).toBeUndefined();
    const store = createStore({ url: corner.url, env: corner.env, log: recordingLog() });
    try {
      await expect.poll(() => store.holder('world').catch(() => 'Redis'), { timeout: 15_000 }).toBeNull();
      await expect.poll(() => store.backlog().catch(() => -1), { timeout: 15_000 }).toBe(0);
    } finally {
      await store.close();
    }
    expect(slack.thread().filter(({ text }) => /is live|all traffic is on/i.test(text))).toHaveLength(1);
  }

  async function approve(user: Name, label: string): Promise<void> {
    const message = await channel.gate(label);
    approvals.count++;
    await slack.click(user, message, label);
  }

  return {
    ...channel,
    async begin() {
      await slack.command('ana', 'world v2 brisk');
      await channel.gate('Approve 100%');
    },
    approve,
    async insist(user: Name, label: string) {
      const refusals = () => slack.ephemerals(user).filter((text) => /Not recorded/.test(text)).length;
      for (let before: number | null = null; before === null || before < refusals(); await sleep(1_500)) {
        before = refusals();
        await approve(user, label);
      }
    },
    async abort(user: Name) {
      await slack.click(user, slack.root(), 'Abort');
    },
    async backAfter(healing: () => Promise<unknown>) {
      const found = () => stage.log().match(/"connection":"work"[^\n]*Redis connected/g)?.length ?? 0;
      const before = found();
      await healing();
      await slack.until(() => found() > before, { what: 'the bot finds Redis', ...LONG });
    },
    weightIs: async (weight: number, timeoutMs = 15_000) => {
      await slack.until(() => weights.at(-1) === weight, { what: `${weight}%`, timeoutMs });
    },
    live: () => ended(/v2 is live/i, 'buoyantio/world:v2'),
    back: (why: RegExp) => ended(why, 'buoyantio/world:v1'),
  };
}
