import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createMetrics } from '../../../src/adapters/prometheus/index.ts';
import { PRESETS } from '../../../src/core/config-schema.ts';
import type { Check, Target } from '../../../src/core/plan.ts';
import { createLog } from '../../../src/log.ts';
import { aCheck, TARGET } from '../../contracts/metrics.ts';
import { type Answer, answers, type FakePrometheus, fakePrometheus } from './fake-prometheus.ts';

const log = createLog({ level: 'silent' });
const NOW = 1_700_000_000_000;
const MINUTE = 60_000;
const OWN = 'sum(queue_depth{app="{{workload}}"})';

let server: FakePrometheus | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
  vi.restoreAllMocks();
});

async function measuring(answerTo: Parameters<typeof fakePrometheus>[0]) {
  server = await fakePrometheus(answerTo);
  return { server, metrics: createMetrics({ url: server.url, log }) };
}

async function measureOnce(answer: Answer, query = OWN) {
  const { metrics } = await measuring(() => answer);
  const [measured] = await metrics.measure(TARGET, [aCheck(query)], NOW - MINUTE, NOW);
  return measured;
}

describe('one number for each side', () => {
  it('comes from the side its name stands for', async () => {
    const { metrics } = await measuring((query) => answers.number(query.includes('world-canary') ? 7 : 3));
    expect(await metrics.measure(TARGET, [aCheck(OWN)], NOW - MINUTE, NOW)).toEqual([
      { check: OWN, canary: { value: 7 }, stable: { value: 3 }, requests: null },
    ]);
  });

  it("is nobody's, and so no data, where the cluster does not say which pods are new", async () => {
    server = await fakePrometheus((query) => (query.includes('pod=~"/"') ? answers.empty : answers.number(100)));
    const metrics = createMetrics({ url: server.url, log, replicaSets: async () => Promise.reject(new Error('away')) });
    const target: Target = {
      ...TARGET,
      workload: 'in-place',
      traffic: { router: 'kubernetes', service: 'hello/world' },
    };
    const [measured] = await metrics.measure(target, [aCheck('linkerd/success-rate')], NOW - MINUTE, NOW);
    expect(measured).toMatchObject({ canary: { missing: 'no samples' }, requests: { canary: 0, stable: 0 } });
  });

  it('has its requests where a preset counts them', async () => {
    const { metrics } = await measuring((query) => answers.number(query.startsWith('sum(increase') ? '119.6' : 99.5));
    const [measured] = await metrics.measure(TARGET, [aCheck('linkerd/success-rate')], NOW - MINUTE, NOW);
    expect(measured).toMatchObject({ canary: { value: 99.5 }, requests: { canary: 120, stable: 120 } });
  });

  it.each([
    ['a scalar', answers.scalar('42'), { value: 42 }],
    ['hints on style, which do not matter', answers.hinted, { value: 1 }],
    ['a very small number', answers.number('1.5e-09'), { value: 1.5e-9 }],
    ['no series', answers.empty, { missing: 'no samples' }],
    ['a native histogram', answers.histogram, { missing: 'no samples' }],
    ['NaN', answers.number('NaN'), { missing: 'NaN: no requests in the window' }],
    ['infinity', answers.number('+Inf'), { missing: '+Inf' }],
    ['several series', answers.severalSeries, { missing: 'several series instead of one number' }],
    ['a range', answers.range, { missing: 'a range instead of one number' }],
    ['half of the data', answers.partial, { missing: 'warning: a store did not answer' }],
    [
      'a query it does not understand',
      answers.badQuery,
      { missing: 'bad_data: invalid parameter "query": 1:5: unclosed' },
    ],
    ['that it is overloaded', answers.overloaded, { missing: 'timeout: query timed out' }],
    ["a proxy's error", answers.proxyError, { missing: 'HTTP 502' }],
    ['a wrong address', answers.notFound, { missing: 'HTTP 404' }],
    ['a redirect', answers.redirect, { missing: 'HTTP 302' }],
    ['a page of something else', answers.otherPage, { missing: 'the answer is not of Prometheus' }],
    ['without end', answers.endless, { missing: 'the answer is too large' }],
    ['half a sentence', answers.cutOff, { missing: expect.stringMatching(/^Prometheus does not answer \(/) }],
  ])('when Prometheus answers %s', async (_, answer, reading) => {
    expect(await measureOnce(answer)).toMatchObject({ canary: reading, stable: reading });
  });

  it('is missing, with a reason and no requests, for a preset as well', async () => {
    expect(await measureOnce(answers.overloaded, 'traefik/latency-p99')).toEqual({
      check: 'traefik/latency-p99',
      canary: { missing: 'timeout: query timed out' },
      stable: { missing: 'timeout: query timed out' },
      requests: { canary: 0, stable: 0 },
    });
  });

  it('is missing when nobody listens', async () => {
    const { metrics, server } = await measuring(() => answers.never);
    await server.close();
    const [measured] = await metrics.measure(TARGET, [aCheck(OWN)], NOW - MINUTE, NOW);
    expect(measured?.canary).toEqual({ missing: 'Prometheus does not answer (ECONNREFUSED)' });
  });

  it('is missing after five seconds of silence, all queries together', async () => {
    const limit = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
      const controller = new AbortController();
      const over = () => controller.abort(new DOMException('over', 'TimeoutError'));
      sleep(ms / 100).then(over);
      return controller.signal;
    });
    const { metrics } = await measuring(() => answers.never);
    const checks = Array.from({ length: 10 }, (_, index) => aCheck(`${OWN} + ${index}`));
    const measured = await metrics.measure(TARGET, checks, NOW - MINUTE, NOW);
    expect(limit.mock.calls).toEqual([[5000]]);
    for (const one of measured) expect(one.canary).toEqual({ missing: 'Prometheus does not answer in time' });
  });

  it('is missing where no Prometheus is configured', async () => {
    const metrics = createMetrics({ url: null, log });
    expect(await metrics.measure(TARGET, [aCheck(OWN)], NOW - MINUTE, NOW)).toEqual([
      {
        check: OWN,
        canary: { missing: 'no Prometheus is configured' },
        stable: { missing: 'no Prometheus is configured' },
        requests: null,
      },
    ]);
    expect(await metrics.range(TARGET, [aCheck(OWN)], NOW - MINUTE, NOW)).toMatchObject([
      { points: [] },
      { points: [] },
    ]);
  });

  it('belongs to its check: one that fails leaves the others alone', async () => {
    const { metrics } = await measuring((query) => (query.startsWith('bad') ? answers.badQuery : answers.number(1)));
    const measured = await metrics.measure(TARGET, [aCheck('bad'), aCheck('good')], NOW - MINUTE, NOW);
    expect(measured).toMatchObject([
      { check: 'bad', canary: { missing: expect.stringMatching(/^bad_data/) } },
      { check: 'good', canary: { value: 1 } },
    ]);
  });
});

