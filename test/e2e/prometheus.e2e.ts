/** The metrics adapter against a real Prometheus that was fed samples of the past. */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createMetrics } from '../../src/adapters/prometheus/index.ts';
import { createLog } from '../../src/log.ts';
import { aCheck, metricsContract, TARGET, type Traffic } from '../contracts/metrics.ts';

const PROMETHEUS = process.env.PROMETHEUS_BIN ?? 'prometheus';
const PROMTOOL = PROMETHEUS.includes('/') ? join(dirname(PROMETHEUS), 'promtool') : 'promtool';
const missing = [PROMETHEUS, PROMTOOL].filter((command) => spawnSync(command, ['--version']).error);
const log = createLog({ level: 'silent' });

/** Upper ends of histogram buckets, ms. */
const BUCKETS = [1, 5, 10, 50, 100, 300, 500, 1000, 1200, 5000];

type Sample = { readonly metric: string; readonly labels: string; readonly value: number; readonly at: number };

/** What Linkerd's proxies and Traefik count of the traffic, a sample each second. A series begins with its first request. */
function samplesOf(traffic: Traffic, now: number): readonly Sample[] {
  const { side, perSecond, failing, latencyMs } = traffic;
  const deployment = side === 'canary' ? 'world-canary' : 'world';
  const pod = `${deployment}-${traffic.startedAgo}`;
  const linkerd = `namespace="hello",deployment="${deployment}",pod="${pod}",direction="inbound"`;
  const service = `httproute-hello-world-gw-default-public-ep-web-0-f00-svc-hello-world-${side}-80@kubernetesgateway`;
  const traefik = `service="${service}",instance="${pod}"`;
  const samples: Sample[] = [];
  for (let ago = traffic.startedAgo, count = 0; ago > traffic.endedAgo; ago--, count += perSecond) {
    const add = (metric: string, labels: string, value: number) =>
      samples.push({ metric, labels, value, at: now / 1000 - ago });
    const [good, bad] = [count * (1 - failing), count * failing];
    if (failing < 1) add('response_total', `${linkerd},classification="success"`, good);
    if (failing > 0) add('response_total', `${linkerd},classification="failure"`, bad);
    if (failing < 1) add('traefik_service_requests_total', `${traefik},code="200"`, good);
    if (failing > 0) add('traefik_service_requests_total', `${traefik},code="503"`, bad);
    for (const end of [...BUCKETS, Number.POSITIVE_INFINITY]) {
      const below = latencyMs <= end ? count : 0;
      const le = (unit: number) => (Number.isFinite(end) ? (end / unit).toFixed(3) : '+Inf');
      add('response_latency_ms_bucket', `${linkerd},le="${le(1)}"`, below);
      add('traefik_service_request_duration_seconds_bucket', `${traefik},le="${le(1000)}"`, below);
    }
  }
  return samples;
}

/** OpenMetrics wants the samples of a series together, with their kind before them. */
function openMetrics(samples: readonly Sample[], kind: string): string {
  const families = Map.groupBy(samples, ({ metric }) => metric);
  const text = [...families].map(([metric, own]) => {
    const series = [...Map.groupBy(own, ({ labels }) => labels).values()].flat();
    const lines = series.map(({ labels, value, at }) => `${metric}{${labels}} ${value} ${at}`);
    return `# TYPE ${metric.replace(/_total$/, '')} ${metric.endsWith('_total') ? 'counter' : kind}\n${lines.join('\n')}\n`;
  });
  return `${text.join('')}# EOF\n`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return address.port;
}

async function startPrometheus(samples: string) {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-prometheus-'));
  const data = join(directory, 'data');
  const config = join(directory, 'prometheus.yaml');
  const text = join(directory, 'samples.txt');
  await Promise.all([writeFile(config, 'global: {}\n'), writeFile(text, samples)]);
  await promisify(execFile)(PROMTOOL, ['tsdb', 'create-blocks-from', 'openmetrics', text, data]);
  const port = await freePort();
  const flags = [`--config.file=${config}`, `--storage.tsdb.path=${data}`, `--web.listen-address=127.0.0.1:${port}`];
  const server = spawn(PROMETHEUS, flags, { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  const isReady = () =>
    fetch(`${url}/-/ready`).then(
      (answer) => answer.ok,
      () => false,
    );
  await expect.poll(isReady, { timeout: 20_000, interval: 50 }).toBe(true);
  return {
    url,
    close: async () => {
      server.kill('SIGKILL');
      await once(server, 'exit');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const why = missing.length > 0 ? ` (skipped: no ${missing.join(', ')}; install Prometheus or set PROMETHEUS_BIN)` : '';
describe.skipIf(missing.length > 0)(`a real Prometheus${why}`, () => {
  for (const family of ['linkerd', 'traefik'] as const) {
    metricsContract(family, async (_, traffic) => {
      const now = Date.now();
      const server = await startPrometheus(
        openMetrics(
          traffic.flatMap((one) => samplesOf(one, now)),
          'unknown',
        ),
      );
      return { metrics: createMetrics({ url: server.url, log }), now: Date.now(), close: server.close };
    });
  }

  it("takes PromQL of one's own, and says what is wrong with it", async () => {
    const now = Date.now();
    const gauge = (labels: string, value: number, ago: number) => ({
      metric: 'queue_depth',
      labels,
      value,
      at: now / 1000 - ago,
    });
    const own = [
      gauge('app="world-canary",shard="a"', 7, 5),
      gauge('app="world-canary",shard="b"', 1, 5),
      gauge('app="world"', 3, 5),
    ];
    const server = await startPrometheus(openMetrics(own, 'gauge'));
    try {
      const metrics = createMetrics({ url: server.url, log });
      const queries = [
        'sum(queue_depth{app="{{workload}}"})',
        'queue_depth{app="{{workload}}"}',
        'sum(queue_depth{app="{{workload}}"}) / 0',
        'sum(nothing)',
        'sum(',
        '42',
      ];
      const measured = await metrics.measure(
        TARGET,
        queries.map((query) => aCheck(query, { unit: '' })),
        now - 60_000,
        Date.now(),
      );
      expect(measured.map(({ canary }) => canary)).toEqual([
        { value: 8 },
        { missing: 'several series instead of one number' },
        { missing: '+Inf' },
        { missing: 'no samples' },
        { missing: expect.stringMatching(/^bad_data: /) },
        { value: 42 },
      ]);
      expect(measured[0]).toMatchObject({ stable: { value: 3 }, requests: null });
    } finally {
      await server.close();
    }
  });
});
