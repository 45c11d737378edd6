/** The whole bot as it is deployed, a process of its own, between a simulated cluster and a small Slack. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { stringify } from 'yaml';
import { type Kind, kinds } from '../../../playground/api-server/kinds.ts';
import type { HttpRoute, KubeObject } from '../../../playground/api-server/objects.ts';
import { createPlayground } from '../../../playground/playground.ts';
import { HOST, NAMESPACE, type WorldOptions } from '../../../playground/world.ts';
import { startFakeSlack } from '../../support/fake-slack/index.ts';
import { redisCorner } from '../../support/redis.ts';

const START_MS = 25_000;

export type Stage = Awaited<ReturnType<typeof setStage>>;

const step = (weight: number) => ({ weight, bake: '1s', gate: true });

function configuration(env: string, prometheus: string, service: object, more: object): object {
  const check = { interval: '1s', window: '10s', minRequests: 3 };
  return {
    env,
    slack: { channel: 'deploys', tables: false },
    metrics: { prometheus },
    services: {
      world: {
        namespace: NAMESPACE,
        deployment: 'world',
        image: 'buoyantio/world:{version}',
        versions: 'v[0-9][\\w.-]*',
        traffic: { router: 'gateway-api', route: 'world' },
        strategies: ['short', 'brisk'],
        checks: [
          { name: 'success rate', query: 'linkerd/success-rate', min: 99, ...check },
          { name: 'p99 latency', query: 'linkerd/latency-p99', max: '500ms', ...check },
        ],
        tests: [{ name: 'smoke', get: '/', status: 200 }],
        access: { deploy: ['S_DEVS'], approve: ['S_APPROVERS'] },
        coolDown: '1s',
        readyTimeout: '30s',
        ...service,
      },
    },
    strategies: {
      short: [{ preview: { header: 'x-canary: always' }, test: true, gate: true }, step(10), step(50), step(100)],
      brisk: [
        { weight: 50, gate: true },
        { weight: 100, gate: true },
      ],
    },
    ...more,
  };
}

export type Options = {
  /** From a pod's creation to Ready. */
  readonly readyAfterMs?: number;
  /** More of `world` in `sluice.yaml`, or instead. */
  readonly service?: object;
  /** Other parts of `sluice.yaml`, in place of the stage's own. */
  readonly config?: object;
  /** Another Redis than the tests' own. */
  readonly redis?: { readonly url: string };
  /** What the cluster begins with; default: two pods behind a Gateway. */
  readonly world?: WorldOptions;
};

export async function setStage({ readyAfterMs = 150, service = {}, config = {}, redis, world = {} }: Options = {}) {
  const playground = await createPlayground({ readyAfterMs, world: { replicas: 2, ...world } });
  const slack = await startFakeSlack();
  const corner = redis ? { url: redis.url, env: 'test', clear: async () => undefined } : redisCorner();
  const folder = mkdtempSync(join(tmpdir(), 'sluice-scenario-'));
  const file = join(folder, 'sluice.yaml');
  const configure = (changed: object) =>
    writeFileSync(
      file,
      stringify(configuration(corner.env, playground.prometheusUrl, { ...service, ...changed }, config)),
    );
  configure({});
  const environment = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    // Most of a start is reading the libraries.
    NODE_COMPILE_CACHE: join(tmpdir(), 'sluice-test-compile-cache'),
    SLUICE_CONFIG: file,
    KUBECONFIG: playground.kubeconfig,
    REDIS_URL: corner.url,
    SLACK_BOT_TOKEN: slack.token,
    SLACK_SIGNING_SECRET: slack.signingSecret,
    SLACK_API_URL: slack.apiUrl,
    PORT: '0',
  };
  const bots = new Set<ChildProcess>();
  const lines: string[] = [];
  const complaints: string[] = [];

  /** Starts a bot; `ready` resolves when it is, and Slack is pointed at it. */
  function launchBot(more: Record<string, string> = {}) {
    const child = spawn(process.execPath, ['src/main.ts'], {
      env: { ...environment, ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    bots.add(child);
    const ended = once(child, 'exit').then(() => bots.delete(child));
    const errors: string[] = [];
    let url = '';
    child.stderr.on('data', (chunk) => {
      errors.push(String(chunk));
      complaints.push(String(chunk));
    });
    const output = createInterface({ input: child.stdout });
    const ready = new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`the bot is not ready:\n${lines.join('\n')}`)), START_MS);
      child.once('exit', () => {
        clearTimeout(late);
        reject(new Error(`the bot ended at its start:\n${errors.join('')}`));
      });
      output.on('line', (line) => {
        lines.push(line);
        const port = /"port":(\d+).*Sluice is ready/.exec(line)?.[1];
        if (port === undefined) return;
        clearTimeout(late);
        url = `http://127.0.0.1:${port}/slack/events`;
        slack.botUrl = url;
        resolve();
      });
    });
    return {
      ready,
      ended,
      /** Where it takes what Slack sends, once it is ready. */
      url: () => url,
      isAlive: () => child.exitCode === null && child.signalCode === null,
      signal: (signal: NodeJS.Signals) => child.kill(signal),
      /** Resolves with the exit code; null: the signal ended it. */
      kill: async (signal: NodeJS.Signals = 'SIGKILL') => {
        if (child.exitCode === null && child.signalCode === null) {
          child.kill(signal);
          await ended;
        }
        return child.exitCode;
      },
    };
  }

  async function startBot(more: Record<string, string> = {}) {
    const bot = launchBot(more);
    await bot.ready;
    return bot;
  }

  const weights: number[] = [];
  const unsubscribe = playground.store.subscribe(({ kind, object }) => {
    if (kind !== kinds.httpRoutes) return;
    const weight = canaryWeight(object as HttpRoute);
    if (weight !== weights.at(-1)) weights.push(weight);
  });
  const writes: number[] = [];
  playground.store.guard((_, kind, object) => {
    if (kind === kinds.httpRoutes) writes.push(canaryWeight(object as HttpRoute));
  });

  return {
    playground,
    slack,
    corner,
    launchBot,
    startBot,
    /** Writes `sluice.yaml` with other settings of `world`; a bot reads it at its start. */
    configure,
    log: () => lines.join('\n'),
    /** What bots wrote to standard error. */
    complaints: () => complaints.join(''),
    environment,
    /** Users of the service, some requests a second until stopped. */
    users: (perSecond: number) => playground.load({ perSecond, host: HOST }),
    /** Canary weights of the route in the order they were set, from the first change on. */
    weights,
    /** The same of each write that the API server took, also of one that changed nothing: what is done twice stands twice. */
    writes,
    get: <T extends KubeObject>(kind: Kind<T>, name: string) => playground.store.get(kind, NAMESPACE, name),
    async stop() {
      unsubscribe();
      for (const child of bots) child.kill('SIGKILL');
      await Promise.all([...bots].map((child) => once(child, 'exit')));
      await Promise.all([playground.stop(), slack.stop(), corner.clear()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Share of the canary in the rule that has no header match. */
function canaryWeight({ spec }: HttpRoute): number {
  const plain = spec.rules?.find((rule) => !rule.matches?.some(({ headers }) => headers && headers.length > 0));
  return plain?.backendRefs?.find(({ name }) => name === 'world-canary')?.weight ?? 0;
}
