/**
 * Stands between one bot and the API server, to do what networks do: hold a request back, lose it or its answer. Only so can a
 * test act exactly between a decision and its write. It also shows everything the bot asks for.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Dispatcher, request } from 'undici';
import { apiServer } from './kube.ts';
import { freePort } from './processes.ts';

export type Asked = { readonly at: number; readonly method: string; readonly path: string; readonly body: string };
/** A request that waits here. */
export type Held = {
  readonly asked: Asked;
  /** Passes it on after all, also when the bot no longer waits; answers with the API server's status. */
  readonly release: () => Promise<number>;
  /** Passes it on, and cuts the bot's connection in place of an answer. */
  readonly loseAnswer: () => Promise<number>;
};

export type ApiProxy = Awaited<ReturnType<typeof startApiProxy>>;

/** `server`: whose credentials the bot has. */
export async function startApiProxy(server = apiServer()) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-e2e-api-'));
  const { key, cert } = certificate(folder);
  const port = await freePort();
  const log: Asked[] = [];
  const holds: { readonly matches: (asked: Asked) => boolean; readonly take: (held: Held) => void }[] = [];
  // The audit log tells bots apart by this name.
  const agentName = `bot-at-${port}`;

  const forward = ({ method, path, body }: Asked, { headers }: IncomingMessage, signal?: AbortSignal) =>
    request(server.url + path, {
      method: method as Dispatcher.HttpMethod,
      dispatcher: server.agent,
      headers: {
        ...pick(headers, ['accept', 'content-type']),
        ...server.headers,
        'user-agent': `${agentName} ${headers['user-agent']}`,
      },
      body: body || null,
      ...(signal && { signal }),
    });

  const handle = async (req: IncomingMessage, res: ServerResponse) => {
    const asked = { at: Date.now(), method: req.method ?? 'GET', path: req.url ?? '/', body: await read(req) };
    log.push(asked);
    const at = holds.findIndex((hold) => hold.matches(asked));
    const [hold] = at < 0 ? [] : holds.splice(at, 1);
    if (hold) {
      hold.take({
        asked,
        release: async () =>
          res.destroyed ? discard(await forward(asked, req)) : pass(await forward(asked, req), res),
        loseAnswer: async () => {
          const status = await discard(await forward(asked, req));
          res.destroy();
          return status;
        },
      });
      return;
    }
    const gone = new AbortController();
    res.on('close', () => gone.abort());
    await pass(await forward(asked, req, gone.signal), res);
  };

  const proxy = createServer({ key, cert }, (req, res) => {
    handle(req, res).catch(() => res.destroy());
  }).listen(port, '127.0.0.1');
  await once(proxy, 'listening');
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(kubeconfig, JSON.stringify(configFor(`https://127.0.0.1:${port}`, cert)));

  return {
    kubeconfig,
    agentName,
    log,
    /** Holds the next request that matches. `arrived` resolves when it is here. */
    hold(matches: (asked: Asked) => boolean): { readonly arrived: Promise<Held>; readonly cancel: () => void } {
      const { promise, resolve } = Promise.withResolvers<Held>();
      const hold = { matches, take: resolve };
      holds.push(hold);
      return {
        arrived: promise,
        cancel: () => {
          if (holds.includes(hold)) holds.splice(holds.indexOf(hold), 1);
        },
      };
    },
    async stop() {
      proxy.closeAllConnections();
      proxy.close();
      await server.agent.destroy();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function pass(answer: Dispatcher.ResponseData, res: ServerResponse): Promise<number> {
  res.writeHead(answer.statusCode, pick(answer.headers, ['content-type', 'retry-after', 'warning']));
  // A watch may stay silent for long: its headers are an answer already.
  res.flushHeaders();
  try {
    for await (const chunk of answer.body) res.write(chunk);
  } finally {
    res.end();
  }
  return answer.statusCode;
}

async function discard({ statusCode, body }: Dispatcher.ResponseData): Promise<number> {
  await body.dump();
  return statusCode;
}

async function read(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const pick = (headers: IncomingMessage['headers'], names: readonly string[]) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => names.includes(name)));

function certificate(folder: string) {
  const [key, cert] = [join(folder, 'key'), join(folder, 'cert')];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
  const [openssl, ...args] = ['openssl', 'req', ...kind, ...subject, '-keyout', key, '-out', cert];
  execFileSync(openssl, args, { stdio: 'pipe' });
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

/** The bot is who we are: the proxy adds our credentials. */
const configFor = (server: string, cert: Buffer) => ({
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [{ name: 'proxy', cluster: { server, 'certificate-authority-data': cert.toString('base64') } }],
  users: [{ name: 'bot', user: { token: 'replaced-by-the-proxy' } }],
  contexts: [{ name: 'proxy', context: { cluster: 'proxy', user: 'bot' } }],
  'current-context': 'proxy',
});
