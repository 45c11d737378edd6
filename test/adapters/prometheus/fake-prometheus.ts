/** A Prometheus that answers as it is told, and remembers what it was asked. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';

export type Asked = { readonly path: string; readonly form: URLSearchParams };
export type Answer = (response: ServerResponse) => void;

export type FakePrometheus = {
  readonly url: string;
  readonly asked: readonly Asked[];
  /** Most requests that were open at the same time. */
  readonly mostAtOnce: () => number;
  close(): Promise<void>;
};

const json =
  (body: unknown, status = 200): Answer =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };

const success = (resultType: string, result: unknown, more: object = {}) =>
  json({ status: 'success', data: { resultType, result }, ...more });

const series = (value: string) => ({ metric: {}, value: [1_700_000_000.5, value] });

/** What Prometheus may answer, by what happened to it. */
export const answers = {
  number: (value: number | string) => success('vector', [series(String(value))]),
  scalar: (value: string) => success('scalar', [1_700_000_000, value]),
  empty: success('vector', []),
  severalSeries: success('vector', [series('1'), series('2')]),
  histogram: success('vector', [{ metric: {}, histogram: [1, {}] }]),
  range: success('matrix', [{ metric: {}, values: [[1, '1']] }]),
  partial: success('vector', [series('1')], { warnings: ['a store did not answer'] }),
  hinted: success('vector', [series('1')], { infos: ['metric might not be a counter'] }),
  badQuery: json({ status: 'error', errorType: 'bad_data', error: 'invalid parameter "query": 1:5: unclosed' }, 400),
  overloaded: json({ status: 'error', errorType: 'timeout', error: 'query timed out' }, 503),
  proxyError: ((response) => response.writeHead(502).end('<html>Bad Gateway</html>')) satisfies Answer,
  notFound: ((response) => response.writeHead(404).end('404 page not found')) satisfies Answer,
  redirect: ((response) => response.writeHead(302, { location: '/elsewhere' }).end()) satisfies Answer,
  otherPage: ((response) => response.end('<html>Welcome</html>')) satisfies Answer,
  endless: ((response) => {
    const more = () => {
      while (response.write(' '.repeat(64_000))) if (response.destroyed) return;
      response.once('drain', more);
    };
    more();
  }) satisfies Answer,
  cutOff: ((response) => {
    response.writeHead(200, { 'content-length': '1000' }).write('{"status":');
    response.destroy();
  }) satisfies Answer,
  never: (() => undefined) satisfies Answer,
  severalLines: success('matrix', [
    { metric: {}, values: [[1, '1']] },
    { metric: {}, values: [[1, '2']] },
  ]),
  line: (values: readonly (readonly [seconds: number, value: string])[]) => success('matrix', [{ metric: {}, values }]),
};

export async function fakePrometheus(answerTo: (query: string, asked: Asked) => Answer): Promise<FakePrometheus> {
  const asked: Asked[] = [];
  let open = 0;
  let most = 0;
  const server = createServer(async (request, response) => {
    open += 1;
    most = Math.max(most, open);
    response.once('close', () => {
      open -= 1;
    });
    const one = { path: `${request.method} ${request.url}`, form: new URLSearchParams(await text(request)) };
    asked.push(one);
    answerTo(one.form.get('query') ?? '', one)(response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no address');
  return {
    url: `http://127.0.0.1:${address.port}`,
    asked,
    mostAtOnce: () => most,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
