/**
 * No secret leaves the environment: a bot whose secrets can be recognised goes through a rollout, an abort and every kind of
 * trouble, at the chattiest level; then all that it wrote is searched.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kind, kinds } from '../../playground/api-server/kinds.ts';
import type { KubeObject } from '../../playground/api-server/objects.ts';
import { readChannel } from '../scenarios/support/channel.ts';
import { type Stage, setStage } from '../scenarios/support/stage.ts';
import { type PrivateRedis, startPrivateRedis, withRedis } from '../support/redis.ts';
import { replayAll } from '../support/replay.ts';

const PASSWORD = 'canary-of-redis-3f9a';
const LONG = 90_000;

let redis: PrivateRedis;
let stage: Stage;
let url: string;
let secrets: Readonly<Record<string, string>>;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-secrets-'));
  redis = await startPrivateRedis();
  // It is the account of docs/security.md, and it is enough for all that a bot does.
  const [, account = ''] = /ACL SETUSER (.*)/.exec(readFileSync('docs/security.md', 'utf8')) ?? [];
  const words = account.replace('<password>', PASSWORD).split(' ');
  await withRedis(redis.url, (client) => client.call('ACL', 'SETUSER', ...words));
  url = redis.url.replace('redis://', `redis://sluice:${PASSWORD}@`);
  stage = await setStage({ redis: { url } });
  secrets = {
    'the bot token': stage.slack.token,
    'the signing secret': stage.slack.signingSecret,
    "Redis' password": PASSWORD,
    "the cluster's token":
      /"?token"?:\s*"?([\w-]{16,})/.exec(readFileSync(stage.playground.kubeconfig, 'utf8'))?.[1] ?? '',
  };
  expect(Object.values(secrets).every((secret) => secret.length >= 8)).toBe(true);
}, LONG);
afterAll(async () => {
  await stage?.stop();
  await redis?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Names of the secrets in a text, with what stands around the first. */
function found(text: string): readonly string[] {
  return Object.entries(secrets).flatMap(([name, secret]) => {
    const at = text.indexOf(secret);
    return at < 0 ? [] : [`${name}: …${text.slice(Math.max(0, at - 80), at + secret.length + 20)}…`];
  });
}

/** Every key and value, unpacked where it is packed. */
async function dump(): Promise<string> {
  const client = new Redis(redis.url);
  const texts: string[] = [];
  const add = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(add);
    else if (Buffer.isBuffer(value)) texts.push(value.toString('latin1'), unpacked(value));
    else texts.push(String(value));
  };
  try {
    for (const key of await client.keys('*')) {
      const type = await client.type(key);
      const read: Record<string, () => Promise<unknown>> = {
        string: () => client.getBuffer(key),
        hash: () => client.callBuffer('HGETALL', key),
        list: () => client.callBuffer('LRANGE', key, '0', '-1'),
        set: () => client.smembers(key),
        zset: () => client.zrange(key, '0', '-1'),
        stream: () => client.xrange(key, '-', '+'),
      };
      const value = await read[type]?.();
      expect(value, `${key} is a ${type}`).toBeDefined();
      texts.push(key);
      add(value);
    }
  } finally {
    client.disconnect();
  }
  return texts.join('\n');
}

/** State and plan are deflated as a whole, events behind their time and hash. */
function unpacked(value: Buffer): string {
  const text = value.toString('latin1');
  const start = /^\d+ \S+ /.exec(text)?.[0].length ?? 0;
  try {
    return inflateSync(value.subarray(start)).toString();
  } catch {
    return '';
  }
}

