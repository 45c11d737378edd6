/** The independent namerd of the shared folder, and a Linkerd 1 router in front of two real backends. */
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CANARY_ID, type Dtabs, STABLE_ID } from '../../cluster/namerd-world.ts';
import { until } from '../../cluster/world.ts';
import { lines } from './kube.ts';

type Started = { readonly url: string; readonly proxy?: string; close(): void };
type Asked = {
  readonly method: string;
  readonly path: string;
  readonly chunked: boolean;
  readonly contentType?: string;
  readonly ifMatch?: string;
  readonly status: number | null;
};

const shared = process.env.SLUICE_SHARED ?? resolve('..', 'shared');
const TEXT = 'application/dtab';

/** `options` as the double's README names them. */
export async function startNamerd(options: readonly string[] = []) {
  const double = pathToFileURL(join(shared, 'namerd', 'namerd.mjs')).href;
  const { startNamerd: start }: { startNamerd: (args: readonly string[]) => Promise<Started> } = await import(double);
  const namerd = await start(options);

  const call = async (method: string, path: string, body?: unknown) => {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await fetch(`${namerd.url}${path}`, { method, ...sent });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.status === 204 ? null : answer.json();
  };

  const dtabs: Dtabs = {
    url: namerd.url,
    async get(namespace) {
      return (await (await fetch(at(namespace), { headers: { accept: TEXT } })).text()).trim();
    },
    async put(namespace, text) {
      const before = await versionOf(namespace);
      const answer = await fetch(at(namespace), { method: 'PUT', headers: { 'content-type': TEXT }, body: text });
      if (!answer.ok) throw new Error(`PUT ${namespace}: ${answer.status} ${await answer.text()}`);
      await until(async () => (await versionOf(namespace)) !== before);
    },
    async remove(namespace) {
      await fetch(at(namespace), { method: 'DELETE' });
      await until(async () => (await versionOf(namespace)) === null);
    },
  };
  const at = (namespace: string) => `${namerd.url}/api/1/dtabs/${namespace}`;
  /** As it is shown, which may be the one of before a write for a moment. */
  const versionOf = async (namespace: string) => (await fetch(at(namespace))).headers.get('etag');

  return {
    ...namerd,
    dtabs,
    /** Calls back with each dtab that there is, first the one of now, as text. */
    async follow(namespace: string, signal: AbortSignal, on: (text: string) => void) {
      const { body } = await fetch(`${at(namespace)}?watch=true`, { headers: { accept: TEXT }, signal });
      if (body) for await (const line of lines(body)) on(line);
    },
    fault: (fault: object) => call('POST', '/_faults', fault),
    asked: async () => (await call('GET', '/_requests')) as readonly Asked[],
    forgetAsked: () => call('DELETE', '/_requests'),
    setServices: (services: object | null) => call('PUT', '/_services', services),
    setBackends: (backends: object) => call('PUT', '/_backends', backends),
  };
}

/** A server that says its version. */
export async function startBackend(version: string) {
  const server = createServer((_, response) => response.end(version));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** One request to `host` through the router: the version that answered. */
export async function ask(proxy: string, host: string, headers: Record<string, string> = {}): Promise<string> {
  const sent = request(proxy, { headers: { host, ...headers } });
  sent.end();
  const [answer] = await once(sent, 'response');
  let text = '';
  for await (const chunk of answer) text += String(chunk);
  return `${answer.statusCode} ${text}`;
}

export const ids = { stable: STABLE_ID, canary: CANARY_ID };
