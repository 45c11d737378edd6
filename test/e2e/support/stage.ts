/** A whole stage: world, Slack, Redis, Prometheus, bots and an observer, set up for one file of scenarios. */
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { replayAll } from '../../support/replay.ts';
import { createAccount } from './account.ts';
import { type Bot, createInstallation } from './bot.ts';
import { type History, watchHistory } from './history.ts';
import { startMetricsProxy } from './metrics-proxy.ts';
import { startRedis } from './redis.ts';
import { startSlack } from './slack.ts';
import { GATEWAY, type System } from './systems.ts';
import { createWorld, type World } from './world.ts';

export type Options = {
  readonly replicas?: number;
  /** How often a check is sampled. */
  readonly interval?: string;
  /** More services, each with a Deployment and a route of its own. */
  readonly alsoServices?: readonly string[];
  /** What routes; default HTTPRoutes of a Gateway. */
  readonly system?: System;
};

const LOG_LINES = 80;
/** What `sluice.yaml` means where it names none. */
const ENV = 'default';
const PREVIEW = { preview: { header: 'x-canary: always' }, test: true, gate: true };
const STRATEGIES: Readonly<Record<string, readonly { readonly weight?: number; readonly [what: string]: unknown }[]>> =
  {
    short: [PREVIEW, ...[10, 50, 100].map((weight) => ({ weight, bake: '5s', gate: true }))],
    /** For what happens between the steps: no baking. */
    brisk: [PREVIEW, ...[10, 50, 100].map((weight) => ({ weight, gate: true }))],
    /** For what has no previews. */
    plain: [{ test: true, gate: true }, ...[10, 50, 100].map((weight) => ({ weight, gate: true }))],
    /** The published Linkerd pipeline, and the walkthrough of a gray release. */
    pipeline: [PREVIEW, ...[10, 100].map((weight) => ({ weight, gate: true }))],
    gray: [20, 50, 100].map((weight) => ({ weight, gate: true })),
    /** For what knows nothing between nothing and all. */
    switch: [
      { test: true, gate: true },
      { weight: 100, gate: true },
    ],
    rolling: [{ weight: 100, gate: true }],
    /** Other users in every step. */
    users: [
      { preview: { header: 'x-canary: always' }, gate: true },
      { weight: 10, preview: { header: 'x-user', pattern: '^qa-.*$' }, gate: true },
      { weight: 50, preview: { cookie: 'canary=always' }, gate: true },
      { weight: 100, gate: true },
    ],
    /** Without a test: whatever asks the canary in the first step is a copy. */
    copies: [{ mirror: 20, gate: true }, ...[10, 50, 100].map((weight) => ({ weight, gate: true }))],
  };
/** Weights of a strategy's steps; a rollback, which has none, goes to all at once. */
export const planOf = (strategy = ''): readonly number[] =>
  (STRATEGIES[strategy] ?? [{ weight: 100 }]).map(({ weight = 0 }) => weight);
export const PLAN = planOf('short');

export type Stage = Awaited<ReturnType<typeof setStage>>;

async function setStage({ replicas = 1, interval = '1s', alsoServices = [], system = GATEWAY }: Options) {
  const closing: (() => unknown)[] = [];
  const keep = <T>(part: T, close: (part: T) => unknown): T => {
    closing.unshift(() => close(part));
    return part;
  };
  const close = async () => {
    for (const step of closing.splice(0)) await step();
  };
  try {
    const worlds: World[] = [];
    for (const name of ['world', ...alsoServices])
      worlds.push(keep(await createWorld(undefined, name, system), (part) => part.remove()));
    const [world] = worlds;
    if (!world) throw new Error('a stage has a world');
    const namespaces = worlds.map(({ namespace }) => namespace);
    const account = keep(await createAccount(world.kube, world.namespace, namespaces, system.rights()), (part) =>
      part.remove(),
    );
    const slack = keep(await startSlack(), (part) => part.stop());
    const redis = keep(await startRedis(), (part) => part.stop());
    const metrics = keep(await startMetricsProxy(), (part) => part.stop());
    const histories: History[] = [];
    for (const each of worlds) histories.push(keep(await watchHistory(each), (part) => part.stop()));
    const config = configFor(worlds, metrics.url, interval);
    const installation = keep(
      createInstallation(config, { ...slack.env, REDIS_URL: redis.url }, account.kubeconfig),
      (part) => part.remove(),
    );
    const bots: Bot[] = [];
    for (let n = 0; n < replicas; n += 1) bots.push(keep(await installation.startBot(), (part) => part.stop()));
    const [[bot], [history]] = [bots, histories];
    if (!bot || !history) throw new Error('a stage has a bot and an observer');
    return { world, worlds, slack, redis, metrics, history, histories, bot, bots, cli: installation.cli, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * One stage for the tests of a file; after a test that failed, and may have left it in any state, a new one. Shows what was
 * seen in the failed test; what the others left in Redis is replayed.
 */
export function useStage(options: Options = {}): () => Stage {
  let stage: Stage | undefined;
  beforeAll(async () => {
    stage = await setStage(options);
  });
  afterEach(async ({ task }) => {
    if (!stage) return;
    if (task.result?.state !== 'fail') {
      expect((await replayAll({ url: stage.redis.url, env: ENV })).problems).toEqual([]);
      return;
    }
    await tell(stage);
    await stage.close();
    stage = undefined;
    stage = await setStage(options);
  });
  afterAll(() => stage?.close());
  return () => {
    if (!stage) throw new Error('the stage could not be set');
    return stage;
  };
}

async function tell({ slack, histories, bots }: Stage) {
  const routes = histories.map((history) => `--- route\n${history.show()}`);
  const logs = bots.map((bot, n) => `--- bot ${n + 1}\n${bot.output().split('\n').slice(-LOG_LINES).join('\n')}`);
  console.error([`--- channel\n${await slack.transcript()}`, ...routes, ...logs].join('\n'));
}

function configFor(worlds: readonly World[], prometheus: string, interval: string) {
  const check = { interval, window: '10s', minRequests: 5 };
  const services = worlds.map(({ name, namespace, system }) => [
    name,
    {
      namespace,
      deployment: name,
      image: 'buoyantio/world:{version}',
      versions: '^v[0-9][\\w.-]*$',
      traffic: system.traffic(name),
      strategies: system.strategies,
      checks: [
        { name: 'success rate', query: 'linkerd/success-rate', min: 99, ...check },
        { name: 'p99 latency', query: 'linkerd/latency-p99', max: '500ms', ...check },
      ],
      tests: [{ name: 'smoke', get: '/', status: 200 }],
      access: { deploy: ['S_DEVS'], approve: ['S_APPROVERS'], fourEyes: true },
      coolDown: '3s',
      readyTimeout: '60s',
      ...system.service,
    },
  ]);
  return {
    slack: { channel: 'deploys', tables: false },
    metrics: { prometheus },
    services: Object.fromEntries(services),
    strategies: STRATEGIES,
  };
}
