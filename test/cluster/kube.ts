/** Hands of somebody else in a cluster: raw calls with a kubeconfig's rights, under a name that is not Sluice's. */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'undici';
import { parse } from 'yaml';
import { z } from 'zod';

const kubeconfig = z.object({
  clusters: z.tuple([
    z.object({
      cluster: z.object({ server: z.string(), 'certificate-authority-data': z.string().optional() }),
    }),
  ]),
  users: z.tuple([z.object({ user: z.object({ token: z.string().optional() }) })]),
});

// biome-ignore lint/suspicious/noExplicitAny: tests look into objects of any kind
export type Json = any;

export type Kube = {
  /** Throws with the API server's words on a status of 400 and above. */
  call(method: string, path: string, body?: unknown, type?: string): Promise<Json>;
  /** null: not found. */
  get(path: string): Promise<Json | null>;
  /** JSON merge patch. */
  merge(path: string, patch: unknown): Promise<Json>;
  close(): Promise<void>;
};

export function openKube(path: string): Kube {
  const { clusters, users } = kubeconfig.parse(parse(readFileSync(path, 'utf8')));
  const { server, 'certificate-authority-data': ca } = clusters[0].cluster;
  const { token } = users[0].user;
  const connect = ca ? { ca: Buffer.from(ca, 'base64').toString() } : { rejectUnauthorized: false };
  const dispatcher = new Agent({ allowH2: false, connect });

  async function call(method: string, at: string, body?: unknown, type = 'application/json'): Promise<Json> {
    const answer = await request(`${server}${at}`, {
      dispatcher,
      method: method as 'GET',
      headers: {
        'user-agent': 'somebody-else',
        'content-type': type,
        ...(token ? { authorization: `Bearer ${token}` } : {}),
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 400) throw new Error(`${method} ${at}: ${answer.statusCode} ${text}`);
    return JSON.parse(text);
  }

  return {
    call,
    get: (at) =>
      call('GET', at).catch((error: Error) => {
        if (error.message.includes(': 404 ')) return null;
        throw error;
      }),
    merge: (at, patch) => call('PATCH', at, patch, 'application/merge-patch+json'),
    close: () => dispatcher.destroy(),
  };
}
