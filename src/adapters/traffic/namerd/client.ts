/**
 * namerd's HTTP controller (`/api/1`). Whatever may pass by itself is thrown. Bodies are JSON in one piece with a
 * Content-Length: namerd takes a chunked one for an empty dtab.
 */
import { z } from 'zod';
import { Delegation } from './delegation.ts';

/** One dentry as namerd prints it: `/host/world` and `/srv/world`, weights at two decimals. */
export type Entry = { readonly prefix: string; readonly dst: string };
type Dtab = {
  readonly entries: readonly Entry[];
  /** Opaque; goes back with a write. */
  readonly version: string;
};

export type Put =
  /** Taken; a read may show the dtab of before for a moment. */
  | { readonly kind: 'taken' }
  /** Somebody else wrote since the read, or the namespace is gone. */
  | { readonly kind: 'changed' }
  /** namerd cannot read what was sent. */
  | { readonly kind: 'refused'; readonly message: string };

export type NamerdClient = {
  /** `address` as `dtabAddress` makes it. null: there is no such namespace. */
  read(address: string): Promise<Dtab | null>;
  /** `mayEmpty`: nothing is to be left, on purpose. */
  write(address: string, entries: readonly Entry[], version: string, mayEmpty?: boolean): Promise<Put>;
  /** Where `path` leads in a namespace; `waiting`: a namer is not ready. */
  delegate(url: string, namespace: string, path: string): Promise<Delegation | 'waiting'>;
};

const TIMEOUT_MS = 3_000;
const MAX_ANSWER_BYTES = 2_000_000;
/** Kubernetes stores no larger objects; above 5 MB namerd would take the body for an empty one. */
const MAX_BODY_BYTES = 1_000_000;
const JSON_TYPE = 'application/json';

const Entries = z.array(z.object({ prefix: z.string(), dst: z.string() }));

export function createNamerdClient(): NamerdClient {
  return {
    async read(address) {
      const { status, text, headers } = await ask(address, { headers: { accept: JSON_TYPE } });
      if (status === 404) return null;
      const version = headers.get('etag');
      if (status !== 200)
        throw new Error(`${address}: HTTP ${status}${status === 403 ? ' (namerd may not read it)' : ''}`);
      if (version === null) throw new Error(`${address}: the answer has no ETag: is this namerd's HTTP controller?`);
      return { entries: understand(address, Entries, text), version };
    },

    async write(address, entries, version, mayEmpty = false) {
      if (entries.length === 0 && !mayEmpty) throw new Error(`${address}: an empty dtab is not written`);
      const body = JSON.stringify(entries);
      if (Buffer.byteLength(body) > MAX_BODY_BYTES) {
        return { kind: 'refused', message: `${address}: the dtab is larger than ${MAX_BODY_BYTES} bytes` };
      }
      const headers = { 'content-type': JSON_TYPE, 'if-match': version };
      const { status, text } = await ask(address, { method: 'PUT', headers, body });
      if (status === 204 || status === 200) return { kind: 'taken' };
      if (status === 412 || status === 404) return { kind: 'changed' };
      if (status === 400) return { kind: 'refused', message: `${address}: namerd refuses the dtab ${text}`.trim() };
      throw new Error(`PUT ${address}: HTTP ${status}`);
    },

    async delegate(url, namespace, path) {
      const at = `${url}/api/1/delegate/${namespace}?path=${encodeURIComponent(path)}`;
      const { status, text } = await ask(at, {});
      if (status === 503) return 'waiting';
      if (status !== 200) throw new Error(`${at}: HTTP ${status}`);
      return understand(at, Delegation, text);
    },
  };
}

async function ask(url: string, request: RequestInit) {
  // A redirect would be followed to wherever the answer says: it is not.
  const answer = await fetch(url, { ...request, redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) }).catch(
    (error: unknown) => {
      throw new Error(`${url}: ${faultOf(error)}`, { cause: error });
    },
  );
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  for await (const chunk of answer.body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_ANSWER_BYTES) throw new Error(`${url}: the answer is too large`);
    text += decoder.decode(chunk, { stream: true });
  }
  return { status: answer.status, headers: answer.headers, text };
}

function understand<T>(url: string, schema: z.ZodType<T>, text: string): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    throw new Error(`${url}: the answer is not namerd's`, { cause: error });
  }
}

function faultOf(error: unknown): string {
  if (!(error instanceof Error)) return 'no answer';
  if (error.name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1000} s`;
  const { cause } = error;
  return cause instanceof Error ? ('code' in cause ? String(cause.code) : cause.message) : error.message;
}
