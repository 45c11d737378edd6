/**
 * The strict Slack judges: it passes the same contract as the fake of `npm test`, takes every message that Sluice can say, and
 * the adapter works with it over Socket Mode and over signed HTTP.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSlack, type Slack } from '../../src/adapters/slack/app.ts';
import { HOSTILE, SAID } from '../adapters/slack/states.ts';
import { memoryLog, recordingBot, waiting } from '../adapters/slack/support.ts';
import { slackContract } from '../contracts/slack.ts';

type Strict = {
  readonly url: string;
  readonly token: string;
  readonly appToken: string;
  readonly signingSecret: string;
  readonly control: string;
  stop(): Promise<void>;
};
type Shown = {
  readonly ts: string;
  readonly text: string;
  readonly ephemeral_to?: string;
  readonly thread?: readonly Shown[];
};
type Reaction = { readonly acked_ms: number | null; readonly response?: unknown; readonly error?: string };

/** Only in e2e: the strict Slack is not part of this repository. */
const home = process.env.SLUICE_STRICT_SLACK ?? resolve('..', 'shared', 'slack');

async function startStrict(options: object = {}) {
  const { start }: { start: (options: object) => Promise<Strict> } = await import(
    pathToFileURL(join(home, 'server.mjs')).href
  );
  const strict = await start({ rates: false, ...options });
  async function ask<T>(path: string, body?: object): Promise<T> {
    const answer = await fetch(
      `${strict.control}/_strict/${path}`,
      body ? { method: 'POST', body: JSON.stringify(body) } : {},
    );
    return (await answer.json()) as T;
  }
  const messages = async () => {
    const { messages: roots } = await ask<{ messages: readonly Shown[] }>('messages?channel=deploys');
    return roots.flatMap((root) => [root, ...(root.thread ?? [])]);
  };
  return {
    ...strict,
    apiUrl: `${strict.url}/api/`,
    ask,
    messages,
    ephemerals: async (user: string) =>
      (await messages()).filter((one) => one.ephemeral_to === user).map(({ text }) => text),
    violations: async () => (await ask<{ violations: readonly { what: string }[] }>('violations')).violations,
    stop: () => strict.stop(),
  };
}

const acked = ({ acked_ms, response }: Reaction) => ({ acked: acked_ms !== null, body: response });

slackContract('the strict Slack', async () => {
  const strict = await startStrict({ requestUrl: 'http://127.0.0.1:1/slack/events' });
  const channel = 'deploys';
  return {
    apiUrl: strict.apiUrl,
    token: strict.token,
    setBotUrl: async (url) => void (await strict.ask('request-url', { url })),
    command: async (user, text) => acked(await strict.ask<Reaction>('command', { user, channel, text })),
    click: async (user, { ts }, text) => acked(await strict.ask<Reaction>('click', { user, channel, ts, text })),
    submit: async (user, values) => acked(await strict.ask<Reaction>('submit', { user, values })),
    ephemerals: strict.ephemerals,
    stop: strict.stop,
  };
});

describe.each([{ tables: true }, { tables: false }])('every message of Sluice ($tables)', ({ tables }) => {
  let strict: Awaited<ReturnType<typeof startStrict>>;
  let slack: Slack;

  beforeAll(async () => {
    strict = await startStrict();
    slack = createSlack({
      botToken: strict.token,
      appToken: null,
      signingSecret: strict.signingSecret,
      apiUrl: strict.apiUrl,
      bot: () => recordingBot(),
      tables,
      chart: async () => null,
      log: memoryLog(),
    });
  });
  afterAll(() => strict.stop());

  it('is taken, edited, and hurts nobody', async () => {
    for (const { rollout, key, note, when } of [...SAID, ...HOSTILE]) {
      const root = await slack.chat.show(rollout, { key: 'root' });
      if (root.kind !== 'sent') throw new Error(`${when}: ${JSON.stringify(root)}`);
      const known = { ...rollout, messages: { root: root.ts } };
      const outgoing = { key, ...(note ? { note } : {}) };
      const sent = await slack.chat.show(known, outgoing);
      if (sent.kind !== 'sent') throw new Error(`${when}: ${JSON.stringify(sent)}`);
      const edited = await slack.chat.show({ ...known, messages: { root: root.ts, [key]: sent.ts } }, outgoing);
      expect(edited).toEqual(sent);
    }
    expect(await strict.violations()).toEqual([]);
  });
});

