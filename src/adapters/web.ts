/** The one HTTP port: probes and metrics always, Slack's requests when the bot is reached by signed HTTP. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

export type Health = {
  /** Event loop and consumer progress; never "Redis is up", or an outage of Redis would restart every replica. */
  live(): boolean;
  ready(): boolean;
};

/** In Prometheus' text format. */
export type Metrics = { readonly contentType: string; text(): Promise<string> };

type Listener = (request: IncomingMessage, response: ServerResponse) => unknown;

export function createWeb(
  health: Health,
  slack: { readonly path: string; readonly listener: Listener } | null,
  metrics: Metrics,
): Server {
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0];
    if (slack && path === slack.path) return void slack.listener(request, response);
    if (path === '/livez') return answer(response, health.live(), 'live');
    if (path === '/readyz') return answer(response, health.ready(), 'ready');
    if (path === '/metrics') return void expose(response, metrics);
    response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
  });
  server.requestTimeout = 10_000;
  server.headersTimeout = 5_000;
  return server;
}

function answer(response: ServerResponse, ok: boolean, word: string): void {
  response.writeHead(ok ? 200 : 503, { 'content-type': 'text/plain' }).end(`${ok ? word : `not ${word}`}\n`);
}

async function expose(response: ServerResponse, { contentType, text }: Metrics): Promise<void> {
  try {
    const body = await text();
    response.writeHead(200, { 'content-type': contentType }).end(body);
  } catch {
    response.writeHead(500).end();
  }
}
