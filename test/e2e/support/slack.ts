/** A strict Slack and the people in it: what they type and click, and what they see. */
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { until } from './wait.ts';

type Button = {
  readonly text: string;
  readonly action_id: string;
  readonly value?: string;
  readonly type: string;
};
export type Message = {
  readonly ts: string;
  readonly user: string;
  readonly text: string;
  readonly blocks?: readonly object[];
  readonly buttons?: readonly Button[];
  readonly updated: number;
  readonly versions?: readonly { readonly text: string; readonly blocks?: readonly object[] }[];
  readonly thread_ts?: string;
  readonly ephemeral_to?: string;
  readonly broadcast?: boolean;
  readonly thread?: readonly Message[];
};
/** `acked_ms` is null when the bot did not answer in time. */
export type Reaction = { readonly acked_ms: number | null; readonly error?: string; readonly response?: unknown };
type View = {
  readonly user: string;
  readonly body: { readonly blocks: readonly { readonly type: string; readonly block_id: string }[] };
};
type Server = {
  readonly url: string;
  readonly token: string;
  readonly appToken: string;
  readonly signingSecret: string;
  readonly control: string;
  stop(): Promise<void>;
};

const CHANNEL = 'deploys';
const TRIES = 5;
/** A gate that is decided says so at once; with Slack's edits held back it may not, and is not waited for. */
const DECIDED_MS = 1_000;
const shared = process.env.SLUICE_SHARED ?? resolve('..', 'shared');

export type Slack = Awaited<ReturnType<typeof startSlack>>;

export async function startSlack() {
  const { start }: { start: () => Promise<Server> } = await import(
    pathToFileURL(join(shared, 'slack', 'server.mjs')).href
  );
  const server = await start();

  const ask = async <T>(path: string, body?: object, method = body ? 'POST' : 'GET'): Promise<T> => {
    const sent = body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {};
    const answer = await fetch(`${server.control}/${path}`, { method, ...sent, signal: AbortSignal.timeout(30_000) });
    return (await answer.json()) as T;
  };

  const all = async (): Promise<readonly Message[]> => {
    const { messages } = await ask<{ messages: readonly Message[] }>(`_strict/messages?channel=${CHANNEL}`);
    return messages.flatMap(({ thread = [], ...root }) => [root, ...thread]);
  };
  const transcript = async () => (await all()).map(line).join('\n');
  const find = async (what: string, wanted: (message: Message) => boolean, withinMs: number) => {
    let seen: readonly Message[] = [];
    const last = async () => {
      seen = await all();
      return seen.findLast(wanted);
    };
    return until(`Slack shows ${what}`, last, { withinMs, seen: () => seen.map(line).join('\n') });
  };
  const connected = (isEnough: (sockets: number) => boolean) =>
    until('the bots are connected', async () => isEnough((await ask<{ sockets: number }>('_strict/status')).sockets));
  const click = (user: string, { ts }: Message, text: string): Promise<Reaction> =>
    ask('_strict/click', { user, channel: CHANNEL, ts, text });

  return {
    env: {
      SLACK_BOT_TOKEN: server.token,
      SLACK_SIGNING_SECRET: server.signingSecret,
      SLACK_APP_TOKEN: server.appToken,
      SLACK_API_URL: `${server.url}/api/`,
    },
    /** Types `/deploy <text>`. */
    deploy: (user: string, text: string): Promise<Reaction> => ask('_strict/command', { user, channel: CHANNEL, text }),
    click,
    /** Clicks a button as it stood in an earlier version of the message: on a screen that was not yet refreshed. */
    clickStale: (user: string, { ts }: Message, text: string): Promise<Reaction> =>
      ask('_strict/click', { user, channel: CHANNEL, ts, text, stale: true }),
    /** Fills each field of the form that is open for `user` with `text`, and sends it. */
    async submit(user: string, text: string): Promise<Reaction> {
      const view = await until(`a form is open for ${user}`, async () => {
        const { open } = await ask<{ open: readonly View[] }>('_strict/views');
        return open.findLast((each) => each.user === `U0${user.toUpperCase()}`);
      });
      const inputs = view.body.blocks.filter(({ type }) => type === 'input');
      return ask('_strict/submit', {
        user,
        values: Object.fromEntries(inputs.map(({ block_id }) => [block_id, text])),
      });
    },

    all,
    transcript,
    find,
    /** Messages in the thread of `root` that ask, or asked, for an approval: oldest first. */
    gates: async (root: Message) =>
      (await all()).filter((message) => message.thread_ts === root.ts && everAsked(message)),
    /** A message whose words, blocks included, match. `to`: only this person sees it. */
    said: (
      words: RegExp,
      { to, after = '0', withinMs = 20_000 }: { to?: string; after?: string; withinMs?: number } = {},
    ) =>
      find(
        `${words}${to ? ` to ${to}` : ''}`,
        (message) =>
          message.user === 'sluice' &&
          message.ephemeral_to === to &&
          message.ts > after &&
          words.test(wordsOf(message)),
        withinMs,
      ),
    /**
     * Presses Approve, whatever it is called; answers with when. Where a reason is asked for, it gives one. A button that
     * changes under the finger, because the checks did, is looked for again: so does who is told why it was not taken.
     */
    async approve(user: string, { ts }: Message): Promise<number> {
      const told = async () => (await all()).filter(({ ephemeral_to }) => ephemeral_to === user);
      for (let tries = 1; ; tries += 1) {
        const gate = (await all()).find((message) => message.ts === ts);
        const button = approveButton(gate?.blocks);
        if (!gate || !button) throw new Error(`this gate cannot be approved: ${gate ? line(gate) : 'it is gone'}`);
        const before = (await told()).length;
        const at = Date.now();
        const { acked_ms, error } = await click(user, gate, button);
        if (error === 'no_such_button' && tries < TRIES) continue;
        if (acked_ms === null || error) throw new Error(`${user} pressed ${button}: ${error ?? 'no answer'}`);
        if (/anyway/i.test(button)) await this.submit(user, 'seen and accepted');
        const refusal = await Promise.race([
          until('the gate is decided', async () => isDecided((await all()).find((message) => message.ts === ts)), {
            withinMs: DECIDED_MS,
          }).then(() => null),
          until('a refusal is told', async () => (await told())[before], { withinMs: DECIDED_MS }).then(line),
        ]).catch(() => null);
        if (refusal === null) return at;
        if (tries >= TRIES) throw new Error(`${user} pressed ${button} and was told: ${refusal}`);
      }
    },
    /** Presses until the bot answers: a payload that goes to a dead replica is lost, as with real Slack. */
    clickUntilAnswered: (user: string, message: Message, text: string) =>
      until(
        `${text} is answered`,
        async () => {
          const reaction = await click(user, message, text);
          return reaction.acked_ms !== null && reaction;
        },
        { everyMs: 100 },
      ),
    /**
     * Until Slack knows that only `living` bots are connected: it sees a killed one only when a write to it fails, and would
     * lose the next thing somebody does in it. An event that means nothing to the bot, to each socket in turn, shows it.
     */
    forgetTheDead: (living: number) =>
      connected((sockets) => {
        if (sockets > living) void ask('_strict/home', { user: 'eli' }).catch(() => undefined);
        return sockets === living;
      }),
    /** What real Slack would have refused; there must be none. */
    violations: async () => {
      const { violations } = await ask<{ violations: readonly { readonly rule: string }[] }>(
        '_strict/violations?level=error',
      );
      // A dead or frozen replica is late too; whoever acts in a test sees by itself whether it was answered.
      return violations.filter(({ rule }) => rule !== 'late_ack');
    },
    goAway: () => ask('_faults', { kind: 'down', how: 'refuse' }),
    /** Resolves when the bots are connected again. */
    async comeBack(bots: number) {
      await ask('_faults', undefined, 'DELETE');
      await connected((sockets) => sockets === bots);
    },
    stop: () => server.stop(),
  };
}

