/** A bare HTTP client of a Kubernetes API server: what the contract of the server is checked with. */
import { Agent, fetch } from 'undici';

export type Connection = { readonly server: string; readonly token: string; readonly ca?: string };

// biome-ignore lint/suspicious/noExplicitAny: bodies are whatever the server says; assertions look into them
type Body = any;
export type Answer = { readonly status: number; readonly body: Body };
export type WatchEvent = { readonly type: string; readonly object: Body };

export type ApiClient = ReturnType<typeof createApiClient>;

const JSON_PATCH = 'application/json-patch+json';

export function createApiClient({ server, token, ca }: Connection) {
  const dispatcher = new Agent(ca === undefined ? {} : { connect: { ca } });

  async function call(method: string, path: string, body?: unknown, type = 'application/json'): Promise<Answer> {
    const response = await fetch(server + path, {
      method,
      dispatcher,
      headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': type }) },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text };
  }

  return {
    get: (path: string) => call('GET', path),
    create: (path: string, object: unknown) => call('POST', path, object),
    replace: (path: string, object: unknown) => call('PUT', path, object),
    remove: (path: string, options?: unknown) => call('DELETE', path, options),
    jsonPatch: (path: string, operations: unknown) => call('PATCH', path, operations, JSON_PATCH),
    mergePatch: (path: string, patch: unknown) => call('PATCH', path, patch, 'application/merge-patch+json'),
    strategicPatch: (path: string, patch: unknown) =>
      call('PATCH', path, patch, 'application/strategic-merge-patch+json'),

    /** Events until the server ends the watch (give it a `timeoutSeconds`) or the caller does. */
    async *watch(path: string): AsyncGenerator<WatchEvent> {
      const abort = new AbortController();
      const response = await fetch(server + path, {
        dispatcher,
        headers: { authorization: `Bearer ${token}` },
        signal: abort.signal,
      });
      let rest = '';
      try {
        for await (const chunk of response.body ?? []) {
          const lines = (rest + Buffer.from(chunk).toString()).split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines) yield JSON.parse(line);
        }
      } finally {
        abort.abort();
      }
    },

    close: () => dispatcher.destroy(),
  };
}

/** The next `count` events as `TYPE name`. */
export async function take(events: AsyncGenerator<WatchEvent>, count: number): Promise<readonly string[]> {
  const taken: string[] = [];
  while (taken.length < count) {
    const { value, done } = await events.next();
    if (done) break;
    taken.push(`${value.type} ${value.object.metadata.name}`);
  }
  return taken;
}

/** All events until the server ends the watch. */
export async function collect(events: AsyncGenerator<WatchEvent>): Promise<readonly WatchEvent[]> {
  const all: WatchEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}
