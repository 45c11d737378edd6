/** Counts the answers of a pod as a Linkerd 2 proxy beside it would. */
import type { Pod } from '../api-server/objects.ts';
import type { Labels, Registry } from '../prometheus/registry.ts';

const LATENCY_MS = [1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1000, 2000, 3000, 4000, 5000, 10_000];

export type Sidecar = { record(status: number, ms: number): void; end(): void };

export function attachSidecar(registry: Registry, { metadata }: Pod): Sidecar {
  const set = metadata.ownerReferences?.[0]?.name ?? metadata.name;
  const deployment = set.replace(`-${metadata.labels?.['pod-template-hash']}`, '');
  const pod: Labels = { namespace: metadata.namespace ?? '', deployment, pod: metadata.name, direction: 'inbound' };
  return {
    record(status, ms) {
      const classification = status >= 500 ? 'failure' : 'success';
      registry.count('response_total', { ...pod, classification, status_code: String(status) });
      registry.observe('response_latency_ms', pod, ms, LATENCY_MS);
    },
    end: () => registry.forget(pod),
  };
}
