/** The metrics adapter against the playground's Prometheus, by the contract that a real one keeps too. */
import { createDatabase, type Database } from '../../playground/prometheus/series.ts';
import { startPrometheus } from '../../playground/prometheus/server.ts';
import { createMetrics } from '../../src/adapters/prometheus/index.ts';
import { createLog } from '../../src/log.ts';
import { metricsContract, type Traffic } from '../contracts/metrics.ts';

const BUCKETS_MS = [1, 5, 10, 50, 100, 300, 500, 1000, 1200, 5000, Number.POSITIVE_INFINITY];
const log = createLog({ level: 'silent' });

for (const family of ['linkerd', 'traefik'] as const) {
  metricsContract(family, async (_, traffic) => {
    const now = Date.now();
    const database = createDatabase();
    for (const one of traffic) write(database, one, now);
    const server = await startPrometheus(database);
    return { metrics: createMetrics({ url: server.url, log }), now, close: server.stop };
  });
}

/** What pods and gateway would count of the traffic, a point each second. */
function write(
  database: Database,
  { side, startedAgo, endedAgo, perSecond, failing, latencyMs }: Traffic,
  now: number,
) {
  const deployment = side === 'canary' ? 'world-canary' : 'world';
  const pod = `${deployment}-${startedAgo}`;
  const inbound = { namespace: 'hello', deployment, pod, direction: 'inbound' };
  const service = `httproute-hello-world-gw-default-public-ep-web-0-f00-svc-hello-world-${side}-80@kubernetesgateway`;
  const gateway = { service, instance: pod };
  for (let ago = startedAgo, count = 0; ago > endedAgo; ago -= 1, count += perSecond) {
    const add = (name: string, labels: Record<string, string>, value: number) =>
      database.append(name, labels, value, now - ago * 1000);
    for (const [share, classification, code] of [
      [1 - failing, 'success', '200'],
      [failing, 'failure', '503'],
    ] as const) {
      if (share === 0) continue;
      add('response_total', { ...inbound, classification }, count * share);
      add('traefik_service_requests_total', { ...gateway, code }, count * share);
    }
    for (const bound of BUCKETS_MS) {
      const le = (unit: number) => (Number.isFinite(bound) ? String(bound / unit) : '+Inf');
      const below = latencyMs <= bound ? count : 0;
      add('response_latency_ms_bucket', { ...inbound, le: le(1) }, below);
      add('traefik_service_request_duration_seconds_bucket', { ...gateway, le: le(1000) }, below);
    }
  }
}
