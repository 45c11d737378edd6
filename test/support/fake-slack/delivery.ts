/** People of the fake Slack: what they type, click and submit reaches the bot as signed HTTP, with Slack's deadline. */
import { createHmac } from 'node:crypto';
import type { Args } from './answers.ts';
import { checkMessage } from './limits.ts';
import type { createMethods } from './methods.ts';
import { buttonsOf } from './reading.ts';
import { BOT, type Message, type Name, TEAM, type Workspace } from './workspace.ts';

const DEADLINE_MS = 3000;
const URL_USES = 5;
const APP = 'A0SLUICE';

/** How it went for the person: `error` is what Slack shows instead of an answer. */
export type Delivered = {
  readonly ackedMs: number | null;
  readonly status: number;
  readonly body: unknown;
  readonly error: string | null;
};

/** Ways to send what Slack would not. */
export type Forgery = {
  readonly team?: string;
  readonly enterprise?: string;
  /** Another app than the bot's. */
  readonly app?: string;
  /** Seconds that the timestamp is ahead of the clock. */
  readonly skew?: number;
  readonly badSignature?: boolean;
  /** Where it is typed, `C0DEPLOYS` by default. */
  readonly channel?: string;
  /** What is said was said before, and is edited now. */
  readonly edited?: boolean;
};

type Deps = {
  readonly workspace: Workspace;
  readonly methods: ReturnType<typeof createMethods>;
  readonly signingSecret: string;
  readonly base: () => string;
  readonly changed: () => void;
};

type Sent = { readonly body: string; readonly type: string; readonly headers: Record<string, string> };

