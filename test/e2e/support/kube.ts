/** The cluster seen without Sluice's client: plain HTTPS with the credentials of KUBECONFIG. */
import { readFileSync } from 'node:fs';
import { Agent, type Dispatcher, request } from 'undici';
import { parse } from 'yaml';
import { z } from 'zod';

const TIMEOUT_MS = 5_000;
const decoded = z.string().transform((data) => Buffer.from(data, 'base64').toString());
const Kubeconfig = z.object({
  'current-context': z.string(),
  contexts: z.array(z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string() }) })),
  clusters: z.array(
    z.object({ name: z.string(), cluster: z.object({ server: z.url(), 'certificate-authority-data': decoded }) }),
  ),
  users: z.array(
    z.object({
      name: z.string(),
      user: z.object({
        token: z.string().optional(),
        'client-certificate-data': decoded.optional(),
        'client-key-data': decoded.optional(),
      }),
    }),
  ),
});

/** Where the API server is, and what makes a request of it an administrator's. */
export type ApiServer = { readonly url: string; readonly agent: Agent; readonly headers: Record<string, string> };

export function apiServer(file = process.env.KUBECONFIG ?? ''): ApiServer {
  const config = Kubeconfig.parse(parse(readFileSync(file, 'utf8')));
  const chosen = config.contexts.find(({ name }) => name === config['current-context'])?.context;
  const cluster = config.clusters.find(({ name }) => name === chosen?.cluster)?.cluster;
  const user = config.users.find(({ name }) => name === chosen?.user)?.user;
  if (!cluster || !user) throw new Error(`${file}: the current context names no cluster or no user`);
  const certificate = { cert: user['client-certificate-data'], key: user['client-key-data'] };
  return {
    url: cluster.server,
    agent: new Agent({ connect: { ca: cluster['certificate-authority-data'], ...certificate }, bodyTimeout: 0 }),
    headers: user.token ? { authorization: `Bearer ${user.token}` } : {},
  };
}

export type Meta = {
  readonly name: string;
  readonly namespace: string;
  readonly resourceVersion: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
};
export type WatchEvent<T> = { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'ERROR'; readonly object: T };

export type Watching = { readonly started: Promise<void>; readonly stop: () => Promise<void> };

export type Kube = ReturnType<typeof createKube>;

export function createKube(server = apiServer()) {
  const send = async (method: Dispatcher.HttpMethod, path: string, body?: unknown, type = 'application/json') => {
    const { statusCode, body: answer } = await request(server.url + path, {
      method,
      dispatcher: server.agent,
      headers: { ...server.headers, 'user-agent': 'end-to-end-tests', 'content-type': type },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await answer.text();
    if (statusCode >= 400) throw new Error(`${method} ${path}: ${statusCode} ${text}`);
    return JSON.parse(text);
  };

  return {
    get: async <T>(path: string): Promise<T> => await send('GET', path),
    list: async <T>(path: string): Promise<readonly T[]> => (await send('GET', path)).items,
    create: (path: string, body: unknown) => send('POST', path, body),
    jsonPatch: (path: string, body: unknown) => send('PATCH', path, body, 'application/json-patch+json'),
    delete: (path: string) => send('DELETE', path),

    /** Calls back for each event of a collection, first with what is there; resolves when the first event was seen. */
    watch<T extends { readonly metadata: Meta }>(path: string, onEvent: (event: WatchEvent<T>) => void): Watching {
      const stop = new AbortController();
      const from = (version: string) =>
        `${server.url}${path}${path.includes('?') ? '&' : '?'}watch=true&timeoutSeconds=3000&resourceVersion=${version}`;
      const { promise: started, resolve, reject } = Promise.withResolvers<void>();
      const run = async () => {
        let version = '0';
        while (!stop.signal.aborted) {
          const options = { dispatcher: server.agent, headers: server.headers, signal: stop.signal };
          const { body } = await request(from(version), options);
          for await (const line of lines(body)) {
            const event: WatchEvent<T> = JSON.parse(line);
            if (event.type === 'ERROR') throw new Error(`watch ${path}: ${line}`);
            version = event.object.metadata.resourceVersion;
            onEvent(event);
            resolve();
          }
        }
      };
      const ended = run().catch((error) => {
        if (!stop.signal.aborted) reject(error);
      });
      return {
        started,
        stop: async () => {
          stop.abort();
          await ended;
        },
      };
    },
  };
}

/** Of what comes in pieces, as the API server and namerd stream what happens. */
export async function* lines(chunks: AsyncIterable<Uint8Array>) {
  let rest = '';
  for await (const chunk of chunks) {
    const parts = (rest + Buffer.from(chunk).toString()).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
}
