/**
 * The guard in front of Bolt's HTTP receiver. Bolt refuses old timestamps without a word and takes ones from the future;
 * here both have no effect, and a person who sent one is told so.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { isValidSlackRequest } from '@slack/bolt';
import { z } from 'zod';
import type { ReplyTo } from '../../app/ports/chat.ts';
import type { Log } from '../../app/ports/log.ts';
import { say } from './answers.ts';
import type { Teller } from './tell.ts';

const PATH = '/slack/events';
const BODY_MAX = 1_000_000;
const SKEW_MS = 300_000;

type Deps = {
  readonly signingSecret: string;
  readonly next: RequestListener;
  readonly tell: Teller;
  readonly log: Log;
};

export function createGuard({ signingSecret, next, tell, log }: Deps): RequestListener {
  return (request, response) => {
    guard(request, response).catch((error: unknown) => {
      log.warn({ error: error instanceof Error ? error.message : String(error) }, 'request from Slack not read');
      if (!response.headersSent) response.writeHead(400);
      response.end();
    });
  };

  async function guard(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST' || request.url?.split('?')[0] !== PATH) return end(response, 404);
    const rawBody = await read(request);
    if (!rawBody) return end(response, 413);
    const timestamp = Number(request.headers['x-slack-request-timestamp']);
    if (!Number.isInteger(timestamp)) return end(response, 401);
    const isFresh = Math.abs(Date.now() - timestamp * 1000) <= SKEW_MS;
    // Bolt takes the body from `rawBody` when it was read before, and checks the signature itself.
    if (isFresh) return next(Object.assign(request, { rawBody }), response);
    const body = rawBody.toString();
    const signature = String(request.headers['x-slack-signature']);
    const headers = { 'x-slack-signature': signature, 'x-slack-request-timestamp': timestamp };
    const isSlacks = isValidSlackRequest({ signingSecret, body, headers, nowMilliseconds: timestamp * 1000 });
    log.warn({ isSlacks, skewSeconds: Math.round(Date.now() / 1000 - timestamp) }, 'request with a wrong time refused');
    if (!isSlacks) return end(response, 401);
    await refuse(body, response);
  }

  /** A command is answered in the response itself, everything else to the person. */
  async function refuse(body: string, response: ServerResponse): Promise<void> {
    const text = say({ kind: 'replayed' });
    const form = new URLSearchParams(body);
    if (form.has('command')) {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ response_type: 'ephemeral', text }));
      return;
    }
    end(response, 200);
    const replyTo = senderOf(form.get('payload') ?? body);
    if (replyTo) await tell(replyTo, text);
  }
}

const Payload = z.union([
  z.object({
    user: z.object({ id: z.string() }),
    channel: z.object({ id: z.string() }).optional(),
    response_url: z.string().optional(),
  }),
  z.object({ event: z.object({ user: z.string(), channel: z.string(), thread_ts: z.string().optional() }) }),
]);

function senderOf(json: string): ReplyTo | null {
  const read = Payload.safeParse(JSON.parse(json));
  if (!read.success) return null;
  const payload = read.data;
  return 'event' in payload
    ? {
        user: payload.event.user,
        channel: payload.event.channel,
        thread: payload.event.thread_ts ?? null,
        responseUrl: null,
      }
    : {
        user: payload.user.id,
        channel: payload.channel?.id ?? '',
        thread: null,
        responseUrl: payload.response_url ?? null,
      };
}

/** null: too long. */
async function read(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > BODY_MAX) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function end(response: ServerResponse, status: number): void {
  response.writeHead(status);
  response.end();
}
