/** Plays what a person would do in the demo: one rollout goes live, one is rolled back by its checks, one is aborted after the bot was killed. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LocalSlack, Message, Person } from './local-slack.ts';
import { buttonsOf } from './transcript.ts';

const STEP_MS = 90_000;
const LOOK_MS = 200;

type Deps = {
  readonly slack: LocalSlack;
  /** Whether the service may be deployed again: nothing of the last rollout is left in the cluster. */
  readonly isIdle: () => boolean;
  /** Version that answers a request with the preview header. */
  readonly preview: () => Promise<string>;
  /** Kills the bot; resolves when it is back. */
  readonly killBot: () => Promise<void>;
  /** What happens, line by line. */
  readonly tell: (line: string) => void;
};

/** Throws when something that should happen does not within 90 s. */
export async function play({ slack, isIdle, preview, killBot, tell }: Deps): Promise<void> {
  await deploy('v2');
  await gate('Approve 10%');
  await until('the preview of v2', async () => (await preview()) === 'v2' || undefined);
  tell('a request with x-canary: always is answered by v2');
  for (const label of ['Approve 10%', 'Approve 50%', 'Approve 100%', 'Promote']) await press('bo', label);
  tell(await said(/v2 is live/));

  await deploy('v3-err20');
  await press('cy', 'Approve 10%');
  tell(await said(/v3-err20 is aborted/));

  const root = await deploy('v4');
  await press('bo', 'Approve 10%');
  await gate('Approve 50%');
  tell('kill -9 of the bot, while a gate waits');
  await killBot();
  tell('ana writes @sluice status in the thread, then presses [Abort]');
  await slack.say('ana', '@sluice status', root);
  await press('ana', 'Abort');
  tell(await said(/v4 is aborted/));
  await until('the end of the abort', async () => isIdle() || undefined);

  async function deploy(version: string): Promise<Message> {
    await until('the end of the rollout before', async () => isIdle() || undefined);
    tell(`ana types /deploy world ${version}`);
    await slack.type('ana', '/deploy', `world ${version}`);
    const isRoot = ({ thread_ts, ephemeral_to, text }: Message) =>
      thread_ts === undefined && ephemeral_to === undefined && text.includes(`world ${version}`);
    return seen(`the message about ${version}`, (messages) => messages.findLast(isRoot));
  }

  function gate(label: string): Promise<Message> {
    const has = (message: Message) => message.thread_ts !== undefined && buttonOf(message, label) !== undefined;
    return seen(`a gate with [${label}]`, (messages) => messages.findLast(has));
  }

  async function press(person: Person, label: string): Promise<void> {
    const message = await gate(label);
    const button = buttonOf(message, label);
    if (!button) return;
    tell(`${person} presses [${label}]`);
    await slack.press(person, message, button);
  }

  async function said(words: RegExp): Promise<string> {
    const found = ({ thread_ts, text }: Message) => thread_ts !== undefined && words.test(text);
    return (await seen(`${words}`, (messages) => messages.findLast(found))).text;
  }

  function seen(what: string, find: (messages: readonly Message[]) => Message | undefined) {
    return until(what, async () => find(await slack.messages()));
  }
}

const buttonOf = (message: Message, label: string) => buttonsOf(message).find(({ text }) => text.text === label);

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + STEP_MS;
  while (Date.now() < deadline) {
    const found = await look();
    if (found !== undefined) return found;
    await sleep(LOOK_MS);
  }
  throw new Error(`${what} did not come within ${STEP_MS / 1000} s`);
}