export function createDelivery({ workspace, methods, signingSecret, base, changed }: Deps) {
  const urls = new Map<string, { readonly user: string; readonly channel: string; uses: number }>();
  let botUrl: string | null = null;
  let last: Sent | null = null;
  let sequence = 0;

  function responseUrl(user: string, channel: string): string {
    const id = `r${++sequence}`;
    urls.set(id, { user, channel, uses: 0 });
    return `${base()}/response/${id}`;
  }

  async function send(body: string, type: string, forgery: Forgery): Promise<Delivered> {
    const timestamp = String(Math.floor(Date.now() / 1000) + (forgery.skew ?? 0));
    const secret = forgery.badSignature ? 'another secret' : signingSecret;
    const signature = createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex');
    last = {
      body,
      type,
      headers: { 'content-type': type, 'x-slack-request-timestamp': timestamp, 'x-slack-signature': `v0=${signature}` },
    };
    return post(last);
  }

  async function post({ body, headers }: Sent): Promise<Delivered> {
    if (botUrl === null) throw new Error('set slack.botUrl to where the bot takes payloads');
    const start = performance.now();
    try {
      const answer = await fetch(botUrl, { method: 'POST', headers, body, signal: AbortSignal.timeout(DEADLINE_MS) });
      const said = await answer.text();
      const acked = answer.ok ? Math.round(performance.now() - start) : null;
      return {
        ackedMs: acked,
        status: answer.status,
        body: parsed(said),
        error: answer.ok ? null : `status ${answer.status}`,
      };
    } catch (error) {
      return { ackedMs: null, status: 0, body: null, error: error instanceof Error ? error.name : String(error) };
    } finally {
      changed();
    }
  }

  const form = (fields: Record<string, string>, forgery: Forgery) =>
    send(new URLSearchParams(fields).toString(), 'application/x-www-form-urlencoded', forgery);
  const interactive = (payload: Args, forgery: Forgery) => form({ payload: JSON.stringify(payload) }, forgery);

  const sender = (user: Name, forgery: Forgery) => {
    const { id, name, team } = workspace.people[user];
    return {
      user: { id, name, username: name, team_id: forgery.team ?? team },
      team: { id: forgery.team ?? TEAM, domain: 'acme' },
      api_app_id: forgery.app ?? APP,
      enterprise: forgery.enterprise === undefined ? null : { id: forgery.enterprise, name: 'other' },
      is_enterprise_install: false,
    };
  };

  /** Types `/deploy <text>`. */
  async function command(user: Name, text: string, forgery: Forgery = {}): Promise<Delivered> {
    const { id, name, team } = workspace.people[user];
    const channel = forgery.channel ?? 'C0DEPLOYS';
    const result = await form(
      {
        command: '/deploy',
        text,
        user_id: id,
        user_name: name,
        team_id: forgery.team ?? team,
        team_domain: 'acme',
        channel_id: channel,
        channel_name: 'deploys',
        api_app_id: forgery.app ?? APP,
        ...(forgery.enterprise === undefined ? {} : { enterprise_id: forgery.enterprise }),
        is_enterprise_install: 'false',
        response_url: responseUrl(id, channel),
        trigger_id: methods.newTrigger(id),
      },
      forgery,
    );
    return { ...result, error: result.error ?? shownAtOnce(result.body, id, channel) };
  }

  /** What stands in the acknowledgement of a command is shown to the person. */
  function shownAtOnce(body: unknown, user: string, channel: string): string | null {
    const said: Args = typeof body === 'string' ? { text: body } : Object(body);
    if (!said.text && !said.blocks) return null;
    const refusal = checkMessage(said, 'post');
    if (refusal) methods.violations.push({ level: 'error', method: 'ack of a command', what: refusal.error });
    else methods.respond({ ...said, channel }, user);
    return refusal?.error ?? null;
  }

  /** Clicks the button with this label; `stale`: as it was in an earlier version of the message. */
  async function click(
    user: Name,
    message: Message | undefined,
    label: string,
    options: Forgery & { readonly stale?: boolean } = {},
  ): Promise<Delivered> {
    if (!message) throw new Error(`no message to click "${label}" in`);
    const versions = options.stale ? message.versions.toReversed() : [message];
    const button = versions.flatMap(({ blocks }) => buttonsOf(blocks)).find(({ text }) => text.text === label);
    if (!button)
      throw new Error(
        `no button "${label}" in "${message.text}": ${buttonsOf(message.blocks)
          .map(({ text }) => text.text)
          .join(', ')}`,
      );
    const { id } = workspace.people[user];
    const thread = message.thread === null ? {} : { thread_ts: message.thread };
    return interactive(
      {
        type: 'block_actions',
        ...sender(user, options),
        trigger_id: methods.newTrigger(id),
        channel: { id: message.channel, name: 'deploys' },
        container: {
          type: 'message',
          message_ts: message.ts,
          channel_id: message.channel,
          is_ephemeral: false,
          ...thread,
        },
        message: { type: 'message', user: BOT, ts: message.ts, text: message.text, ...thread },
        state: { values: {} },
        response_url: responseUrl(id, message.channel),
        actions: [
          {
            type: 'button',
            action_id: button.action_id,
            block_id: 'b',
            text: button.text,
            value: button.value,
            action_ts: String(Date.now() / 1000),
          },
        ],
      },
      options,
    );
  }

  /** Submits the person's open form; values by action id. */
  async function submit(
    user: Name,
    values: Readonly<Record<string, string>>,
    forgery: Forgery = {},
  ): Promise<Delivered> {
    const { id } = workspace.people[user];
    const view = methods.views.get(id);
    if (!view) throw new Error(`${user} has no open form`);
    const blocks: readonly Args[] = Array.isArray(view.body.blocks) ? view.body.blocks : [];
    const state = blocks.flatMap((block) => {
      const action = String(Object(block.element).action_id);
      return block.type === 'input'
        ? [[String(block.block_id), { [action]: { type: 'plain_text_input', value: values[action] ?? null } }] as const]
        : [];
    });
    const result = await interactive(
      {
        type: 'view_submission',
        ...sender(user, forgery),
        trigger_id: methods.newTrigger(id),
        view: {
          ...view.body,
          id: view.id,
          team_id: TEAM,
          app_id: APP,
          hash: 'h',
          state: { values: Object.fromEntries(state) },
        },
        response_urls: [],
      },
      forgery,
    );
    if (result.error === null && Object(result.body).response_action !== 'errors') methods.views.delete(id);
    return result;
  }

  /** Says `@sluice <text>` in the thread of a message. */
  async function mention(user: Name, thread: string | null, text: string, forgery: Forgery = {}): Promise<Delivered> {
    const { id, team } = workspace.people[user];
    const channel = forgery.channel ?? 'C0DEPLOYS';
    const said = methods.add({ channel, user: id, text: `<@${BOT}> ${text}`, thread });
    const event = {
      type: 'app_mention',
      user: id,
      team: forgery.team ?? team,
      text: said.text,
      ts: said.ts,
      event_ts: said.ts,
      channel,
      ...(thread === null ? {} : { thread_ts: thread }),
      ...(forgery.edited ? { edited: { user: id, ts: said.ts } } : {}),
    };
    const payload = {
      type: 'event_callback',
      team_id: TEAM,
      api_app_id: forgery.app ?? APP,
      ...(forgery.enterprise === undefined ? {} : { enterprise_id: forgery.enterprise }),
      event,
      event_id: `Ev${said.ts}`,
      event_time: Math.floor(Date.now() / 1000),
      authorizations: [
        { enterprise_id: null, team_id: TEAM, user_id: BOT, is_bot: true, is_enterprise_install: false },
      ],
    };
    return send(JSON.stringify(payload), 'application/json', forgery);
  }

  return {
    command,
    click,
    submit,
    mention,
    setBotUrl(to: string): void {
      botUrl = to;
    },
    /** The last delivery again, byte by byte; `retry`: as Slack repeats an event that was not acknowledged. */
    async replay({ retry }: { retry?: number } = {}): Promise<Delivered> {
      if (!last) throw new Error('nothing was sent yet');
      const again =
        retry === undefined ? {} : { 'x-slack-retry-num': `${retry}`, 'x-slack-retry-reason': 'http_error' };
      return post({ ...last, headers: { ...last.headers, ...again } });
    },
    /** Takes what the bot posts to a response_url; the error, or null. */
    respond(id: string, body: Args): string | null {
      const address = urls.get(id);
      if (!address) return 'expired_url';
      address.uses += 1;
      const error =
        address.uses > URL_USES
          ? 'used_url'
          : (methods.respond({ ...body, channel: address.channel }, address.user)?.error ?? null);
      if (error !== null) methods.violations.push({ level: 'error', method: 'response_url', what: error });
      return error;
    },
  };
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}
