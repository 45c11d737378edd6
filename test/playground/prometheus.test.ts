import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRegistry } from '../../playground/prometheus/registry.ts';
import { startScraper } from '../../playground/prometheus/scraper.ts';
import { createDatabase } from '../../playground/prometheus/series.ts';
import { type PrometheusServer, startPrometheus } from '../../playground/prometheus/server.ts';
import { PRESET_QUERIES } from '../../src/adapters/prometheus/presets.ts';

const START = Date.parse('2026-01-01T00:00:00Z');
const world = { namespace: 'hello', deployment: 'world', direction: 'inbound' };
let prometheus: PrometheusServer;

beforeAll(async () => {
  const database = createDatabase();
  // One point a second for two minutes: 10 answers a second, of which one fails; 100 observations in each bucket.
  for (let second = 0; second <= 120; second += 1) {
    const at = START + second * 1000;
    database.append('response_total', { ...world, pod: 'a', classification: 'success' }, second * 9, at);
    database.append('response_total', { ...world, pod: 'a', classification: 'failure' }, second, at);
    const sinceRestart = second < 60 ? second * 5 : (second - 60) * 5;
    database.append('response_total', { ...world, pod: 'b', classification: 'success' }, sinceRestart, at);
    for (const [le, share] of Object.entries({ '10': 1, '100': 2, '+Inf': 2 })) {
      database.append('response_latency_ms_bucket', { ...world, le }, second * share, at);
    }
  }
  database.append('queue_depth', { app: 'x' }, 7, START + 60_000);
  prometheus = await startPrometheus(database);
});
afterAll(() => prometheus.stop());

type Answer = {
  readonly status: string;
  readonly data: {
    readonly resultType: string;
    readonly result: readonly { readonly value: [number, string]; readonly values: [number, string][] }[];
  };
};

async function ask(path: string, parameters: Record<string, string>, method = 'POST') {
  const form = new URLSearchParams(parameters);
  const url = `${prometheus.url}/api/v1/${path}`;
  const response = await (method === 'POST' ? fetch(url, { method, body: form }) : fetch(`${url}?${form}`));
  return { status: response.status, body: (await response.json()) as Answer };
}

const at = (second: number) => String(START / 1000 + second);

