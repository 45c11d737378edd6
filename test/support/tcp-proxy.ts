/** The way to a server, with everything that can happen on it: cut, slow, silent, a reply that is lost after the work was done. */
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

export type TcpProxy = Awaited<ReturnType<typeof startTcpProxy>>;

type Pair = { readonly outer: Socket; readonly inner: Socket; silent: boolean };

/** `to`: a URL or port of this machine; `port`: where the proxy listens, 0 takes a free one. */
export async function startTcpProxy(to: string | number, port = 0) {
  const pairs = new Set<Pair>();
  /** The end of a way, and when the last of what is late has come there. */
  const late = new Map<Socket, Promise<void>>();
  let target = portOf(to);
  let silent = false;
  let delayMs = 0;
  let losing: { match: (request: Buffer) => boolean; lost: () => void } | null = null;

  const server = createServer((outer) => {
    const inner = createConnection({ host: '127.0.0.1', port: target });
    const pair: Pair = { outer, inner, silent: false };
    pairs.add(pair);
    for (const [one, other] of [
      [outer, inner],
      [inner, outer],
    ] as const) {
      one.setNoDelay(true);
      one
        .on('error', () => undefined)
        .once('close', () => {
          pairs.delete(pair);
          other.destroy();
        });
    }
    outer.on('data', (chunk) => {
      const lose = losing?.match(chunk) ? losing : null;
      if (lose) {
        losing = null;
        // The work is done when the server answers; nobody hears of it.
        inner.removeAllListeners('data').once('data', () => {
          outer.destroy();
          lose.lost();
        });
      }
      pass(pair, inner, chunk);
    });
    inner.on('data', (chunk) => pass(pair, outer, chunk));
  });

  /** What is silent is never delivered, not even later: as from a machine that lost its power. */
  function pass(pair: Pair, end: Socket, chunk: Buffer): void {
    // A stream never goes on after a gap.
    if (silent) pair.silent = true;
    if (pair.silent) return;
    const ahead = late.get(end);
    if (delayMs === 0 && !ahead) return void end.write(chunk);
    // A stream keeps its order: what comes when the way is quick again waits for what is late.
    const arrived = Promise.all([ahead, pause(delayMs)]).then(() => {
      if (!end.destroyed) end.write(chunk);
      if (late.get(end) === arrived) late.delete(end);
    });
    late.set(end, arrived);
  }

  const listen = (on: number) => once(server.listen(on, '127.0.0.1'), 'listening');
  await listen(port);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  const own = address.port;

  async function cut(): Promise<void> {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const { outer, inner } of pairs) {
      outer.destroy();
      inner.destroy();
    }
    await closed;
  }

  return {
    port: own,
    url: `redis://127.0.0.1:${own}`,
    /** Refuses connections and breaks those there are. */
    cut,
    /** Undoes everything; what is late still comes late. */
    async mend() {
      silent = false;
      delayMs = 0;
      losing = null;
      if (!server.listening) await listen(own);
    },
    /** Whoever is connected hears nothing any more; new connections work. */
    stall() {
      for (const pair of pairs) pair.silent = true;
    },
    /** Connections are taken and stay, and nothing passes. */
    silence() {
      silent = true;
    },
    /** From now on everything comes this much later, each way. */
    slow(ms: number) {
      delayMs = ms;
    },
    /** The next request that matches is worked on, and its connection breaks instead of an answer; resolves then. */
    loseReply: (match: (request: Buffer) => boolean) =>
      new Promise<void>((lost) => {
        losing = { match, lost };
      }),
    /** New connections go there, as when an address moves to another server; those there are stay. */
    lead(elsewhere: string | number) {
      target = portOf(elsewhere);
    },
    stop: cut,
  };
}

const portOf = (to: string | number) => (typeof to === 'number' ? to : Number(new URL(to).port));