describe('the window of a query', () => {
  const windowOf = async (check: Partial<Check>, sinceMsAgo: number) => {
    const { metrics, server } = await measuring(() => answers.empty);
    await metrics.measure(TARGET, [aCheck('x[{{window}}]', check)], NOW - sinceMsAgo, NOW);
    return { query: server.asked[0]?.form.get('query'), lookback: server.asked[0]?.form.get('lookback_delta') };
  };
  it.each([
    ["is the check's", { windowMs: 2 * MINUTE }, 10 * MINUTE, 'x[120s]'],
    ['is shorter right after the first canary traffic', {}, 12_345, 'x[12s]'],
    ['is at least a second', {}, 300, 'x[1s]'],
    ['is at least a second when clocks disagree', {}, -5_000, 'x[1s]'],
  ])('%s', async (_, check, since, query) => {
    expect((await windowOf(check, since)).query).toBe(query);
  });

  it('keeps plain values of before the first canary traffic out, too', async () => {
    expect((await windowOf({}, 20_000)).lookback).toBe('20s');
  });

  it("are whole when Redis' clock was set back since the first canary traffic", async () => {
    expect(await windowOf({ windowMs: MINUTE }, -60 * MINUTE)).toEqual({ query: 'x[60s]', lookback: '300s' });
  });
});

