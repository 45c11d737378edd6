/** Stands between bots and Prometheus: shows what was asked and answered when, and can be away. */

import { once } from 'node:events';
import { createServer } from 'node:http';
import { request } from 'undici';
import { z } from 'zod';
import { freePort } from './processes.ts';

const Answer = z.object({
  data: z.object({ result: z.array(z.object({ value: z.tuple([z.number(), z.string()]).optional() })) }),
});

/** `values`: of an instant query, in the order of the answer. */
export type Sample = { readonly at: number; readonly query: string; readonly values: readonly number[] };

export async function startMetricsProxy() {
  const prometheus = process.env.PROMETHEUS_URL;
  if (!prometheus) throw new Error('PROMETHEUS_URL is not set; it names the Prometheus that scrapes the pods');
  const port = await freePort();
  const samples: Sample[] = [];
  const server = createServer(async (req, res) => {
    try {
      let sent = '';
      for await (const chunk of req.setEncoding('utf8')) sent += chunk;
      const post = req.method === 'POST';
      const { statusCode, body } = await request(prometheus + req.url, {
        method: post ? 'POST' : 'GET',
        headers: post ? { 'content-type': req.headers['content-type'] ?? '' } : {},
        body: post ? sent : null,
      });
      const text = await body.text();
      const { pathname, searchParams } = new URL(req.url ?? '/', prometheus);
      if (pathname === '/api/v1/query') {
        const query = searchParams.get('query') ?? new URLSearchParams(sent).get('query') ?? '';
        const parsed = Answer.safeParse(JSON.parse(text));
        const values = parsed.data?.data.result.flatMap(({ value }) => (value ? [Number(value[1])] : [])) ?? [];
        samples.push({ at: Date.now(), query, values });
      }
      res.writeHead(statusCode, { 'content-type': 'application/json' }).end(text);
    } catch {
      res.destroy();
    }
  });
  const listen = async () => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  await listen();
  return { url: `http://127.0.0.1:${port}`, samples, goAway: close, comeBack: listen, stop: close };
}
