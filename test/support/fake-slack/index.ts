/**
 * A small Slack in this process: the Web API methods that Sluice calls, people who type and click (delivered as signed HTTP),
 * faults on demand, and the channel as readers see it. The strict Slack of the e2e tests agrees with it: both pass
 * `test/contracts/slack.ts`.
 */
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { Args } from './answers.ts';
import { createDelivery } from './delivery.ts';
import { createMethods } from './methods.ts';
import { buttonsOf, wordsOf } from './reading.ts';
import { createWorkspace, type Message, type Name, personOf } from './workspace.ts';

export type { Message, Name } from './workspace.ts';

const TOKEN = 'xoxb-fake';
const SIGNING_SECRET = 'fake-signing-secret';
const JSON_FIELDS = ['blocks', 'view', 'metadata', 'files'];

/** What a Web API call meets instead of an answer. */
export type Fault =
  /** 429 */
  | { readonly kind: 'rate limit'; readonly seconds: number }
  | { readonly kind: 'error'; readonly error: string }
  /** 503, or no answer at all. */
  | { readonly kind: 'down' }
  | { readonly kind: 'hang' }
  /** Performed, then the connection is cut. */
  | { readonly kind: 'unknown outcome' }
  /** Messages with this block are refused. */
  | { readonly kind: 'invalid block'; readonly block: string };

type Planned = { readonly fault: Fault; readonly method: string | null; left: number };

export type FakeSlack = Awaited<ReturnType<typeof startFakeSlack>>;