describe('a bot', () => {
  let metrics = '';
  beforeAll(async () => {
    const bot = await stage.startBot({ LOG_LEVEL: 'trace' });
    const { slack, playground } = stage;
    const { gate, press, said, cleaned, told } = readChannel(stage);
    const users = stage.users(40);
    await slack.command('ana', 'world v2 short --reason "the canary sings"');
    await press('bo', 'Approve 10%');
    await gate('Approve 50%');
    // Requests that are not Slack's, trouble with everybody, then an abort.
    await slack.command('ana', 'status', { badSignature: true });
    await slack.command('ana', 'status', { skew: 3600 });
    slack.fail({ kind: 'error', error: 'invalid_auth' }, { times: 2 });
    slack.fail({ kind: 'unknown outcome' }, { method: 'chat.update', times: 1 });
    await slack.command('ana', 'status');
    playground.api.disturb({ effect: { kind: 'status', code: 401 }, times: 5 });
    playground.api.disturb({ effect: { kind: 'status', code: 500 }, times: 5 });
    await slack.command('ana', 'world v2 --dry-run');
    playground.api.calm();
    redis.freeze();
    await slack.command('ana', 'world v3');
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    redis.thaw();
    slack.heal();
    await withRedis(redis.url, (client) => client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'));
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await slack.command('ana', 'list');
    await told('ana', /world v2/);
    await press('bo', 'Abort');
    await said(/aborted/i);
    await cleaned();
    await users.stop();
    metrics = await (await fetch(new URL('/metrics', bot.url()))).text();
    await bot.kill('SIGTERM');
  }, LONG);

  it('says something at all', () => {
    expect(stage.log().split('\n').length).toBeGreaterThan(50);
    expect(metrics).toContain('sluice_aborts_total');
  });

  it('writes no secret into its log or to standard error', () => {
    expect(found(`${stage.log()}\n${stage.complaints()}`)).toEqual([]);
  });

  it('says none in Slack', () => {
    const { workspace, calls } = stage.slack;
    expect(workspace.messages.length).toBeGreaterThan(5);
    expect(found(JSON.stringify([workspace.messages, calls]))).toEqual([]);
  });

  it('keeps none in Redis, neither in states, events, messages nor jobs', async () => {
    const all = await dump();
    // The search sees what is packed.
    expect(all).toContain('the canary sings');
    expect(found(all)).toEqual([]);
  });

  it('has an account of Redis that may nothing but what it needs', async () => {
    await withRedis(url, async (client) => {
      for (const call of [
        ['SET', 'other', '1'],
        ['GET', 'bull:jobs'],
        ['CONFIG', 'GET', '*'],
        ['FLUSHALL'],
        ['KEYS', '*'],
      ])
        await expect(client.call(call[0] ?? '', ...call.slice(1)), call.join(' ')).rejects.toThrow('NOPERM');
    });
    expect(stage.log()).not.toContain('NOPERM');
  });

  it('shows none at /metrics', () => {
    expect(found(metrics)).toEqual([]);
  });

  it('leaves none in the cluster', () => {
    const { store } = stage.playground;
    const all = Object.values(kinds).flatMap((kind: Kind<KubeObject>) => store.list(kind));
    expect(all.length).toBeGreaterThan(3);
    expect(found(JSON.stringify(all))).toEqual([]);
  });

  it('recorded what replays to what Redis holds', async () => {
    const { rollouts, problems } = await replayAll({ url: redis.url, env: stage.corner.env });
    expect(problems).toEqual([]);
    expect(rollouts).toBe(1);
  });

  it('wrote a log with which its records can be checked', async () => {
    const file = join(folder, 'bot.log');
    writeFileSync(file, stage.log());
    const { code, output } = await program('src/cli.ts', ['audit', 'verify', '--log', file]);
    expect(output).toMatch(/world-\w{6} +ok +\d+ events/);
    expect(code).toBe(0);
  });
});

async function program(file: string, args: readonly string[], more: Record<string, string> = {}) {
  const child = spawn(process.execPath, [file, ...args], {
    env: { ...stage.environment, ...more },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const late = setTimeout(() => child.kill('SIGKILL'), 8_000);
  const [code] = await once(child, 'close');
  clearTimeout(late);
  return { code, output };
}

describe('a program that cannot work', () => {
  const kubeconfig = (change: (text: string) => string) => {
    const file = join(folder, 'kubeconfig');
    writeFileSync(file, change(readFileSync(stage.playground.kubeconfig, 'utf8')));
    return file;
  };
  const OTHER = 'canary-of-another-7c1b';

  it.each<[string, string, readonly string[], () => Record<string, string>]>([
    ['Slack refuses', 'src/main.ts', [], () => ({ SLACK_BOT_TOKEN: `xoxb-${OTHER}` })],
    ['a token of another shape', 'src/main.ts', [], () => ({ SLACK_BOT_TOKEN: OTHER })],
    ['Redis refuses', 'src/main.ts', [], () => ({ REDIS_URL: url.replace(PASSWORD, OTHER), LOG_LEVEL: 'trace' })],
    [
      'Redis refuses',
      'src/cli.ts',
      ['status'],
      () => ({ REDIS_URL: url.replace(PASSWORD, OTHER), LOG_LEVEL: 'trace' }),
    ],
    ['Redis is away', 'src/cli.ts', ['status'], () => ({ REDIS_URL: `redis://:${OTHER}@127.0.0.1:1` })],
    ['an address that is none', 'src/cli.ts', ['status'], () => ({ REDIS_URL: `http://:${OTHER}@127.0.0.1:1` })],
    ['an address that is broken', 'src/cli.ts', ['status'], () => ({ REDIS_URL: `redis://:${OTHER}@[::1` })],
    ['doctor', 'src/cli.ts', ['doctor'], () => ({ LOG_LEVEL: 'trace' })],
    [
      'doctor with all wrong',
      'src/cli.ts',
      ['doctor'],
      () => ({ REDIS_URL: url.replace(PASSWORD, OTHER), SLACK_BOT_TOKEN: `xoxb-${OTHER}` }),
    ],
    [
      'a kubeconfig cut short',
      'src/cli.ts',
      ['plan', 'world', 'v2'],
      () => ({
        KUBECONFIG: kubeconfig((text) => text.slice(0, text.indexOf(secrets["the cluster's token"] ?? '') + 20)),
      }),
    ],
    [
      'a cluster that refuses',
      'src/cli.ts',
      ['plan', 'world', 'v2'],
      () => ({
        KUBECONFIG: kubeconfig((text) => text.replace(secrets["the cluster's token"] ?? '', OTHER)),
        LOG_LEVEL: 'trace',
      }),
    ],
    [
      'a cluster that is away',
      'src/cli.ts',
      ['abort', 'world'],
      () => ({
        KUBECONFIG: kubeconfig((text) => text.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1')),
        LOG_LEVEL: 'trace',
        REDIS_URL: `redis://:${OTHER}@127.0.0.1:1`,
      }),
    ],
  ])('%s: %s %j says so without a secret', async (_, file, args, more) => {
    const { output } = await program(file, args, more());
    expect(output.length).toBeGreaterThan(20);
    expect(found(output)).toEqual([]);
    expect(output).not.toContain(OTHER);
  });
});
