/** The resources that the playground's API server knows. A new one is a row here, and a shape if it has defaults. */
import type {
  Autoscaler,
  Deployment,
  EndpointSlice,
  Gateway,
  HttpRoute,
  KubeObject,
  Pod,
  ReplicaSet,
  ResourceQuota,
  Service,
} from './objects.ts';
import type {
  DestinationRule,
  Ingress,
  IngressClass,
  ServiceProfile,
  TrafficSplit,
  VirtualService,
} from './traffic-objects.ts';

type Traits = {
  readonly namespaced: boolean;
  /** Defined by a CustomResourceDefinition: no strategic patches, no PUT without resourceVersion, keys sorted. */
  readonly custom: boolean;
  readonly subresources: readonly ('status' | 'scale')[];
  /** Counts changes of the wish in `metadata.generation`. */
  readonly generation: boolean;
  /** Versions that are served with the same content, best first; default: only the stored one. */
  readonly versions?: readonly string[];
};

export type Kind<T extends KubeObject = KubeObject> = Traits & {
  readonly group: string;
  /** The one that is stored. */
  readonly version: string;
  readonly versions: readonly string[];
  readonly kind: string;
  readonly plural: string;
  /** Only carries the type. */
  readonly example?: T;
};

const usual: Traits = { namespaced: true, custom: false, subresources: [], generation: false };
const counted: Traits = { ...usual, generation: true };
const withStatus: Traits = { ...counted, subresources: ['status'] };

function define<T extends KubeObject>(
  group: string,
  version: string,
  kind: string,
  plural: string,
  traits: Traits,
): Kind<T> {
  return { group, version, versions: [version], kind, plural, ...traits };
}

const apps = 'apps';
const gateway = 'gateway.networking.k8s.io';
const gatewayApi: Traits = { ...withStatus, custom: true, versions: ['v1', 'v1beta1'] };
const istio = 'networking.istio.io';
const istioApi: Traits = { ...withStatus, custom: true, versions: ['v1', 'v1beta1', 'v1alpha3'] };
const plainCustom: Traits = { ...counted, custom: true };
const smi: Traits = { ...plainCustom, versions: ['v1alpha4', 'v1alpha3', 'v1alpha2', 'v1alpha1'] };

export const kinds = {
  namespaces: define('', 'v1', 'Namespace', 'namespaces', { ...usual, namespaced: false, subresources: ['status'] }),
  services: define<Service>('', 'v1', 'Service', 'services', { ...usual, subresources: ['status'] }),
  pods: define<Pod>('', 'v1', 'Pod', 'pods', withStatus),
  configMaps: define('', 'v1', 'ConfigMap', 'configmaps', usual),
  events: define('', 'v1', 'Event', 'events', usual),
  resourceQuotas: define<ResourceQuota>('', 'v1', 'ResourceQuota', 'resourcequotas', {
    ...usual,
    subresources: ['status'],
  }),
  deployments: define<Deployment>(apps, 'v1', 'Deployment', 'deployments', {
    ...counted,
    subresources: ['status', 'scale'],
  }),
  replicaSets: define<ReplicaSet>(apps, 'v1', 'ReplicaSet', 'replicasets', {
    ...counted,
    subresources: ['status', 'scale'],
  }),
  statefulSets: define(apps, 'v1', 'StatefulSet', 'statefulsets', withStatus),
  endpointSlices: define<EndpointSlice>('discovery.k8s.io', 'v1', 'EndpointSlice', 'endpointslices', counted),
  autoscalers: define<Autoscaler>('autoscaling', 'v2', 'HorizontalPodAutoscaler', 'horizontalpodautoscalers', {
    ...usual,
    subresources: ['status'],
  }),
  scaledObjects: define('keda.sh', 'v1alpha1', 'ScaledObject', 'scaledobjects', { ...withStatus, custom: true }),
  disruptionBudgets: define('policy', 'v1', 'PodDisruptionBudget', 'poddisruptionbudgets', withStatus),
  networkPolicies: define('networking.k8s.io', 'v1', 'NetworkPolicy', 'networkpolicies', counted),
  ingresses: define<Ingress>('networking.k8s.io', 'v1', 'Ingress', 'ingresses', withStatus),
  ingressClasses: define<IngressClass>('networking.k8s.io', 'v1', 'IngressClass', 'ingressclasses', {
    ...counted,
    namespaced: false,
  }),
  gatewayClasses: define(gateway, 'v1', 'GatewayClass', 'gatewayclasses', { ...gatewayApi, namespaced: false }),
  gateways: define<Gateway>(gateway, 'v1', 'Gateway', 'gateways', gatewayApi),
  backendTlsPolicies: define(gateway, 'v1', 'BackendTLSPolicy', 'backendtlspolicies', {
    ...gatewayApi,
    versions: ['v1'],
  }),
  referenceGrants: define(gateway, 'v1beta1', 'ReferenceGrant', 'referencegrants', {
    ...plainCustom,
    versions: ['v1', 'v1beta1'],
  }),
  httpRoutes: define<HttpRoute>(gateway, 'v1', 'HTTPRoute', 'httproutes', gatewayApi),
  virtualServices: define<VirtualService>(istio, 'v1', 'VirtualService', 'virtualservices', istioApi),
  destinationRules: define<DestinationRule>(istio, 'v1', 'DestinationRule', 'destinationrules', istioApi),
  trafficSplits: define<TrafficSplit>('split.smi-spec.io', 'v1alpha2', 'TrafficSplit', 'trafficsplits', smi),
  serviceProfiles: define<ServiceProfile>('linkerd.io', 'v1alpha2', 'ServiceProfile', 'serviceprofiles', plainCustom),
} as const;

export const allKinds: readonly Kind[] = Object.values(kinds);

/** `apps/v1`, `v1` */
export function apiVersionOf({ group, version }: Pick<Kind, 'group' | 'version'>): string {
  return group ? `${group}/${version}` : version;
}
