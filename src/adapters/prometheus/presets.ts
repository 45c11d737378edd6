/**
 * The queries behind the presets, as data. `value` is what is judged, `count` the requests it rests on. Without a request
 * `value` is NaN or nothing; with failures only it is 0, which a plain ratio of successes would not answer at all.
 *
 * Linkerd: the proxies' inbound metrics (`response_total`, `response_latency_ms`), by Deployment and, where one has both sides, by
 * pod, as Linkerd's own scrape configuration labels them. Traefik: the gateway's own (`traefik_service_requests_total`), by
 * HTTPRoute and Kubernetes Service; 5xx counts as failed.
 */
import type { Preset } from '../../core/config-schema.ts';

export type PresetQueries = { readonly value: string; readonly count: string };

const LINKERD = 'namespace="{{namespace}}",deployment="{{workload}}",direction="inbound"{{apart}}';
const TRAEFIK = 'service=~"httproute-{{routes}}-.*-svc-{{namespace}}-{{service}}-[0-9]+@kubernetesgateway"';

const count = (metric: string, labels: string) => `sum(increase(${metric}{${labels}}[{{window}}]))`;

function successRate(metric: string, labels: string, failed: string): PresetQueries {
  const all = `sum(rate(${metric}{${labels}}[{{window}}]))`;
  const bad = `sum(rate(${metric}{${labels},${failed}}[{{window}}]))`;
  return { value: `100 * (1 - (${bad} or 0 * ${all}) / ${all})`, count: count(metric, labels) };
}

function latency(quantile: number, total: string, buckets: string, labels: string, toMs = ''): PresetQueries {
  const rates = `sum by (le) (rate(${buckets}{${labels}}[{{window}}]))`;
  return { value: `histogram_quantile(${quantile}, ${rates})${toMs}`, count: count(total, labels) };
}

const linkerdLatency = (quantile: number) => latency(quantile, 'response_total', 'response_latency_ms_bucket', LINKERD);
const traefikLatency = (quantile: number) =>
  latency(
    quantile,
    'traefik_service_requests_total',
    'traefik_service_request_duration_seconds_bucket',
    TRAEFIK,
    ' * 1000',
  );

export const PRESET_QUERIES: Readonly<Record<Preset, PresetQueries>> = {
  'linkerd/success-rate': successRate('response_total', LINKERD, 'classification="failure"'),
  'linkerd/latency-p50': linkerdLatency(0.5),
  'linkerd/latency-p95': linkerdLatency(0.95),
  'linkerd/latency-p99': linkerdLatency(0.99),
  'traefik/success-rate': successRate('traefik_service_requests_total', TRAEFIK, 'code=~"5.."'),
  'traefik/latency-p50': traefikLatency(0.5),
  'traefik/latency-p95': traefikLatency(0.95),
  'traefik/latency-p99': traefikLatency(0.99),
};
