/** Writes the EndpointSlices of each Service that selects pods. */
import { kinds } from '../api-server/kinds.ts';
import type { EndpointSlice, Pod, Service } from '../api-server/objects.ts';
import type { Store } from '../api-server/store.ts';
import { isReady } from './conditions.ts';
import { keyOf, type Loop, splitKey, startLoop } from './loop.ts';
import { isOwnedBy, ownerReference, selects, suffix } from './ownership.ts';

const MANAGER = 'endpointslice-controller.k8s.io';

export function controlEndpoints(store: Store): Loop {
  return startLoop(store, {
    wakes: ({ kind, object, previous }) => {
      if (kind === kinds.services) return [keyOf(object)];
      if (kind !== kinds.pods) return [];
      const labels = [object.metadata.labels, previous?.metadata.labels];
      const services = store.list(kinds.services, object.metadata.namespace);
      return services.filter(({ spec }) => labels.some((set) => selects(spec.selector, set))).map(keyOf);
    },
    reconcile(key) {
      const service = store.get(kinds.services, ...splitKey(key));
      if (!service?.spec.selector) return;
      const { namespace } = service.metadata;
      const pods = store.list(kinds.pods, namespace);
      const chosen = pods.filter(
        ({ metadata, status }) => status?.podIP && selects(service.spec.selector, metadata.labels),
      );
      const found = store.list(kinds.endpointSlices, namespace).find((slice) => isOwnedBy(slice, service));
      const content = contentOf(service, chosen);
      if (found) store.update(kinds.endpointSlices, { ...found, ...content }, 'main');
      else store.create(kinds.endpointSlices, { ...head(service), ...content });
    },
  });
}

function head(service: Service) {
  const { name, namespace, labels } = service.metadata;
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-${suffix()}`,
      generateName: `${name}-`,
      ...(namespace !== undefined && { namespace }),
      labels: { ...labels, 'endpointslice.kubernetes.io/managed-by': MANAGER, 'kubernetes.io/service-name': name },
      ownerReferences: [ownerReference(service)],
    },
  };
}

/** Both lists are null where no pod has an address, as on a real cluster. */
function contentOf(
  { spec }: Service,
  pods: readonly Pod[],
): Pick<EndpointSlice, 'addressType' | 'endpoints' | 'ports'> {
  const [first] = pods;
  if (!first) return { addressType: 'IPv4', endpoints: null, ports: null };
  const ports = (spec.ports ?? []).flatMap(({ name = '', protocol = 'TCP', targetPort }) => {
    const port = typeof targetPort === 'number' ? targetPort : namedPort(first, targetPort);
    return port === undefined ? [] : [{ name, protocol, port }];
  });
  return { addressType: 'IPv4', endpoints: pods.map(endpointOf), ports };
}

function namedPort({ spec }: Pod, name: string): number | undefined {
  return spec.containers.flatMap(({ ports = [] }) => ports).find((port) => port.name === name)?.containerPort;
}

function endpointOf(pod: Pod) {
  const { namespace = '', name, uid, deletionTimestamp } = pod.metadata;
  const serving = isReady(pod);
  const terminating = deletionTimestamp !== undefined;
  return {
    addresses: [pod.status?.podIP ?? ''],
    conditions: { ready: serving && !terminating, serving, terminating },
    nodeName: 'node-1',
    targetRef: { kind: 'Pod', namespace, name, uid },
  };
}
