import { request } from 'undici';

export type AskOptions = {
  readonly url: string;
  /** Of the route or Ingress; through the mesh the Kubernetes Service, `world.hello`. */
  readonly host: string;
  readonly path?: string;
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
};

/** `version`: of the pod that answered; null: none did. */
export type Asked = { readonly status: number; readonly version: string | null };

const TIMEOUT_MS = 5_000;

export async function ask({ url, host, path = '/', method = 'GET', headers = {} }: AskOptions): Promise<Asked> {
  const answer = await request(url + path, {
    method,
    headers: { host, ...headers },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  await answer.body.dump();
  const version = answer.headers['x-version'];
  return { status: answer.statusCode, version: typeof version === 'string' ? version : null };
}
