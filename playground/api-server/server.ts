/** The HTTP side: authentication, rights, disturbances, and the way to the verbs. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeServer } from './discovery.ts';
import { ApiError, unauthorized } from './errors.ts';
import { isObject, type JsonObject } from './json.ts';
import { type ApiRequest, notServed, parseBody, parseRequest } from './request.ts';
import { createRights } from './rights.ts';
import { createServed, type ServedVersions } from './served.ts';
import type { Store } from './store.ts';
import { createTrafficControl, type Effect } from './traffic-control.ts';
import { perform } from './verbs.ts';
import { streamWatch } from './watch.ts';

export type ApiServer = Awaited<ReturnType<typeof startApiServer>>;

const USER = 'system:serviceaccount:sluice:sluice';

/** Listens on a free port of 127.0.0.1. `versions`: what it serves, default all that the simulation knows. */
export async function startApiServer(store: Store, versions?: ServedVersions) {
  let token = randomBytes(16).toString('hex');
  const rights = createRights(USER);
  const served = createServed(versions);
  const control = createTrafficControl();
  const server = createServer((request, response) => {
    answer(request, response).catch((cause) => sendError(response, cause));
  });
  // Long watches are ended by themselves, not by the server.
  server.requestTimeout = 0;
  // As with the real one, a connection outlives a client that stands still for a while.
  server.keepAliveTimeout = 60_000;
  let port = 0;

  async function listen(): Promise<void> {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (typeof address === 'object' && address) port = address.port;
  }

  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await readBody(incoming);
    if (incoming.headers.authorization !== `Bearer ${token}`) throw unauthorized();
    const url = new URL(incoming.url ?? '/', 'http://playground');
    const own = incoming.method === 'POST' ? review(url.pathname, text) : describeServer(served, url.pathname);
    if (own !== null) return send(response, incoming.method === 'POST' ? 201 : 200, own);
    const request = parseRequest(served, incoming.method ?? 'GET', url);
    if (!request) throw notServed();
    const effect = control.arrive(request, incoming.headers['user-agent'] ?? '');
    if (effect) return disturbed(effect, request, incoming, response, text);
    serve(request, incoming, response, text);
  }

  function serve(request: ApiRequest, incoming: IncomingMessage, response: ServerResponse, text: string): void {
    rights.check(request);
    if (request.verb === 'watch') {
      streamWatch(store, request, response);
      return;
    }
    const reply = perform(store, request, { text, type: incoming.headers['content-type'] ?? '' });
    send(response, reply.code, reply.body);
  }

  async function disturbed(
    effect: Effect,
    request: ApiRequest,
    incoming: IncomingMessage,
    response: ServerResponse,
    text: string,
  ): Promise<void> {
    switch (effect.kind) {
      case 'status': {
        if (effect.retryAfterS !== undefined) response.setHeader('retry-after', effect.retryAfterS);
        throw new ApiError(effect.code, 'InternalError', 'disturbed by the playground');
      }
      case 'late':
        await sleep(effect.ms);
        return serve(request, incoming, response, text);
      case 'late answer':
      case 'answer lost': {
        rights.check(request);
        const reply = perform(store, request, { text, type: incoming.headers['content-type'] ?? '' });
        if (effect.kind === 'answer lost') return void incoming.socket.destroy();
        await sleep(effect.ms);
        return send(response, reply.code, reply.body);
      }
      case 'broken':
        return void incoming.socket.destroy();
      case 'hang':
        return;
      default:
        return effect satisfies never;
    }
  }

  function review(path: string, text: string): JsonObject | null {
    if (path !== '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews') return null;
    const body = parseBody(text);
    const spec = isObject(body) && isObject(body.spec) ? body.spec : {};
    const status = rights.review(String(spec.namespace ?? ''));
    return { kind: 'SelfSubjectRulesReview', apiVersion: 'authorization.k8s.io/v1', metadata: {}, spec: {}, status };
  }

  await listen();
  return {
    url: `http://127.0.0.1:${port}`,
    token,
    store,
    ...control,
    rights,
    /** Changes which versions of an API group are served, as an upgrade does. */
    serve: served.serve,

    /** Takes this token from now on, and no other. */
    rotate(to: string): void {
      token = to;
    },

    /** Ends every connection, watches too; the server goes on. */
    dropConnections(): void {
      server.closeAllConnections();
    },

    /** Refuses connections until `start`. */
    async stop(): Promise<void> {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },

    /** Listens again, on the same port. */
    start: listen,
  };
}

async function readBody(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function send(response: ServerResponse, code: number, body: JsonObject | string): void {
  const type = typeof body === 'string' ? 'text/plain' : 'application/json';
  response.writeHead(code, { 'content-type': type }).end(typeof body === 'string' ? body : JSON.stringify(body));
}

function sendError(response: ServerResponse, cause: unknown): void {
  if (response.destroyed) return;
  const error = cause instanceof ApiError ? cause : new ApiError(500, 'InternalError', `playground: ${cause}`);
  send(response, error.code, error.body);
}
