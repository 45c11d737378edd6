import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig, readBotEnv, readToolEnv } from '../src/config.ts';
import { ConfigFile } from '../src/core/config-schema.ts';
import { renderSchema } from '../tools/schema.mjs';

const EXAMPLE = 'manifests/examples/sluice.yaml';

describe('the environment', () => {
  const slack = { SLACK_BOT_TOKEN: 'xoxb-1-a', SLACK_APP_TOKEN: 'xapp-1-b' };
  const enough = { REDIS_URL: 'redis://127.0.0.1:6379', ...slack };

  it('of the bot has defaults for everything but Slack and Redis', () => {
    expect(readBotEnv(enough)).toEqual({
      ok: true,
      env: { ...enough, SLUICE_CONFIG: 'sluice.yaml', PORT: 3000, LOG_LEVEL: 'info' },
    });
  });

  it('of the command line needs no Slack', () => {
    const { REDIS_URL } = enough;
    expect(readToolEnv({ REDIS_URL })).toEqual({
      ok: true,
      env: { REDIS_URL, SLUICE_CONFIG: 'sluice.yaml', LOG_LEVEL: 'info' },
    });
  });

  it.each([
    ['signed HTTP instead of Socket Mode', { SLACK_APP_TOKEN: '', SLACK_SIGNING_SECRET: 'abc' }],
    ['a local Slack', { SLACK_API_URL: 'http://127.0.0.1:4000/api/' }],
    ['Redis with TLS and a password', { REDIS_URL: 'rediss://user:secret@redis:6380/1' }],
    ['a Redis Cluster', { REDIS_URL: 'redis+cluster://h1:6379,h2:6379' }],
    ['Sentinels', { REDIS_URL: 'redis+sentinel://h1:26379,h2:26379/mymaster' }],
    ['a bot token that is rotated', { SLACK_BOT_TOKEN: 'xoxe.xoxb-1-a' }],
    ['empty values, which mean the default', { LOG_LEVEL: '', PORT: ' ', SLUICE_CONFIG: '' }],
    ['any free port', { PORT: '0' }],
    ['variables that are not ours', { PATH: '/bin' }],
  ])('takes %s', (_, over) => {
    expect(readBotEnv({ ...enough, ...over })).toMatchObject({ ok: true });
  });

  it.each([
    ['REDIS_URL', 'localhost:6379', 'REDIS_URL: set it to the address of Redis, such as redis://127.0.0.1:6379'],
    ['REDIS_URL', 'redis://h1:1,h2:2', 'REDIS_URL: for several addresses use redis+cluster:// or redis+sentinel://'],
    ['REDIS_URL', undefined, 'REDIS_URL: set it to the address of Redis, such as redis://127.0.0.1:6379'],
    [
      'SLACK_BOT_TOKEN',
      'xoxb-…',
      'SLACK_BOT_TOKEN: set it to the bot token (xoxb-…) from "OAuth & Permissions" on the app\'s pages at api.slack.com',
    ],
    [
      'SLACK_APP_TOKEN',
      'xoxb-1',
      'SLACK_APP_TOKEN: set it to an app-level token (xapp-…) with connections:write, or leave it out to use signed HTTP',
    ],
    [
      'SLACK_APP_TOKEN',
      '',
      'SLACK_APP_TOKEN: set it (Socket Mode), or SLACK_SIGNING_SECRET (signed HTTP): Slack cannot reach Sluice without one of them',
    ],
    ['SLACK_API_URL', 'slack', 'SLACK_API_URL: set it to the address of a local Slack, or leave it out'],
    ['PORT', '70000', 'PORT: set it to a port from 0 to 65535'],
    ['PORT', '3e3', 'PORT: set it to a port from 0 to 65535'],
    ['LOG_LEVEL', 'loud', 'LOG_LEVEL: set it to trace, debug, info, warn, error or silent'],
  ])('names %s when it is %j, with the remedy', (name, value, line) => {
    expect(readBotEnv({ ...enough, [name]: value })).toEqual({ ok: false, errors: [line] });
  });

  it('tells everything that is missing at once, and never a value', () => {
    const read = readBotEnv({ SLACK_BOT_TOKEN: 'sekret', PORT: 'sekret' });
    const errors = read.ok ? [] : read.errors;
    expect(errors.map((line) => line.split(':')[0])).toEqual([
      'REDIS_URL',
      'SLACK_BOT_TOKEN',
      'PORT',
      'SLACK_APP_TOKEN',
    ]);
    expect(errors.join()).not.toContain('sekret');
  });
});

describe('sluice.yaml', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sluice-config-'));
  });
  afterAll(() => rm(directory, { recursive: true }));

  const load = async (text: string) => {
    const path = join(directory, 'sluice.yaml');
    await writeFile(path, text);
    const loaded = await loadConfig(path);
    return loaded.ok ? [] : loaded.errors.map((line) => line.replace(`${path}: `, ''));
  };

  it('of the example is right', async () => {
    const loaded = await loadConfig(EXAMPLE);
    expect(loaded).toMatchObject({ ok: true, config: { services: { world: { strategies: ['canary', 'careful'] } } } });
  });

  it('that is not there is told with what to do', async () => {
    expect(await loadConfig('nowhere/sluice.yaml')).toEqual({
      ok: false,
      errors: ['nowhere/sluice.yaml: there is no such file; write it, or set SLUICE_CONFIG to where it is'],
    });
  });

  it.each([
    ['a key that comes twice', 'slack:\n  channel: a\n  channel: b\n', 'line 3, column 3: Map keys must be unique'],
    [
      'a list that does not end',
      'slack: [\n',
      'line 2, column 1: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
    ['an alias of nothing', 'slack: *nothing\n', 'Unresolved alias (the anchor must be set before the alias): nothing'],
    ['an empty file', '', 'the file: write slack, services …, not nothing'],
    [
      'a channel that YAML takes for a comment',
      'slack: { channel: #deploys\n}\nservices: {}\n',
      "slack.channel: write a channel's name or id, not nothing",
    ],
  ])('with %s says where', async (_, text, line) => {
    expect(await load(text)).toContain(line);
  });

  it('does not grow out of a few lines', async () => {
    const levels = 'abcdefghij'.split('').map((name, index, all) => {
      const item = index === 0 ? 'x' : `*${all[index - 1]}`;
      return `${name}: &${name} [${Array.from({ length: 10 }, () => item)}]`;
    });
    expect((await load(levels.join('\n'))).join()).toMatch(/Excessive alias count/);
  });
});

describe('sluice.schema.json', () => {
  it('is what tools/schema.mjs writes', async () => {
    const shipped: unknown = JSON.parse(await readFile('sluice.schema.json', 'utf8'));
    expect(shipped, 'run: node tools/schema.mjs').toEqual(JSON.parse(renderSchema()));
  });

  it('knows every key that the example uses', async () => {
    const example: unknown = parse(await readFile(EXAMPLE, 'utf8'));
    expect(ConfigFile.safeParse(example).success).toBe(true);
    expect(Object.keys(JSON.parse(renderSchema()).properties)).toEqual([
      'env',
      'slack',
      'metrics',
      'services',
      'strategies',
    ]);
  });
});
