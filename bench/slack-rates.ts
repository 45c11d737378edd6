/**
 * Slack's published rates before the fake Slack: what comes too fast meets 429 with `Retry-After`, as there. Tiers are calls a
 * minute and method for the whole workspace; posts have rules of their own. https://docs.slack.dev/apis/web-api/rate-limits
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';

const MINUTE_MS = 60_000;
const TIERS: Readonly<Record<string, number>> = {
  'chat.update': 50,
  'chat.postEphemeral': 100,
  'conversations.info': 50,
  'conversations.replies': 50,
  'conversations.history': 50,
  'conversations.list': 20,
  'users.info': 100,
  'usergroups.users.list': 20,
  'files.getUploadURLExternal': 100,
  'files.completeUploadExternal': 100,
};
/** Several hundred a minute are documented for a workspace; for a channel one a second, and that short bursts pass. */
const POSTS_A_MINUTE = 300;
const CHANNEL_EVERY_MS = 1_000;
const CHANNEL_BURST = 5;

type Posted = { readonly rollout: string; readonly key: string; readonly at: number };
export type SlackRates = Awaited<ReturnType<typeof startSlackRates>>;

/** `apiUrl`: of the Slack behind it. */
export async function startSlackRates(apiUrl: string) {
  const calls = new Map<string, number[]>();
  const channels = new Map<string, number>();
  const posts: Posted[] = [];
  const refused = new Map<string, number>();

  /** Seconds to wait, 0: it may pass, and counts. */
  function waitFor(method: string, fields: URLSearchParams): number {
    const now = Date.now();
    if (method !== 'chat.postMessage') return TIERS[method] === undefined ? 0 : perMinute(method, TIERS[method], now);
    const channel = fields.get('channel') ?? '';
    const full = Math.max(channels.get(channel) ?? 0, now) + CHANNEL_EVERY_MS;
    const early = full - now - CHANNEL_BURST * CHANNEL_EVERY_MS;
    if (early > 0) return Math.ceil(early / 1_000);
    const wait = perMinute(method, POSTS_A_MINUTE, now);
    if (wait === 0) channels.set(channel, full);
    return wait;
  }

  function perMinute(method: string, most: number, now: number): number {
    const recent = (calls.get(method) ?? []).filter((at) => at > now - MINUTE_MS);
    calls.set(method, recent);
    const oldest = recent[0];
    if (recent.length >= most && oldest !== undefined) return Math.ceil((oldest + MINUTE_MS - now) / 1_000);
    recent.push(now);
    return 0;
  }

  function note(method: string, fields: URLSearchParams): void {
    const { event_payload: payload } = JSON.parse(fields.get('metadata') ?? '{}');
    if (method === 'chat.postMessage' && payload) posts.push({ ...payload, at: Date.now() });
  }

  const server = createServer((request, response) => {
    forward(request).then(
      ({ status, headers, body }) => response.writeHead(status, headers).end(body),
      (error: unknown) => response.writeHead(502).end(String(error)),
    );
  });

  async function forward(request: IncomingMessage) {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const path = request.url ?? '';
    const method = path.split('/').at(-1) ?? '';
    const type = request.headers['content-type'] ?? '';
    const fields = new URLSearchParams(type.includes('urlencoded') ? body.toString() : '');
    const seconds = waitFor(method, fields);
    if (seconds > 0) {
      refused.set(method, (refused.get(method) ?? 0) + 1);
      const headers = { 'content-type': 'application/json', 'retry-after': String(seconds) };
      return { status: 429, headers, body: JSON.stringify({ ok: false, error: 'ratelimited' }) };
    }
    const { authorization = '' } = request.headers;
    // A response_url is not of the Web API, and has no tier.
    const answer = await fetch(new URL(path.startsWith('/response/') ? path : method, apiUrl), {
      method: 'POST',
      headers: { 'content-type': type, authorization },
      body,
    });
    const text = await answer.text();
    if (answer.ok && JSON.parse(text).ok) note(method, fields);
    const scopes = answer.headers.get('x-oauth-scopes') ?? '';
    return {
      status: answer.status,
      headers: { 'content-type': 'application/json', 'x-oauth-scopes': scopes },
      body: text,
    };
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return {
    apiUrl: `http://127.0.0.1:${address.port}/api/`,
    /** Messages of rollouts that Slack took. */
    posts,
    /** 429s by method. */
    refused,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
