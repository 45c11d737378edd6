/** Programs that are measured, each a process of its own as in production. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FakeSlack } from '../test/support/fake-slack/index.ts';

const START_MS = 40_000;

export type Program = {
  readonly pid: number;
  /** Where it takes Slack's requests. */
  readonly url: string;
  readonly child: ChildProcess;
  /** When it was begun and when it was ready, ms since 1970. */
  readonly startedAt: number;
  readonly readyAt: number;
  stop(): Promise<void>;
};

/** Where a bot finds its cluster. */
export type Place = { readonly kubeconfig: string; readonly prometheus: string; readonly namespace: string };

export type BotOptions = {
  readonly slack: FakeSlack;
  readonly redis: string;
  /** Keeps the bots apart on one Redis. */
  readonly env: string;
  readonly place: Place;
  /** A module that is loaded before the bot. */
  readonly preload?: URL;
  /** Besides `world`, as in `sluice.yaml`. */
  readonly services?: Readonly<Record<string, object>>;
  /** Where the bot finds the Web API, if not at the fake Slack itself. */
  readonly slackApi?: string;
};

export type BotProgram = Program & { readonly config: string };

/** The bot as it is deployed, with signed HTTP. */
export async function startBot(options: BotOptions): Promise<BotProgram> {
  const { slack, redis, env, place, preload, services = {}, slackApi = slack.apiUrl } = options;
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  const config = join(folder, 'sluice.yaml');
  writeFileSync(config, configuration(env, place, services));
  const variables = {
    SLUICE_CONFIG: config,
    KUBECONFIG: place.kubeconfig,
    REDIS_URL: redis,
    SLACK_BOT_TOKEN: slack.token,
    SLACK_SIGNING_SECRET: slack.signingSecret,
    SLACK_API_URL: slackApi,
    PORT: '0',
  };
  const program = await start(
    new URL('../src/main.ts', import.meta.url),
    variables,
    preload ? ['--import', preload.href] : [],
  );
  return {
    ...program,
    config,
    async stop() {
      await program.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export const startBareBolt = (slack: FakeSlack): Promise<Program> =>
  start(new URL('./bare-bolt.ts', import.meta.url), { SLACK_SIGNING_SECRET: slack.signingSecret });

async function start(file: URL, variables: Record<string, string>, options: readonly string[] = []) {
  const startedAt = Date.now();
  const child = fork(file, {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...variables },
    execArgv: ['--disable-warning=ExperimentalWarning', ...options],
    silent: true,
  });
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  let output = '';
  const port = await new Promise<string>((resolve, reject) => {
    const fail = (why: string) => () => reject(new Error(`${file.pathname} ${why}:\n${output}`));
    const late = setTimeout(fail('is not ready in time'), START_MS);
    child.once('exit', fail('ended at its start'));
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk) => {
        if (late.hasRef() === false) return;
        output += chunk;
        const ready = /"port":(\d+).*is ready/.exec(output)?.[1];
        if (ready === undefined) return;
        clearTimeout(late);
        late.unref();
        resolve(ready);
      });
  });
  if (child.pid === undefined) throw new Error(`${file.pathname} did not start`);
  return {
    pid: child.pid,
    url: `http://127.0.0.1:${port}/slack/events`,
    child,
    startedAt,
    readyAt: Date.now(),
    async stop() {
      process.off('exit', kill);
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

const step = (weight: number) => ({ weight, bake: '5s', gate: true });

/** JSON is YAML, and thousands of services are written faster so. */
function configuration(env: string, { namespace, prometheus }: Place, services: BotOptions['services']): string {
  const check = { interval: '1s', window: '10s', minRequests: 5 };
  return JSON.stringify({
    env,
    // One person does what hundreds would.
    slack: { channel: 'deploys', tables: false, perMinute: 1_000_000 },
    metrics: { prometheus },
    services: {
      world: {
        namespace,
        deployment: 'world',
        image: 'buoyantio/world:{version}',
        versions: 'v[0-9][\\w.-]*',
        traffic: { router: 'gateway-api', route: 'world' },
        strategies: ['short'],
        checks: [
          { name: 'success rate', query: 'linkerd/success-rate', min: 99, ...check },
          { name: 'p99 latency', query: 'linkerd/latency-p99', max: '500ms', ...check },
        ],
        tests: [{ name: 'smoke', get: '/', status: 200 }],
        access: { deploy: ['S_DEVS'], approve: ['S_APPROVERS'] },
        coolDown: '1s',
        readyTimeout: '60s',
      },
      ...services,
    },
    strategies: {
      short: [{ preview: { header: 'x-canary: always' }, test: true, gate: true }, step(10), step(50), step(100)],
      once: [{ weight: 100, bake: '2s', gate: true }],
    },
  });
}
