/** Sends requests through a proxy at a steady rate and counts what comes back. */
import { Pool } from 'undici';

export type LoadOptions = {
  readonly url: string;
  /** Of the route or Ingress; through the mesh the Kubernetes Service, `world.hello`. */
  readonly host: string;
  readonly path?: string;
  readonly perSecond: number;
  /** More headers, such as `{ cookie: 'canary=always' }`. */
  readonly headers?: Readonly<Record<string, string>>;
};

type LoadCounts = {
  readonly sent: number;
  /** Not sent because too many were still unanswered. */
  readonly skipped: number;
  /** The connection failed. */
  readonly broken: number;
  /** The proxy itself answered, 4xx or 5xx: no pod did. */
  readonly gatewayErrors: number;
  /** Answers of pods by version. */
  readonly versions: Readonly<Record<string, { readonly answers: number; readonly failures: number }>>;
};

export type Load = {
  counts(): LoadCounts;
  /** Counts from zero again, and returns what was counted. */
  reset(): LoadCounts;
  /** Resolves when all that was sent is answered. */
  stop(): Promise<LoadCounts>;
};

const TICK_MS = 20;
const MAX_WAITING = 200;

export function startLoad({ url, host, path = '/', perSecond, headers = {} }: LoadOptions): Load {
  const pool = new Pool(url, { connections: 50 });
  const waiting = new Set<Promise<void>>();
  let counts = none();
  let due = 0;
  let last = performance.now();

  async function send(): Promise<void> {
    counts.sent += 1;
    try {
      const {
        statusCode,
        headers: answered,
        body,
      } = await pool.request({ path, method: 'GET', headers: { host, ...headers } });
      await body.dump();
      const version = answered['x-version'];
      if (typeof version === 'string') {
        const { answers, failures } = counts.versions[version] ?? { answers: 0, failures: 0 };
        counts.versions[version] = { answers: answers + 1, failures: failures + (statusCode >= 500 ? 1 : 0) };
      } else counts.gatewayErrors += 1;
    } catch {
      counts.broken += 1;
    }
  }

  const timer = setInterval(() => {
    const now = performance.now();
    due += ((now - last) / 1000) * perSecond;
    last = now;
    for (; due >= 1; due -= 1) {
      if (waiting.size >= MAX_WAITING) {
        counts.skipped += 1;
        continue;
      }
      const request = send().finally(() => waiting.delete(request));
      waiting.add(request);
    }
  }, TICK_MS);

  const load: Load = {
    counts: () => structuredClone(counts),
    reset() {
      const before = counts;
      counts = none();
      return before;
    },
    async stop() {
      clearInterval(timer);
      await Promise.all(waiting);
      await pool.destroy();
      return counts;
    },
  };
  return load;
}

function none() {
  const versions: Record<string, { answers: number; failures: number }> = {};
  return { sent: 0, skipped: 0, broken: 0, gatewayErrors: 0, versions };
}