describe.each(['Socket Mode', 'signed HTTP'])('the adapter over %s', (transport) => {
  const isSocket = transport === 'Socket Mode';
  const bot = recordingBot();
  const log = memoryLog();
  let strict: Awaited<ReturnType<typeof startStrict>>;
  let slack: Slack;
  const server = createServer((request, response) => slack.requestListener?.(request, response));

  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const requestUrl = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/slack/events`;
    strict = await startStrict(isSocket ? {} : { requestUrl });
    slack = createSlack({
      botToken: strict.token,
      appToken: isSocket ? strict.appToken : null,
      signingSecret: strict.signingSecret,
      apiUrl: strict.apiUrl,
      bot: () => bot,
      tables: true,
      chart: async () => ({ png: PNG, alt: 'p99 latency: canary 131 ms, stable 118 ms' }),
      log,
    });
    await slack.start(async () => false);
  });
  afterAll(async () => {
    await slack.stop();
    server.closeAllConnections();
    server.close();
    await strict.stop();
  });

  it('takes commands, clicks, forms and mentions', async () => {
    const channel = 'deploys';
    expect(await strict.ask<Reaction>('command', { user: 'ana', channel, text: 'world v2 canary' })).toMatchObject({
      acked_ms: expect.any(Number),
    });
    const { thread, gate } = await postedGate();
    await strict.ask('click', { user: 'bo', channel, ts: gate, text: 'Approve anyway…' });
    await expect.poll(async () => (await strict.ask<{ open: readonly unknown[] }>('views')).open.length).toBe(1);
    await strict.ask('submit', { user: 'bo', values: { reason: 'known spike' } });
    await strict.ask('click', { user: 'cy', channel, ts: gate, text: 'Abort' });
    await strict.ask('say', { user: 'bo', channel, text: '<@U0SLUICE> status', thread_ts: thread });
    await expect
      .poll(() => bot.requests.map(({ user, what }) => [user, what.kind === 'command' ? what.text : what.click.action]))
      .toEqual([
        ['U0ANA', 'world v2 canary'],
        ['U0BO', 'approve'],
        ['U0CY', 'abort'],
        ['U0BO', 'status'],
      ]);
    expect(bot.requests.at(-1)?.what).toMatchObject({ thread: { channel: 'C0DEPLOYS', ts: thread } });
    expect(await strict.violations()).toEqual([]);
  });

  it('puts the picture into the thread', async () => {
    const { known } = await postedGate();
    expect(await slack.chat.show(known, { key: 'chart:1' })).toEqual({ kind: 'sent', ts: expect.stringMatching(/^F/) });
  });

  it('refuses another team, and says so', async () => {
    const before = bot.requests.length;
    await strict.ask('command', { user: 'ana', channel: 'deploys', text: 'world v3', patch: { team_id: 'T-OTHER' } });
    expect(bot.requests).toHaveLength(before);
    expect(await strict.ephemerals('ana')).toContainEqual(expect.stringContaining('full members'));
  });

  it('starts while Slack is away, and works when Slack is back', async () => {
    const later = await startStrict();
    const away = recordingBot();
    await fetch(`${later.control}/_faults`, { method: 'POST', body: JSON.stringify({ kind: 'down', how: 'refuse' }) });
    const waiting = createSlack({
      botToken: later.token,
      appToken: later.appToken,
      signingSecret: null,
      apiUrl: later.apiUrl,
      bot: () => away,
      tables: true,
      chart: async () => null,
      log: memoryLog(),
    });
    await waiting.start(async () => false);
    await fetch(`${later.control}/_faults`, { method: 'DELETE' });
    const command = () => later.ask<Reaction>('command', { user: 'ana', channel: 'deploys', text: 'list' });
    await expect.poll(async () => (await command()).acked_ms, { timeout: 30_000, interval: 500 }).not.toBeNull();
    await waiting.stop();
    expect((await command()).acked_ms).toBeNull();
    await later.stop();
  });

  async function postedGate() {
    const state = waiting({ tests: [{ test: 'smoke', passed: false, detail: 'status 500' }] });
    const root = await slack.chat.show(state, { key: 'root' });
    if (root.kind !== 'sent') throw new Error('no root');
    const known = { ...state, messages: { root: root.ts } };
    const gate = await slack.chat.show(known, { key: 'gate:1' });
    if (gate.kind !== 'sent') throw new Error('no gate');
    return { thread: root.ts, gate: gate.ts, known };
  }
});

/** One transparent pixel. */
const PNG = Uint8Array.from(
  Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
    'base64',
  ),
);