describe('a query', () => {
  it.each([
    ['a number', '2 + 3 * 4 - 10 / 5', '12'],
    ['brackets and a sign', '-(2 + 3) % 4', '-1'],
    ['division of nothing by nothing', '0 / 0', 'NaN'],
    ['division by nothing', '1 / 0', '+Inf'],
  ])('answers %s as a scalar', async (_, query, value) => {
    const { body } = await ask('query', { query, time: at(120) });
    expect(body).toEqual({ status: 'success', data: { resultType: 'scalar', result: [Number(at(120)), value] } });
  });

  it.each([
    ['the rate of a counter', 'sum(rate(response_total{pod="a"}[1m]))', 10],
    ['the increase of a counter', 'sum(increase(response_total{pod="a"}[60s]))', 600],
    ['a counter that started anew', 'sum(increase(response_total{pod="b"}[90s]))', (440 * 90) / 89],
    ['a sum over labels', 'sum by (classification) (rate(response_total{pod="a",classification="failure"}[1m]))', 1],
    ['a sum without labels', 'sum without (pod, classification) (rate(response_total{pod=~"a|z"}[1m]))', 10],
    ['an exclusion', 'sum(rate(response_total{pod="a",classification!="failure"}[1m]))', 9],
    ['an excluding expression', 'sum(rate(response_total{pod!~"b.*",classification=~"fail.+"}[1m]))', 1],
    ['the median inside a bucket', 'histogram_quantile(0.25, sum(rate(response_latency_ms_bucket[1m])) by (le))', 5],
    [
      'the median of the second bucket',
      'histogram_quantile(0.75, sum by (le) (rate(response_latency_ms_bucket[1m])))',
      55,
    ],
    ['a plain series', 'sum(queue_depth{app="x"})', 7],
    ['the other side where one is empty', 'sum(nothing) or 3 * sum(queue_depth)', 21],
  ])('measures %s', async (_, query, value) => {
    const { body } = await ask('query', { query, time: at(120) });
    expect(body.data.resultType).toBe('vector');
    expect(Number(body.data.result[0]?.value[1])).toBeCloseTo(value, 6);
  });

  it.each([
    ['a series that nobody wrote', 'sum(rate(nothing[1m]))'],
    ['a ratio of nothing', 'sum(rate(nothing[1m])) / sum(rate(nothing[1m])) * 100'],
    ['a quantile of nothing', 'histogram_quantile(0.99, sum(rate(nothing_bucket[1m])) by (le))'],
    ['a window with one point', 'rate(queue_depth[1m])'],
  ])('has no result for %s', async (_, query) => {
    expect((await ask('query', { query, time: at(120) })).body.data).toEqual({ resultType: 'vector', result: [] });
  });

  it('answers NaN for a ratio where nothing happened', async () => {
    const query = 'sum(rate(response_total{pod="a"}[1m]) * 0) / sum(rate(response_total{pod="a"}[1m]) * 0)';
    expect((await ask('query', { query, time: at(120) })).body.data.result).toMatchObject([
      { value: [expect.any(Number), 'NaN'] },
    ]);
  });

  it('forgets a value after the lookback', async () => {
    const query = 'queue_depth';
    const found = async (parameters: object) => (await ask('query', { query, ...parameters })).body.data.result.length;
    expect(await found({ time: at(61) })).toBe(1);
    expect(await found({ time: at(59) })).toBe(0);
    expect(await found({ time: at(71), lookback_delta: '10s' })).toBe(0);
    expect(await found({ time: at(361) })).toBe(0);
  });

  it.each([
    '',
    'sum(',
    'foo{a="b"',
    'foo{a=b}',
    '{}',
    'rate(foo)',
    'rate(foo[x])',
    'foo bar',
    'topk(1, foo)',
    'foo > 1',
    'foo / on(a) bar',
    'foo offset 1m',
    '1 or 2',
    'sum(1)',
    'foo § bar',
  ])('is refused, not guessed, when it is not understood: %s', async (query) => {
    expect(await ask('query', { query })).toMatchObject({
      status: 400,
      body: { status: 'error', errorType: 'bad_data' },
    });
  });

  it.each(Object.entries(PRESET_QUERIES))('understands the preset %s', async (_, { value, count }) => {
    for (const template of [value, count]) {
      const query = template
        .replaceAll('{{window}}', '60s')
        .replaceAll('{{namespace}}', 'hello')
        .replaceAll('{{apart}}', '')
        .replaceAll(/\{\{\w+\}\}/g, 'world');
      expect(await ask('query', { query, time: at(120) })).toMatchObject({ status: 200, body: { status: 'success' } });
    }
  });

  it('gives the success rate of the preset', async () => {
    const query = PRESET_QUERIES['linkerd/success-rate'].value
      .replaceAll('{{window}}', '60s')
      .replaceAll('{{namespace}}', 'hello')
      .replaceAll('{{apart}}', '')
      .replaceAll('{{workload}}', 'world');
    const { body } = await ask('query', { query, time: at(120) });
    expect(Number(body.data.result[0]?.value[1])).toBeCloseTo(100 * (1 - 1 / 15), 6);
  });
});

describe('a range query', () => {
  it.each(['GET', 'POST'])('gives a line of values by %s', async (method) => {
    const range = { start: at(60), end: at(62), step: '1' };
    const { body } = await ask('query_range', { query: 'sum(rate(response_total{pod="a"}[30s]))', ...range }, method);
    expect(body.data).toMatchObject({ resultType: 'matrix', result: [{ metric: {}, values: expect.any(Array) }] });
    expect(body.data.result[0]?.values.map(([time]) => time - Number(at(0)))).toEqual([60, 61, 62]);
  });

  it.each([
    ['no step', { start: at(0), end: at(1) }],
    ['an end before the start', { start: at(1), end: at(0), step: '1' }],
    ['too many points', { start: at(0), end: at(20_000), step: '1' }],
  ])('is refused with %s', async (_, parameters) => {
    expect((await ask('query_range', { query: '1', ...parameters })).body).toMatchObject({ errorType: 'bad_data' });
  });
});

describe('scraping', () => {
  it('ends a series whose process has ended', async () => {
    const registry = createRegistry();
    const scraper = startScraper(registry, prometheus.database, 60_000);
    registry.count('births', { pod: 'a' });
    scraper.scrape();
    const present = async () => (await ask('query', { query: 'births' })).body.data.result.length;
    expect(await present()).toBe(1);
    registry.forget({ pod: 'a' });
    scraper.scrape();
    expect(await present()).toBe(0);
    scraper.stop();
  });
});

describe('a disturbance', () => {
  it('is an answer with another status, until it is taken back', async () => {
    prometheus.disturb({ kind: 'status', code: 503 });
    expect((await fetch(`${prometheus.url}/api/v1/query?query=1`)).status).toBe(503);
    prometheus.disturb(null);
    expect((await ask('query', { query: '1' })).status).toBe(200);
  });

  it('refuses connections while it is stopped, and comes back at the same address', async () => {
    await prometheus.stop();
    await expect(ask('query', { query: '1' })).rejects.toThrow();
    await prometheus.start();
    expect((await ask('query', { query: '1' })).status).toBe(200);
  });
});
