/** What the proxies know of the cluster: a picture that follows the store a moment later, as real proxies do. */
import { kinds } from '../api-server/kinds.ts';
import type { EndpointSlice, HttpRoute, Labels, Service } from '../api-server/objects.ts';
import type { Store } from '../api-server/store.ts';
import type {
  DestinationRule,
  Ingress,
  ServiceProfile,
  TrafficSplit,
  VirtualService,
} from '../api-server/traffic-objects.ts';

export type Endpoint = { readonly address: string; readonly port: number; readonly labels: Labels };

export type Table = {
  readonly routes: readonly HttpRoute[];
  readonly ingresses: readonly Ingress[];
  /** Names of the IngressClasses of ingress-nginx. */
  readonly ingressClasses: ReadonlySet<string>;
  readonly virtualServices: readonly VirtualService[];
  readonly destinationRules: readonly DestinationRule[];
  readonly splits: readonly TrafficSplit[];
  readonly profiles: readonly ServiceProfile[];
  service(namespace: string, name: string): Service | undefined;
  /** Ready endpoints of a port by number or name; null: no such Kubernetes Service or port. */
  endpoints(namespace: string, name: string, port: number | string): readonly Endpoint[] | null;
};

export type TableSource = { current(): Table; stop(): void };

const followed: readonly string[] = [
  kinds.pods,
  kinds.services,
  kinds.endpointSlices,
  kinds.gateways,
  kinds.httpRoutes,
  kinds.ingresses,
  kinds.ingressClasses,
  kinds.virtualServices,
  kinds.destinationRules,
  kinds.trafficSplits,
  kinds.serviceProfiles,
].map(({ plural }) => plural);

/** `propagationMs`: from a change in the cluster to the first request that follows it; 0: the next request does. */
export function followTable(store: Store, propagationMs: number): TableSource {
  let table: Table | null = readTable(store);
  let refresh: ReturnType<typeof setTimeout> | undefined;
  const forget = () => {
    refresh = undefined;
    table = null;
  };
  const unsubscribe = store.subscribe(({ kind }) => {
    if (!followed.includes(kind.plural)) return;
    if (propagationMs === 0) forget();
    else refresh ??= setTimeout(forget, propagationMs);
  });
  return {
    current() {
      table ??= readTable(store);
      return table;
    },
    stop() {
      unsubscribe();
      clearTimeout(refresh);
    },
  };
}

/** The store's objects never change, so this is a picture of now. */
function readTable(store: Store): Table {
  const services = new Map(store.list(kinds.services).map((service) => [keyOf(service), service]));
  const slices = Map.groupBy(store.list(kinds.endpointSlices), (slice) => {
    return `${slice.metadata.namespace}/${slice.metadata.labels?.['kubernetes.io/service-name']}`;
  });
  const labels = new Map(store.list(kinds.pods).map((pod) => [keyOf(pod), pod.metadata.labels ?? {}]));
  const nginx = store.list(kinds.ingressClasses).filter(({ spec }) => spec.controller === 'k8s.io/ingress-nginx');
  return {
    routes: store.list(kinds.httpRoutes),
    ingresses: store.list(kinds.ingresses),
    ingressClasses: new Set(nginx.map(({ metadata }) => metadata.name)),
    virtualServices: store.list(kinds.virtualServices),
    destinationRules: store.list(kinds.destinationRules),
    splits: store.list(kinds.trafficSplits),
    profiles: store.list(kinds.serviceProfiles),
    service: (namespace, name) => services.get(`${namespace}/${name}`),
    endpoints(namespace, name, port) {
      const key = `${namespace}/${name}`;
      const ports = services.get(key)?.spec.ports ?? [];
      const asked = ports.find((one) => one.port === port || one.name === port);
      if (!asked) return null;
      return (slices.get(key) ?? []).flatMap((slice) => readyIn(slice, asked.name ?? '', labels));
    },
  };
}

function readyIn(
  { metadata, ports, endpoints }: EndpointSlice,
  portName: string,
  labels: ReadonlyMap<string, Labels>,
): readonly Endpoint[] {
  const port = ports?.find(({ name }) => name === portName)?.port;
  if (port === undefined) return [];
  const ready = (endpoints ?? []).filter(({ conditions }) => conditions.ready);
  return ready.map(({ addresses, targetRef }) => ({
    address: addresses[0] ?? '',
    port,
    labels: labels.get(`${metadata.namespace}/${targetRef?.name}`) ?? {},
  }));
}

function keyOf({ metadata }: { readonly metadata: { readonly namespace?: string; readonly name: string } }): string {
  return `${metadata.namespace}/${metadata.name}`;
}
