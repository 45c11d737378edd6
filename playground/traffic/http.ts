/** The server side of a proxy: requests come in as the traffic systems look at them, answers of pods go out. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Answer } from './behaviour.ts';
import type { HttpRequest } from './matching.ts';

export type Listening = { readonly url: string; stop(): Promise<void> };

/** Listens on a free port of 127.0.0.1. */
export async function listen(handle: (request: HttpRequest) => Promise<Answer>): Promise<Listening> {
  const server = createServer((incoming, response) => {
    const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://playground');
    const { method = 'GET', headers } = incoming;
    incoming.resume();
    handle({ host: headers.host ?? '', method, path: pathname, headers, query: searchParams }).then(
      ({ status, headers: answered, body }) => response.writeHead(status, answered).end(body),
      () => response.destroy(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
