/** The way to a Redis that lets only so many requests through: how many someone waits for is seen by who goes on. */
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';

export async function startDoor(to: string) {
  const sockets = new Set<Socket>();
  const held: { readonly inner: Socket; readonly chunk: Buffer }[] = [];
  let left = Number.POSITIVE_INFINITY;
  const door = createServer((outer) => {
    const inner = createConnection({ host: '127.0.0.1', port: Number(new URL(to).port) });
    // What is written at once is one chunk and one round trip, however many commands it holds.
    outer.on('data', (chunk) => {
      if (left-- > 0) inner.write(chunk);
      else held.push({ inner, chunk });
    });
    inner.on('data', (chunk) => outer.write(chunk));
    for (const [one, other] of [
      [outer, inner],
      [inner, outer],
    ] as const) {
      sockets.add(one);
      one.setNoDelay(true);
      one.on('error', () => undefined).once('close', () => other.destroy());
    }
  });
  await once(door.listen(0, '127.0.0.1'), 'listening');
  const address = door.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return {
    url: `redis://127.0.0.1:${address.port}`,
    /** From now on, until `open`. */
    letThrough(requests: number) {
      left = requests;
    },
    open() {
      left = Number.POSITIVE_INFINITY;
      for (const { inner, chunk } of held.splice(0)) inner.write(chunk);
    },
    stop() {
      for (const socket of sockets) socket.destroy();
      door.close();
    },
  };
}