export async function startFakeSlack() {
  const workspace = createWorkspace();
  const changes = new EventEmitter().setMaxListeners(100);
  const changed = () => void changes.emit('change');
  const faults: Planned[] = [];
  const calls: { readonly method: string; readonly args: Args }[] = [];
  let url = '';
  let shownAt: string | null = null;
  const methods = createMethods({ workspace, token: TOKEN, base: () => url, changed });
  const delivery = createDelivery({
    workspace,
    methods,
    signingSecret: SIGNING_SECRET,
    base: () => shownAt ?? url,
    changed,
  });

  const server = createServer((request, response) => {
    answer(request).then(
      ({ status, body, headers, cut, hang }) => {
        if (hang) return;
        if (cut) request.socket.destroy();
        else response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
      },
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });

  type Reply = {
    readonly status: number;
    readonly body?: unknown;
    readonly headers?: Record<string, string>;
    readonly cut?: boolean;
    readonly hang?: boolean;
  };

  async function answer(request: IncomingMessage): Promise<Reply> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const path = new URL(request.url ?? '/', url).pathname;
    if (path.startsWith('/upload/')) {
      const bytes = await uploaded(request, body);
      return { status: methods.upload(path.slice('/upload/'.length), bytes) ? 200 : 404, body: 'OK' };
    }
    if (path.startsWith('/response/')) {
      const error = delivery.respond(path.slice('/response/'.length), JSON.parse(body.toString()));
      return error === null ? { status: 200, body: 'ok' } : { status: 404, body: { ok: false, error } };
    }
    if (!path.startsWith('/api/')) return { status: 404 };
    return callMethod(path.slice('/api/'.length), argsOf(request, body), tokenOf(request));
  }

  function callMethod(method: string, args: Args, token: string | null): Reply {
    calls.push({ method, args });
    const fault = faultOf(method, args);
    switch (fault?.kind) {
      case 'rate limit':
        return {
          status: 429,
          body: { ok: false, error: 'ratelimited' },
          headers: { 'retry-after': String(fault.seconds) },
        };
      case 'error':
        return { status: 200, body: { ok: false, error: fault.error } };
      case 'invalid block':
        return { status: 200, body: { ok: false, error: 'invalid_blocks' } };
      case 'down':
        return { status: 503, body: 'down' };
      case 'hang':
        return { status: 0, hang: true };
      case 'unknown outcome':
        methods.call(method, args, token);
        return { status: 0, cut: true };
      default:
        return {
          status: 200,
          body: methods.call(method, args, token),
          headers: { 'x-oauth-scopes': workspace.scopes.join(',') },
        };
    }
  }

  function faultOf(method: string, args: Args): Fault | null {
    const blocks: readonly { type?: unknown }[] = Array.isArray(args.blocks) ? args.blocks : [];
    const planned = faults.find(({ fault, method: only, left }) => {
      if (left <= 0 || (only !== null && only !== method)) return false;
      return fault.kind !== 'invalid block' || blocks.some(({ type }) => type === fault.block);
    });
    if (!planned) return null;
    planned.left -= 1;
    return planned.fault;
  }

  // As with Slack, a connection outlives a bot that stands still for a while.
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the fake Slack has no port');
  url = `http://127.0.0.1:${address.port}`;

  const seen = (channel: string) =>
    workspace.messages.filter((one) => one.channel === channel && !one.deleted && one.ephemeralTo === null);

  const slack = {
    url,
    apiUrl: `${url}/api/`,
    token: TOKEN,
    signingSecret: SIGNING_SECRET,
    workspace,
    /** Every Web API call. */
    calls,
    /** What real Slack would have refused (`error`), and what hurts readers (`warning`). */
    violations: methods.violations,

    /** Where the bot takes payloads: `http://127.0.0.1:3000/slack/events` */
    /** Where its response_urls lead, when something stands before it. */
    set shownAt(address: string) {
      shownAt = address;
    },
    set botUrl(to: string) {
      delivery.setBotUrl(to);
    },
    command: delivery.command,
    click: delivery.click,
    submit: delivery.submit,
    mention: delivery.mention,
    replay: delivery.replay,
    expireTriggers: methods.expireTriggers,
    /** The open form of a person. */
    form: (user: Name) => methods.views.get(workspace.people[user].id)?.body ?? null,

    /** Calls meet the fault until `times` of them did. */
    fail(
      fault: Fault,
      { method = null, times = Number.POSITIVE_INFINITY }: { method?: string | null; times?: number } = {},
    ) {
      faults.push({ fault, method, left: times });
    },
    heal() {
      faults.length = 0;
    },
    /** An administrator removes a message. */
    remove(message: Message) {
      message.deleted = true;
      changed();
    },

    /** The newest message in the channel itself. */
    root: (channel = 'C0DEPLOYS') => seen(channel).findLast((one) => one.thread === null),
    roots: (channel = 'C0DEPLOYS') => seen(channel).filter((one) => one.thread === null),
    /** Replies to the newest root, or the given one. */
    thread(root: Message | undefined = slack.root()): readonly Message[] {
      return root ? seen(root.channel).filter((one) => one.thread === root.ts) : [];
    },
    /** What only this person was told, oldest first; direct messages count too. */
    ephemerals(user: Name): readonly string[] {
      const { id } = workspace.people[user];
      return workspace.messages
        .filter((one) => one.ephemeralTo === id || one.channel === `D${id.slice(1)}`)
        .map(({ text }) => text);
    },
    buttons: (message: Message | undefined) => buttonsOf(message?.blocks ?? []).map((button) => button.text.text),
    /** All that a reader sees of a message. */
    words: (message: Message | undefined) => wordsOf(message?.blocks ?? []).join('\n'),

    /** The channel as text: for failures, and for reading. */
    transcript(channel = 'C0DEPLOYS'): string {
      return workspace.messages
        .filter((one) => one.channel === channel)
        .map(lineOf)
        .join('\n');
    },

    /** Resolves with the first thing that `look` finds; looks again whenever something changes in Slack. */
    async until<T>(
      look: () => T | null | undefined | false,
      { what = 'what was awaited', timeoutMs = 5000 } = {},
    ): Promise<T> {
      const deadline = AbortSignal.timeout(timeoutMs);
      for (;;) {
        const found = look();
        if (found) return found;
        // Not everything that tests look at is in Slack.
        const soon = AbortSignal.any([deadline, AbortSignal.timeout(100)]);
        await once(changes, 'change', { signal: soon }).catch(() => undefined);
        if (deadline.aborted)
          throw new Error(`${what} did not come within ${timeoutMs} ms. The channel:\n${slack.transcript()}`);
      }
    },

    async stop(): Promise<void> {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return slack;

  function lineOf(message: Message): string {
    const who = personOf(workspace, message.user)?.name ?? 'sluice';
    const marks = [
      message.ephemeralTo ? `to ${personOf(workspace, message.ephemeralTo)?.name}` : '',
      message.deleted ? 'deleted' : '',
      message.broadcast ? 'broadcast' : '',
    ];
    const labels = slack.buttons(message).map((label) => `[${label}]`);
    return `${message.thread === null ? '' : '   └ '}${message.ts} ${[who, ...marks].filter(Boolean).join(', ')}: ${message.text} ${labels.join(' ')}`;
  }
}

function argsOf(request: IncomingMessage, body: Buffer): Args {
  const type = request.headers['content-type'] ?? '';
  const args: Record<string, unknown> = type.includes('json')
    ? JSON.parse(body.toString() || '{}')
    : Object.fromEntries(new URLSearchParams(body.toString()));
  for (const field of JSON_FIELDS) {
    const value = args[field];
    if (typeof value === 'string') args[field] = JSON.parse(value);
  }
  return args;
}

/** The file of a form, or the plain body: Slack takes both. */
async function uploaded(request: IncomingMessage, body: Buffer): Promise<Uint8Array> {
  const type = request.headers['content-type'] ?? '';
  if (!type.includes('multipart')) return body;
  const form = await new Response(new Uint8Array(body), { headers: { 'content-type': type } }).formData();
  const [file] = [...form.values()].filter((value) => typeof value !== 'string');
  return file ? new Uint8Array(await file.arrayBuffer()) : new Uint8Array();
}

function tokenOf(request: IncomingMessage): string | null {
  return /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? null;
}
