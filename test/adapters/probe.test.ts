import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createProber } from '../../src/adapters/probe.ts';

let server: Server | undefined;
afterEach(async () => {
  vi.restoreAllMocks();
  if (!server?.listening) return;
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

async function pod(listener: RequestListener): Promise<string> {
  server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no address');
  return `http://127.0.0.1:${address.port}`;
}

describe('asking a canary pod', () => {
  it.each([
    ['that is well', 200, {}],
    ['that is not', 503, {}],
    ['that sends elsewhere: nobody goes there', 302, { location: 'http://127.0.0.1:1/' }],
  ])('%s gives its status', async (_, status, headers) => {
    const url = await pod((_request, response) => response.writeHead(status, headers).end('x'.repeat(100_000)));
    expect(await createProber().probe(`${url}/healthz`)).toEqual({ status });
  });

  it('asks for the path, by GET', async () => {
    const seen: string[] = [];
    const url = await pod((request, response) => {
      seen.push(`${request.method} ${request.url}`);
      response.end();
    });
    await createProber().probe(`${url}/healthz?deep=1`);
    expect(seen).toEqual(['GET /healthz?deep=1']);
  });

  it('does not wait for the end of an answer', async () => {
    const url = await pod((_request, response) => response.writeHead(200).write('and'));
    expect(await createProber().probe(url)).toEqual({ status: 200 });
  });

  it('says why there was no answer', async () => {
    const url = await pod((request) => request.socket.destroy());
    expect(await createProber().probe(url)).toEqual({
      failed: expect.stringMatching(/closed|UND_ERR_SOCKET|ECONNRESET/),
    });
    server?.close();
    expect(await createProber().probe('http://127.0.0.1:1/')).toEqual({ failed: expect.any(String) });
    expect(await createProber().probe('not an address')).toEqual({ failed: expect.any(String) });
  });

  it('gives up after 5 s', async () => {
    const limit = vi
      .spyOn(AbortSignal, 'timeout')
      .mockReturnValue(AbortSignal.abort(new DOMException('over', 'TimeoutError')));
    const url = await pod(() => undefined);
    expect(await createProber().probe(url)).toEqual({ failed: 'no answer within 5 s' });
    expect(limit).toHaveBeenCalledWith(5000);
  });
});
