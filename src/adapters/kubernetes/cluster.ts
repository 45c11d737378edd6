/**
 * The way to the API server, and the only file that knows the Kubernetes client. That client finds credentials and TLS
 * settings; the calls are our own, since its calls open a connection each and its watches end when idle and are nameless.
 */
import type { RequestOptions } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import { Agent, type Dispatcher, ProxyAgent, request } from 'undici';
import packageJson from '../../../package.json' with { type: 'json' };
import type { Log } from '../../app/ports/log.ts';
import { type Cluster, type Connection, createApi } from './api.ts';
import { ApiFault, toFault } from './errors.ts';
import { readEvents } from './events.ts';
import { CALL_TIMEOUT_MS } from './view.ts';

export type { Cluster } from './api.ts';

/** Without `kubeconfig` (a path): KUBECONFIG, `~/.kube/config`, or the pod's own service account. */
export function createCluster({ kubeconfig, log, onRequest = () => undefined }: Options): Cluster {
  return createApi(observed(connect(kubeconfig), onRequest), log);
}

type Options = {
  readonly kubeconfig?: string | undefined;
  readonly log: Log;
  /** Told of each request, with its verb and the HTTP status; 0: there was no answer. */
  readonly onRequest?: (verb: string, code: number) => void;
};

function observed(connection: Connection, tell: (verb: string, code: number) => void): Connection {
  const codeOf = (error: unknown) => (error instanceof ApiFault ? error.status : 0);
  return {
    ...connection,
    async send(...request) {
      const [method, path] = request;
      try {
        const answer = await connection.send(...request);
        tell(verbOf(method, path), answer.status);
        return answer;
      } catch (error) {
        tell(verbOf(method, path), codeOf(error));
        throw error;
      }
    },
    async stream(...request) {
      try {
        const events = await connection.stream(...request);
        tell('watch', 200);
        return events;
      } catch (error) {
        tell('watch', codeOf(error));
        throw error;
      }
    },
  };
}

/** As in a Role: a GET of a collection is a list. */
function verbOf(method: Parameters<Connection['send']>[0], path: string): string {
  const isCollection = /\/namespaces\/[^/]+\/[^/]+$/.test(path);
  const verbs = { GET: isCollection ? 'list' : 'get', POST: 'create', PATCH: 'patch', DELETE: 'delete' };
  return verbs[method];
}

const USER_AGENT = `sluice/${packageJson.version}`;
const CREDENTIALS_KEPT_MS = 10_000;
const RELOAD_EVERY_MS = 1_000;
/** Answers that may say when to come back. */
const BUSY = new Set([429, 503]);
/** Bookmarks come about once a minute: without any byte for so long the connection is dead. */
const SILENCE_MS = 150_000;

function connect(kubeconfig: string | undefined): Connection {
  let config = load(kubeconfig);
  let loadedAt = performance.now();
  const cluster = config.getCurrentCluster();
  if (!cluster)
    throw new Error(`${kubeconfig ?? 'kubeconfig'}: no current context; set one with kubectl config use-context`);
  const server = cluster.server.replace(/\/$/, '');

  let credentials: { at: number; tls: string; dispatcher: Dispatcher; headers: Record<string, string> } | null = null;

  /** Tokens and certificates are renewed on disk or by a command, so they are looked at again every few seconds. */
  async function authenticate() {
    if (credentials && performance.now() - credentials.at < CREDENTIALS_KEPT_MS) return credentials;
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options).catch((cause: unknown) => {
      throw new Error('the credentials of the kubeconfig cannot be used', { cause });
    });
    const headers = { 'user-agent': USER_AGENT, accept: 'application/json', ...readHeaders(options.headers) };
    const tls = JSON.stringify([options.ca, options.cert, options.key, options.servername, options.rejectUnauthorized]);
    const dispatcher = credentials?.tls === tls ? credentials.dispatcher : createDispatcher(options);
    credentials = { at: performance.now(), tls, dispatcher, headers };
    return credentials;
  }

  /** After a 401: what the client read before may have been replaced on disk since. */
  function reload(): boolean {
    if (performance.now() - loadedAt < RELOAD_EVERY_MS) return false;
    loadedAt = performance.now();
    try {
      config = load(kubeconfig);
    } catch {
      return false;
    }
    credentials = credentials && { ...credentials, at: Number.NEGATIVE_INFINITY };
    return true;
  }

  function createDispatcher(options: RequestOptions): Dispatcher {
    const { ca, cert, key, servername, rejectUnauthorized } = options;
    const tls = Object.fromEntries(
      Object.entries({ ca, cert, key, servername, rejectUnauthorized }).filter(([, value]) => value !== undefined),
    );
    // HTTP/1.1 and no limit of connections: an abort never queues behind other calls, nor behind a connection that hangs.
    const common = { allowH2: false, keepAliveTimeout: 60_000, bodyTimeout: SILENCE_MS };
    const proxy = cluster?.proxyUrl;
    if (!proxy)
      return new Agent({ ...common, connect: { ...tls, timeout: CALL_TIMEOUT_MS, keepAliveInitialDelay: 30_000 } });
    if (!/^https?:/.test(proxy)) throw new Error(`proxy-url ${proxy}: only http and https proxies are supported`);
    return new ProxyAgent({ ...common, uri: proxy, requestTls: tls });
  }

  async function ask(...[method, path, query, body]: Parameters<Connection['send']>): ReturnType<Connection['send']> {
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
    const { dispatcher, headers } = await authenticate();
    const type = method === 'PATCH' ? 'application/json-patch+json' : 'application/json';
    const answer = await request(`${server}${path}`, {
      dispatcher,
      method,
      query,
      headers: body === undefined ? headers : { ...headers, 'content-type': type },
      body: body === undefined ? null : JSON.stringify(body),
      signal,
    });
    const said = parse(await answer.body.text());
    const after = Number(answer.headers['retry-after']);
    if (BUSY.has(answer.statusCode) && after > 0) throw toFault('API server', answer.statusCode, said, after * 1_000);
    return { status: answer.statusCode, body: said };
  }

  return {
    async send(...given) {
      const answer = await ask(...given);
      // Nothing was done: it may be asked again.
      return answer.status === 401 && reload() ? ask(...given) : answer;
    },
    async stream(path, query, signal) {
      const { dispatcher, headers } = await authenticate();
      const answer = await request(`${server}${path}`, {
        dispatcher,
        query,
        headers,
        signal,
        headersTimeout: CALL_TIMEOUT_MS,
      });
      if (answer.statusCode === 401) reload();
      if (answer.statusCode !== 200) throw toFault(`WATCH ${path}`, answer.statusCode, parse(await answer.body.text()));
      return readEvents(answer.body);
    },
    async close() {
      await credentials?.dispatcher.destroy();
    },
  };
}

function load(kubeconfig: string | undefined): KubeConfig {
  const config = new KubeConfig();
  try {
    if (kubeconfig) config.loadFromFile(kubeconfig);
    else config.loadFromDefault();
    return config;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new Error(`KUBECONFIG ${kubeconfig ?? ''}: it cannot be read (${why}); set it to a kubeconfig`);
  }
}

/** Answers of proxies on the way are not JSON. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { message: text.slice(0, 200) };
  }
}

function readHeaders(headers: RequestOptions['headers']): Record<string, string> {
  const entries = Object.entries(headers ?? {}).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries.map(([name, value]) => [name.toLowerCase(), String(value)]));
}
