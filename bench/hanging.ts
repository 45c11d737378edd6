/** A Prometheus that takes every question and never answers: whoever asks it is busy until their own timeout. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

export async function startHanging() {
  const asking = new Set<Socket>();
  const server = createServer((socket) => {
    asking.add(socket);
    socket
      .on('error', () => undefined)
      .once('close', () => asking.delete(socket))
      .resume();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    asking: () => asking.size,
    stop() {
      for (const socket of asking) socket.destroy();
      server.close();
    },
  };
}
