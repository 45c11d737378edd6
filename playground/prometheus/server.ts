/** The Prometheus HTTP API over the series in memory: `/api/v1/query`, `/api/v1/query_range`, `/-/ready`. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { evaluate, type Value } from './evaluate.ts';
import { parseDuration, QueryError } from './lexer.ts';
import { parseQuery } from './parser.ts';
import { seriesKey } from './registry.ts';
import type { Database } from './series.ts';

/** What a test can do to the answers. */
export type Disturbance =
  | { readonly kind: 'status'; readonly code: number }
  | { readonly kind: 'late'; readonly ms: number }
  | { readonly kind: 'hang' };

export type PrometheusServer = Awaited<ReturnType<typeof startPrometheus>>;

const LOOKBACK_MS = 300_000;
const MAX_POINTS = 11_000;

export async function startPrometheus(database: Database) {
  let disturbance: Disturbance | null = null;
  let port = 0;
  const asked: number[] = [];
  const server = createServer((request, response) => {
    answer(request, response).catch((cause) => sendError(response, cause));
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://playground');
    if (url.pathname === '/-/ready') return void response.end('Prometheus Server is Ready.\n');
    if (url.pathname === '/api/v1/query') asked.push(Date.now());
    const form = new URLSearchParams(await readBody(request));
    if (disturbance?.kind === 'hang') return;
    if (disturbance?.kind === 'late') await sleep(disturbance.ms);
    if (disturbance?.kind === 'status')
      return void response.writeHead(disturbance.code).end('disturbed by the playground');
    const ask = (name: string) => form.get(name) ?? url.searchParams.get(name);
    if (url.pathname === '/api/v1/query')
      return send(response, 200, { status: 'success', data: instant(database, ask) });
    if (url.pathname === '/api/v1/query_range')
      return send(response, 200, { status: 'success', data: range(database, ask) });
    response.writeHead(404).end('404 page not found\n');
  }

  async function start(): Promise<void> {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (typeof address === 'object' && address) port = address.port;
  }

  await start();
  return {
    url: `http://127.0.0.1:${port}`,
    database,
    /** When each instant query came, ms since 1970. */
    asked: asked as readonly number[],

    /** null: answers as usual. */
    disturb(kind: Disturbance | null): void {
      disturbance = kind;
    },

    /** Refuses connections until `start`. */
    async stop(): Promise<void> {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
    start,
  };
}

type Ask = (parameter: string) => string | null;

function instant(database: Database, ask: Ask) {
  const at = timeOf('time', ask('time') ?? String(Date.now() / 1000));
  const value = evaluate(parse(ask), { database, at, lookbackMs: lookbackOf(ask) });
  if (value.kind === 'scalar') return { resultType: 'scalar', result: [at / 1000, format(value.value)] };
  const result = value.items.map((item) => ({ metric: item.labels, value: [at / 1000, format(item.value)] }));
  return { resultType: 'vector', result };
}

function range(database: Database, ask: Ask) {
  const expression = parse(ask);
  const [start, end] = (['start', 'end'] as const).map((name) => timeOf(name, ask(name) ?? '')) as [number, number];
  const step = stepOf(ask('step') ?? '');
  if (end < start) throw refused('end', 'end timestamp must not be before start time');
  if ((end - start) / step > MAX_POINTS) {
    throw new QueryError(`exceeded maximum resolution of ${MAX_POINTS.toLocaleString('en')} points per timeseries`);
  }
  const lines = new Map<string, { metric: object; values: [number, string][] }>();
  for (let at = start; at <= end; at += step) {
    for (const { labels, value } of asItems(evaluate(expression, { database, at, lookbackMs: lookbackOf(ask) }))) {
      const key = seriesKey('', labels);
      const line = lines.get(key) ?? { metric: labels, values: [] };
      line.values.push([at / 1000, format(value)]);
      lines.set(key, line);
    }
  }
  return { resultType: 'matrix', result: [...lines.values()] };
}

function asItems(value: Value) {
  return value.kind === 'scalar' ? [{ labels: {}, value: value.value }] : value.items;
}

function parse(ask: Ask) {
  const query = ask('query') ?? '';
  try {
    if (query.trim() === '') throw new QueryError('unknown position: parse error: no expression found in input');
    return parseQuery(query);
  } catch (cause) {
    throw cause instanceof QueryError ? refused('query', cause.message) : cause;
  }
}

/** Seconds since 1970, or RFC 3339; in ms. */
function timeOf(parameter: string, text: string): number {
  const ms = /^-?\d+(\.\d+)?$/.test(text) ? Math.round(Number(text) * 1000) : Date.parse(text);
  if (Number.isNaN(ms)) throw refused(parameter, `cannot parse ${JSON.stringify(text)} to a valid timestamp`);
  return ms;
}

/** Seconds, or a duration; in ms. */
function stepOf(text: string): number {
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : parseDuration(text);
  if (ms === null || !(ms > 0)) throw refused('step', `cannot parse ${JSON.stringify(text)} to a positive duration`);
  return ms;
}

function lookbackOf(ask: Ask): number {
  const text = ask('lookback_delta');
  return text ? stepOf(text) : LOOKBACK_MS;
}

function refused(parameter: string, why: string): QueryError {
  return new QueryError(`invalid parameter ${JSON.stringify(parameter)}: ${why}`);
}

function format(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return String(value);
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function send(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function sendError(response: ServerResponse, cause: unknown): void {
  if (response.destroyed) return;
  const known = cause instanceof QueryError;
  const errorType = known ? 'bad_data' : 'internal';
  send(response, known ? 400 : 500, {
    status: 'error',
    errorType,
    error: known ? cause.message : `playground: ${cause}`,
  });
}