describe('how Prometheus is asked', () => {
  it('by POST, each different query once', async () => {
    const { metrics, server } = await measuring(() => answers.number(1));
    const checks = [
      aCheck('linkerd/success-rate'),
      aCheck('linkerd/latency-p50'),
      aCheck('linkerd/latency-p99'),
      aCheck('up'),
    ];
    await metrics.measure(TARGET, checks, NOW - MINUTE, NOW);
    const queries = server.asked.map(({ form }) => form.get('query'));
    // Three presets for two sides, one count for each side, and one query that is the same for both.
    expect(queries).toHaveLength(3 * 2 + 2 + 1);
    expect(new Set(queries).size).toBe(queries.length);
    expect(new Set(server.asked.map(({ path }) => path))).toEqual(new Set(['POST /api/v1/query']));
  });

  it('below a path, with or without a slash at its end', async () => {
    const { server } = await measuring(() => answers.number(1));
    for (const url of [`${server.url}/prometheus`, `${server.url}/prometheus/`]) {
      await createMetrics({ url, log }).measure(TARGET, [aCheck('up')], NOW - MINUTE, NOW);
    }
    expect(server.asked.map(({ path }) => path)).toEqual(Array(2).fill('POST /prometheus/api/v1/query'));
  });

  it('for at most twelve queries at once', async () => {
    const { metrics, server } = await measuring(() => (response) => {
      setImmediate(() => answers.number(1)(response));
    });
    const checks = Array.from({ length: 20 }, (_, index) => aCheck(`${OWN} + ${index}`));
    const measured = await metrics.measure(TARGET, checks, NOW - MINUTE, NOW);
    expect(measured).toHaveLength(20);
    expect(server.asked).toHaveLength(40);
    expect(server.mostAtOnce()).toBeLessThanOrEqual(12);
  });

  it('about names only: nothing of a query is left open', async () => {
    const { metrics, server } = await measuring(() => answers.number(1));
    const target = { ...TARGET, traffic: { ...TARGET.traffic, routes: ['hello/world', 'edge/api.v1'] } };
    const own = '{{namespace}} {{ workload }} {{service}} {{window}}';
    await metrics.measure(
      target,
      [...Object.keys(PRESETS), own].map((query) => aCheck(query)),
      NOW - MINUTE,
      NOW,
    );
    const queries = server.asked.map(({ form }) => form.get('query') ?? '');
    for (const query of queries) expect(query).not.toMatch(/\{\{|\}\}|undefined/);
    expect(queries).toContain('hello world-canary world-canary 60s');
    expect(queries).toContain('hello world world-stable 60s');
    const routes =
      'service=~"httproute-(?:hello-world|edge-api[.]v1)-.*-svc-hello-world-canary-[0-9]+@kubernetesgateway"';
    expect(queries.filter((query) => query.includes(routes))).not.toEqual([]);
  });
});

describe('the lines of a picture', () => {
  it('hold what is finite, in ms, canary before stable for each check', async () => {
    const { metrics } = await measuring((query) =>
      query.includes('canary')
        ? answers.line([
            [1700000000.5, '1'],
            [1700000001.5, 'NaN'],
            [1700000002.5, '+Inf'],
            [1700000003.5, '4'],
          ])
        : answers.line([]),
    );
    const series = await metrics.range(TARGET, [aCheck(OWN), aCheck('up{a="{{workload}}"}')], NOW - MINUTE, NOW);
    expect(series.map(({ check, side }) => [check.query, side])).toEqual([
      [OWN, 'canary'],
      [OWN, 'stable'],
      ['up{a="{{workload}}"}', 'canary'],
      ['up{a="{{workload}}"}', 'stable'],
    ]);
    expect(series[0]?.points).toEqual([
      { at: 1_700_000_000_500, value: 1 },
      { at: 1_700_000_003_500, value: 4 },
    ]);
    expect(series[1]?.points).toEqual([]);
  });

  it.each([
    ['a minute', MINUTE, 30, 1],
    ['ten minutes', 10 * MINUTE, 60, 5],
    ['a day', 24 * 60 * MINUTE, 60, 726],
  ])('of %s begin one window after their start and have at most 120 points', async (_, ms, windowS, step) => {
    const { metrics, server } = await measuring(() => answers.line([]));
    await metrics.range(TARGET, [aCheck('x[{{window}}]')], NOW - ms, NOW);
    const form = Object.fromEntries(server.asked[0]?.form ?? []);
    expect(form).toMatchObject({
      query: `x[${windowS}s]`,
      start: String((NOW - ms) / 1000 + windowS),
      end: String(NOW / 1000),
      step: String(step),
    });
    expect((ms / 1000 - windowS) / step + 1).toBeLessThanOrEqual(120);
  });

  it.each([
    ['does not answer', answers.proxyError],
    ['has several series', answers.severalLines],
    ['answers with one number', answers.number(1)],
  ])('are empty when Prometheus %s', async (_, answer) => {
    const { metrics } = await measuring(() => answer);
    expect(await metrics.range(TARGET, [aCheck(OWN)], NOW - MINUTE, NOW)).toMatchObject([
      { points: [] },
      { points: [] },
    ]);
  });

  it('are empty when there is no time between their ends', async () => {
    const { metrics, server } = await measuring(() => answers.line([]));
    expect(await metrics.range(TARGET, [aCheck(OWN)], NOW, NOW)).toHaveLength(2);
    expect(server.asked).toEqual([]);
  });
});
