/** Requests through the proxy, as users send them, counted by who answered. */
import { Pool } from 'undici';
import { sleep } from './wait.ts';

const TIMEOUT_MS = 10_000;
const TICK_MS = 10;

export type Count = {
  sent: number;
  readonly byVersion: Record<string, number>;
  readonly byStatus: Record<string, number>;
  /** What users call an outage: the connection broke, or the proxy itself answered 5xx (no version answered). */
  readonly failed: string[];
};

/** @param host who is asked for, in the Host header */
export function createUsers(proxyUrl: string, host: string) {
  const pool = new Pool(proxyUrl, { connections: 64, pipelining: 1 });

  const ask = async (count: Count, headers: Record<string, string> = {}) => {
    count.sent += 1;
    try {
      const {
        statusCode,
        headers: answer,
        body,
      } = await pool.request({
        method: 'GET',
        path: '/',
        headers: { host, ...headers },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await body.dump();
      const version = answer['x-version'];
      add(count.byStatus, `${statusCode}`);
      if (typeof version === 'string') add(count.byVersion, version);
      else count.failed.push(`${new Date().toISOString()} ${statusCode} without a version`);
    } catch (error) {
      count.failed.push(`${new Date().toISOString()} ${error}`);
    }
  };

  return {
    /** `n` requests, eight at a time. */
    async send(n: number, headers?: Record<string, string>): Promise<Count> {
      const count = newCount();
      const one = async () => {
        while (count.sent < n) await ask(count, headers);
      };
      await Promise.all(Array.from({ length: 8 }, one));
      return count;
    },

    /** A steady stream until `stop`, which waits for the last answers. It never goes on for more than five minutes. */
    stream(perSecond: number) {
      const count = newCount();
      const open = new Set<Promise<void>>();
      let stopped = false;
      const run = async () => {
        const began = Date.now();
        while (!stopped && Date.now() - began < 300_000) {
          const due = ((Date.now() - began) * perSecond) / 1_000;
          while (count.sent < due) {
            const asked = ask(count);
            open.add(asked);
            void asked.finally(() => open.delete(asked));
          }
          await sleep(TICK_MS);
        }
      };
      const running = run();
      return {
        count,
        async stop(): Promise<Count> {
          stopped = true;
          await running;
          await Promise.all(open);
          return count;
        },
      };
    },

    close: () => pool.destroy(),
  };
}

const newCount = (): Count => ({ sent: 0, byVersion: {}, byStatus: {}, failed: [] });

function add(counts: Record<string, number>, key: string) {
  counts[key] = (counts[key] ?? 0) + 1;
}
