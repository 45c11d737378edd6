/** Counts the answers of a pod as a proxy of Linkerd 2 and one of Istio beside it would. */
import type { Pod } from '../api-server/objects.ts';
import type { Labels, Registry } from '../prometheus/registry.ts';

const LATENCY_MS = [1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1000, 2000, 3000, 4000, 5000, 10_000];

export type Sidecar = { record(status: number, ms: number): void; end(): void };

export function attachSidecar(registry: Registry, { metadata }: Pod): Sidecar {
  const set = metadata.ownerReferences?.[0]?.name ?? metadata.name;
  const deployment = set.replace(`-${metadata.labels?.['pod-template-hash']}`, '');
  const pod: Labels = { namespace: metadata.namespace ?? '', deployment, pod: metadata.name, direction: 'inbound' };
  const workload: Labels = {
    reporter: 'destination',
    destination_workload: deployment,
    destination_workload_namespace: metadata.namespace ?? '',
    destination_version: metadata.labels?.version ?? '',
  };
  return {
    record(status, ms) {
      const classification = status >= 500 ? 'failure' : 'success';
      registry.count('response_total', { ...pod, classification, status_code: String(status) });
      registry.observe('response_latency_ms', pod, ms, LATENCY_MS);
      const answered = { ...workload, response_code: String(status) };
      registry.count('istio_requests_total', answered);
      registry.observe('istio_request_duration_milliseconds', answered, ms, LATENCY_MS);
    },
    end: () => registry.forget(pod),
  };
}
