/**
 * A small namerd for tests: the HTTP controller's dtabs and delegate, as `src/adapters/traffic/namerd` needs them, with the
 * traps of the real one: ETags that no write tells, chunked bodies read as empty, reads that lag behind, answers that get lost.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import {
  type Dentry,
  type Path,
  parseDtab,
  parsePrefix,
  parseTree,
  showDtab,
  showPath,
  showTree,
  type Tree,
} from '../../src/adapters/traffic/namerd/dtab.ts';
import { lookUp } from '../../src/adapters/traffic/namerd/lookup.ts';

type Stored = { readonly version: number; readonly dtab: readonly Dentry[] };
/** `after`: the request is carried out, and its answer is lost. */
type Fault = {
  readonly method: string;
  readonly answer: number | 'cut';
  readonly after: boolean;
  readonly namespace?: string;
};
type Recorded = {
  readonly method: string;
  readonly path: string;
  readonly ifMatch: string | undefined;
  readonly status: number;
};

export type FakeNamerd = Awaited<ReturnType<typeof startFakeNamerd>>;

const DTABS = '/api/1/dtabs/';
const DEEPEST = 50;

export async function startFakeNamerd() {
  const stored = new Map<string, Stored>();
  const before = new Map<string, { readonly was: Stored; reads: number }>();
  const faults: Fault[] = [];
  const requests: Recorded[] = [];
  /** Concrete names that are bound, with their number of addresses. */
  const services = new Map<string, number>();
  const listeners = new Set<(namespace: string) => void>();
  let staleReads = 0;

  function store(namespace: string, dtab: readonly Dentry[]): void {
    const was = stored.get(namespace);
    stored.set(namespace, { version: (was?.version ?? 0) + 1, dtab });
    if (was && staleReads > 0) before.set(namespace, { was, reads: staleReads });
    for (const listener of listeners) listener(namespace);
  }

  /** As names are followed in it: what is read, but no read counts. */
  function shownOf(namespace: string): Stored | undefined {
    const lag = before.get(namespace);
    return lag && lag.reads > 0 ? lag.was : stored.get(namespace);
  }

  function readOf(namespace: string): Stored | undefined {
    const shown = shownOf(namespace);
    const lag = before.get(namespace);
    if (lag) lag.reads--;
    return shown;
  }

  const server = createServer(async (request, response) => {
    const body = await bodyOf(request);
    const { method = '', headers } = request;
    const url = new URL(request.url ?? '/', 'http://namerd');
    const fault = faults.find((one) => one.method === method && url.pathname.endsWith(one.namespace ?? ''));
    if (fault) faults.splice(faults.indexOf(fault), 1);
    const status = (code: number) =>
      requests.push({ method, path: url.pathname, ifMatch: headers['if-match'], status: code });
    if (fault && !fault.after) return lose(response, fault.answer, status);
    const answer = answerTo(method, url, headers, body);
    if (fault) return lose(response, fault.answer, status);
    status(answer.status);
    response.writeHead(answer.status, answer.headers).end(answer.body);
  });

  function lose(response: ServerResponse, answer: Fault['answer'], status: (code: number) => void): void {
    status(answer === 'cut' ? 0 : answer);
    if (answer === 'cut') response.destroy();
    else response.writeHead(answer, { connection: 'close' }).end();
  }

  function answerTo(method: string, url: URL, headers: IncomingMessage['headers'], body: string): Answer {
    if (url.pathname.startsWith(DTABS)) return dtabAnswer(method, url.pathname.slice(DTABS.length), headers, body);
    const namespace = /^\/api\/1\/delegate\/(.+)$/.exec(url.pathname)?.[1];
    const path = parseTree(url.searchParams.get('path') ?? '');
    if (namespace === undefined) return { status: 404 };
    if (!path.ok || path.value.kind !== 'leaf') return { status: 400 };
    const node = delegate(shownOf(namespace)?.dtab ?? [], path.value.path, 0);
    return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(node) };
  }

  function dtabAnswer(method: string, namespace: string, headers: IncomingMessage['headers'], body: string): Answer {
    if (method === 'GET') {
      const found = readOf(namespace);
      if (!found) return { status: 404 };
      const entries = found.dtab.map(({ prefix, dst }) => ({ prefix: showPath(prefix), dst: showTree(dst) }));
      const json = { etag: etag(found.version), 'content-type': 'application/json' };
      return { status: 200, headers: json, body: `${JSON.stringify(entries)}\n` };
    }
    if (method !== 'PUT') return { status: 404 };
    // Streaming servers of Finagle see no content in a chunked request.
    const dtab = readBody(headers['content-type'], headers['transfer-encoding'] === 'chunked' ? '' : body);
    if (!dtab) return { status: 400 };
    const wanted = headers['if-match'];
    const found = stored.get(namespace);
    if (wanted !== undefined && !found) return { status: 404 };
    if (wanted !== undefined && wanted !== etag(found?.version ?? 0)) return { status: 412 };
    store(namespace, dtab);
    return { status: 204 };
  }

  /** The parts of namerd's answer that tell where a name leads. */
  function delegate(dtab: readonly Dentry[], path: Path, depth: number): object {
    if (depth > DEEPEST) return { type: 'exception', path: showPath(path) };
    const tree = lookUp(dtab, path);
    if (tree.kind !== 'neg') return { type: 'delegate', path: showPath(path), delegate: nodeOf(dtab, tree, depth) };
    const addresses = services.get(showPath(path));
    if (addresses === undefined) return { type: 'neg', path: showPath(path) };
    const addrs = Array.from({ length: addresses }, (_, n) => ({ ip: `10.0.0.${n + 1}`, port: 7778, meta: {} }));
    const bound = { addr: { type: 'bound', addrs, meta: {} }, id: showPath(path), path: '/' };
    return { type: 'leaf', path: showPath(path), bound };
  }

  function nodeOf(dtab: readonly Dentry[], tree: Tree, depth: number): object {
    switch (tree.kind) {
      case 'leaf':
        return delegate(dtab, tree.path, depth + 1);
      case 'alt':
        return { type: 'alt', alt: tree.trees.map((one) => nodeOf(dtab, one, depth)) };
      case 'union':
        return {
          type: 'union',
          union: tree.branches.map(({ weight, tree: one }) => ({ weight, tree: nodeOf(dtab, one, depth) })),
        };
      default:
        return { type: tree.kind };
    }
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;

  return {
    url,
    services,
    requests,
    /** Somebody else's hands: whatever the dtab says now, it says this. */
    put(namespace: string, text: string): void {
      const parsed = parseDtab(text);
      if (!parsed.ok) throw new Error(parsed.error);
      store(namespace, parsed.value);
    },
    get: (namespace: string) => showDtab(stored.get(namespace)?.dtab ?? []),
    version: (namespace: string) => stored.get(namespace)?.version ?? 0,
    remove: (namespace: string) => stored.delete(namespace),
    /** Calls back after each write of a dtab; returns how to stop. */
    onWrite(listener: (namespace: string) => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    /** The next request of this method meets it. */
    fail: (fault: Fault) => void faults.push(fault),
    /** So many reads after each write still see the dtab of before. */
    lag(reads: number): void {
      staleReads = reads;
    },
    /** Sends a request in chunks, as `namerctl` never would. */
    async putChunked(namespace: string, body: string, type: string): Promise<number> {
      const socket = new Socket().connect(port, '127.0.0.1');
      const size = Buffer.byteLength(body).toString(16);
      socket.write(
        `PUT ${DTABS}${namespace} HTTP/1.1\r\nhost: namerd\r\ncontent-type: ${type}\r\nconnection: close\r\n` +
          `transfer-encoding: chunked\r\n\r\n${size}\r\n${body}\r\n0\r\n\r\n`,
      );
      const [answer] = await once(socket, 'data');
      socket.destroy();
      return Number(/^HTTP\/1.1 (\d+)/.exec(String(answer))?.[1]);
    },
    async stop(): Promise<void> {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

type Answer = { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string };

/** Base64 without quotes, of a counter. */
const etag = (version: number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(version));
  return bytes.toString('base64');
};

function readBody(type = '', body: string): readonly Dentry[] | null {
  const plain = type.split(';')[0]?.trim().toLowerCase();
  if (plain === 'application/dtab' || plain === 'text/plain') {
    const parsed = parseDtab(body);
    return parsed.ok ? parsed.value : null;
  }
  if (plain !== 'application/json') return null;
  try {
    const entries: { prefix: string; dst: string }[] = JSON.parse(body);
    return entries.map(({ prefix, dst }) => {
      const [path, tree] = [parsePrefix(prefix), parseTree(dst)];
      if (!path.ok || !tree.ok) throw new Error('unreadable');
      return { prefix: path.value, dst: tree.value };
    });
  } catch {
    return null;
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
