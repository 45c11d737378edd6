/** `npm run demo`: the whole product on this machine. Slack, Redis, a cluster with traffic, and the bot between them. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { Redis } from 'ioredis';
import { request } from 'undici';
import { kinds } from './api-server/kinds.ts';
import type { Store } from './api-server/store.ts';
import { superviseBot } from './demo/bot.ts';
import { demoConfiguration } from './demo/configuration.ts';
import { guide } from './demo/guide.ts';
import { CHANNEL, type LocalSlack, PEOPLE, startLocalSlack } from './demo/local-slack.ts';
import { type Options, readOptions } from './demo/options.ts';
import { play } from './demo/play.ts';
import { watchRoute } from './demo/route.ts';
import { transcript } from './demo/transcript.ts';
import { createPlayground } from './playground.ts';
import { HOST, NAMESPACE } from './world.ts';

const REQUESTS_PER_SECOND = 60;
const ORPHAN_MS = 1_000;

const root = join(import.meta.dirname, '..');
const write = (text: string) => void process.stdout.write(`${text}\n`);
const tell = (line: string) => write(`${new Date().toTimeString().slice(0, 8)}  ${line}`);

/** Resolves with the exit code, after `--play` or when asked to stop. */
async function demo(options: Extract<Options, { kind: 'local' | 'workspace' }>): Promise<number> {
  const stopped = stopRequest();
  const folder = mkdtempSync(join(tmpdir(), 'sluice-demo-'));
  // However we end: the folder holds a token of the simulated cluster.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

  const playground = await createPlayground({ readyAfterMs: 1_000, drainMs: 1_000 });
  const slack = options.kind === 'local' ? await startLocalSlack(options.binary, folder) : null;
  const people =
    options.kind === 'local'
      ? { channel: CHANNEL, deploy: [PEOPLE.ana], approve: [PEOPLE.bo, PEOPLE.cy] }
      : { channel: options.channel, deploy: options.people, approve: options.people };
  const config = join(folder, 'sluice.yaml');
  writeFileSync(
    config,
    demoConfiguration({
      ...people,
      env: await freshEnv(process.env.REDIS_URL),
      prometheus: playground.prometheusUrl,
      tables: slack === null,
      // Only Linux gives each pod an address of its own.
      tests: process.platform === 'linux',
    }),
  );

  const failed = Promise.withResolvers<number>();
  const log = join(folder, 'bot.log');
  const bot = await superviseBot({
    root,
    env: { ...process.env, ...slack?.env, SLUICE_CONFIG: config, KUBECONFIG: playground.kubeconfig, PORT: '0' },
    log,
    onEnd: (how) => tell(`the bot ended (${how}): it is started again`),
    onReady: (pid) => tell(`the bot is back, process ${pid}`),
    onFailure: (why) => {
      tell(`the bot does not start again: ${why}`);
      failed.resolve(1);
    },
  });
  const users = playground.load({ host: HOST, perSecond: REQUESTS_PER_SECOND });
  const unwatch = watchRoute(playground.store, tell);

  if (!(options.kind === 'local' && options.play)) {
    write(
      guide({
        page: slack?.url ?? null,
        channel: people.channel,
        proxyUrl: playground.proxyUrl,
        perSecond: REQUESTS_PER_SECOND,
        pid: bot.pid() ?? 0,
        log,
      }),
    );
  }
  const played =
    slack && options.kind === 'local' && options.play
      ? playedBy(slack, playground.store, { preview: () => preview(playground.proxyUrl), killBot: bot.kill })
      : new Promise<never>(() => {});
  const code = await Promise.race([played, failed.promise, stopped]);

  unwatch();
  const { sent, broken, gatewayErrors } = await users.stop();
  tell(`users sent ${sent} requests; ${broken + gatewayErrors} were broken or refused by the proxy`);
  await bot.stop();
  await slack?.stop();
  await playground.stop();
  return code;
}

/** A Redis that somebody else uses may hold rollouts of an earlier demo, whose cluster is gone. */
async function freshEnv(url: string | undefined): Promise<string> {
  if (!url) throw new Error('REDIS_URL is not set: `npm run demo` starts a Redis and sets it');
  const redis = new Redis(url);
  const isEmpty = (await redis.dbsize().finally(() => redis.disconnect())) === 0;
  return isEmpty ? 'demo' : `demo-${randomBytes(3).toString('hex')}`;
}

async function preview(proxyUrl: string): Promise<string> {
  const answer = await request(proxyUrl, { headers: { host: HOST, 'x-canary': 'always' }, headersTimeout: 5_000 });
  await answer.body.dump();
  return String(answer.headers['x-version']);
}

async function playedBy(
  slack: LocalSlack,
  store: Store,
  acts: Pick<Parameters<typeof play>[0], 'preview' | 'killBot'>,
): Promise<number> {
  const isIdle = () =>
    store.get(kinds.deployments, NAMESPACE, 'world-canary') === undefined &&
    store.get(kinds.httpRoutes, NAMESPACE, 'world')?.metadata.annotations?.['sluice.dev/phase'] !== 'active';
  const outcome = await play({ slack, isIdle, tell, ...acts }).then(
    () => null,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  write(`\n#${CHANNEL}\n\n${transcript(await slack.messages(), slack.nameOf)}\n`);
  if (outcome !== null) tell(`the demo failed: ${outcome}`);
  return outcome === null ? 0 : 1;
}

function stopRequest(): Promise<number> {
  return new Promise((resolve) => {
    const launcher = process.ppid;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve(0));
    // Without its launcher the demo has lost its Redis, and nobody would ever end it.
    setInterval(() => process.ppid !== launcher && resolve(1), ORPHAN_MS).unref();
  });
}

async function main(): Promise<number> {
  const { platform, arch, env } = process;
  const options = readOptions(process.argv.slice(2), { platform, arch, root, env });
  if (options.kind === 'help') {
    write(options.text);
    return 0;
  }
  if (options.kind === 'refused') {
    process.stderr.write(`demo: ${options.text}\n`);
    return 1;
  }
  return demo(options);
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