const everAsked = (message: Message) =>
  [message, ...(message.versions ?? [])].some(({ blocks }) => approveButton(blocks) !== undefined);

/** Label of the button that lets the rollout go on. */
export const approveButton = (blocks: readonly object[] = []) =>
  labels(blocks).find((label) => /^(approve|promote)/i.test(label));

const isDecided = (gate: Message | undefined) => gate === undefined || approveButton(gate.blocks) === undefined;

const labels = (blocks: readonly object[] = []): readonly string[] =>
  objects(blocks).flatMap((each) => (each.type === 'button' ? strings(each.text) : []));

/** Everything a reader sees of a message, in one string. */
export const wordsOf = ({ text, blocks = [] }: Pick<Message, 'text' | 'blocks'>) =>
  [text, ...strings(blocks)].join('\n');

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const objects = (value: unknown): readonly Record<string, unknown>[] =>
  isObject(value) ? [value, ...Object.values(value).flatMap(objects)] : [];
/** The texts in a tree of Slack objects, without the names of their kinds. */
const strings = (value: unknown): readonly string[] =>
  objects(value).flatMap(({ text }) => (typeof text === 'string' ? [text] : []));

/** One line of a transcript. */
export function line(message: Message): string {
  const { user, thread_ts, ephemeral_to, blocks } = message;
  const buttons = labels(blocks).map((label) => `[${label}]`);
  const words = wordsOf(message).replaceAll(/\s+/g, ' ').slice(0, 400);
  return `${thread_ts ? '    ' : ''}${user}${ephemeral_to ? ` (only to ${ephemeral_to})` : ''}: ${words} ${buttons.join(' ')}`;
}
