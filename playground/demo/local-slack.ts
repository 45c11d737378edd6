/** A Slack on this machine: a program with a web page, and a way to act as the people in it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const PEOPLE = { ana: 'U0ANA', bo: 'U0BO', cy: 'U0CY', dee: 'U0DEE' } as const;
export type Person = keyof typeof PEOPLE;
export const CHANNEL = 'deploys';

const CHANNEL_ID = 'C0DEPLOYS';
const BOT = 'U0SLUICE';
const TOKENS = { bot: 'xoxb-demo', app: 'xapp-demo' };
const START_MS = 10_000;
const CALL_MS = 10_000;

export type Button = {
  readonly type: string;
  readonly action_id: string;
  readonly value?: string;
  readonly text: Text;
};
export type Text = { readonly type: string; readonly text: string };
export type Block = {
  readonly type: string;
  readonly text?: Text;
  readonly fields?: readonly Text[];
  readonly elements?: readonly (Text | Button)[];
};
export type Message = {
  readonly ts: string;
  readonly user: string;
  readonly text: string;
  readonly blocks?: readonly Block[];
  readonly thread_ts?: string;
  readonly ephemeral_to?: string;
  readonly files?: readonly { readonly name: string }[];
};

export type LocalSlack = Awaited<ReturnType<typeof startLocalSlack>>;

/** @param folder for its configuration and the files that are uploaded */
export async function startLocalSlack(binary: string, folder: string) {
  const config = join(folder, 'workspace.json');
  const files = join(folder, 'files');
  mkdirSync(files);
  writeFileSync(config, JSON.stringify(workspace()));
  const child = spawn(binary, ['--config', config, '--port', '0', '--files-dir', files], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  process.once('exit', () => child.kill());
  const url = await addressOf(child);

  async function call<T>(path: string, body?: object): Promise<T> {
    const answer = await fetch(`${url}/_control/${path}`, {
      method: body ? 'POST' : 'GET',
      ...(body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {}),
      signal: AbortSignal.timeout(CALL_MS),
    });
    if (!answer.ok) throw new Error(`the local Slack refuses ${path}: ${await answer.text()}`);
    return (await answer.json()) as T;
  }

  return {
    url,
    /** For the bot. */
    env: { SLACK_BOT_TOKEN: TOKENS.bot, SLACK_APP_TOKEN: TOKENS.app, SLACK_API_URL: `${url}/api/` },
    nameOf: (user: string) => Object.entries({ ...PEOPLE, sluice: BOT }).find(([, id]) => id === user)?.[0] ?? user,

    messages: async (): Promise<readonly Message[]> =>
      (await call<{ messages: readonly Message[] }>(`messages/${CHANNEL_ID}`)).messages,
    type: (person: Person, command: string, text: string) =>
      call('command', { user: PEOPLE[person], channel: CHANNEL_ID, command, text }),
    press: (person: Person, { ts }: Message, button: Button) =>
      call('interact', { user: PEOPLE[person], channel: CHANNEL_ID, messageTs: ts, action: button }),
    say: (person: Person, text: string, thread: Message) =>
      call('message', {
        user: PEOPLE[person],
        channel: CHANNEL_ID,
        text: text.replace('@sluice', `<@${BOT}>`),
        thread_ts: thread.ts,
      }),

    async stop(): Promise<void> {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill();
      await once(child, 'exit');
    },
  };
}

function workspace() {
  const users = Object.entries(PEOPLE).map(([name, id]) => ({ id, name, real_name: name }));
  return {
    workspace: { name: 'Sluice demo', domain: 'sluice-demo', teamId: 'T0DEMO' },
    apps: [{ appId: 'A0SLUICE', botUserId: BOT, botName: 'sluice', botToken: TOKENS.bot, appToken: TOKENS.app }],
    users,
    channels: [{ id: CHANNEL_ID, name: CHANNEL, members: [...users.map(({ id }) => id), BOT] }],
  };
}

/** It prints its address when it listens. */
function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    const late = setTimeout(() => reject(new Error(`the local Slack does not start:\n${output}`)), START_MS);
    const read = (chunk: unknown) => {
      output += String(chunk);
      const [, url] = /Web UI:\s+(http:\S+)/.exec(output) ?? [];
      if (url === undefined) return;
      clearTimeout(late);
      resolve(url);
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`the local Slack ended:\n${output}`)));
  });
}
