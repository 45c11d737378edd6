/** The resources that the playground's API server knows. A new one is a row here, and a shape if it has defaults. */
import type {
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

type Traits = {
  readonly namespaced: boolean;
  /** Defined by a CustomResourceDefinition: no strategic patches, no PUT without resourceVersion, keys sorted. */
  readonly custom: boolean;
  readonly subresources: readonly ('status' | 'scale')[];
  /** Counts changes of the wish in `metadata.generation`. */
  readonly generation: boolean;
};

export type Kind<T extends KubeObject = KubeObject> = Traits & {
  readonly group: string;
  readonly version: string;
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
  return { group, version, kind, plural, ...traits };
}

const gateway = 'gateway.networking.k8s.io';
const apps = 'apps';

export const kinds = {
  namespaces: define('', 'v1', 'Namespace', 'namespaces', { ...usual, namespaced: false, subresources: ['status'] }),
  services: define<Service>('', 'v1', 'Service', 'services', { ...usual, subresources: ['status'] }),
  pods: define<Pod>('', 'v1', 'Pod', 'pods', withStatus),
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
  autoscalers: define('autoscaling', 'v2', 'HorizontalPodAutoscaler', 'horizontalpodautoscalers', {
    ...usual,
    subresources: ['status'],
  }),
  disruptionBudgets: define('policy', 'v1', 'PodDisruptionBudget', 'poddisruptionbudgets', withStatus),
  networkPolicies: define('networking.k8s.io', 'v1', 'NetworkPolicy', 'networkpolicies', counted),
  gatewayClasses: define(gateway, 'v1', 'GatewayClass', 'gatewayclasses', {
    ...withStatus,
    custom: true,
    namespaced: false,
  }),
  gateways: define<Gateway>(gateway, 'v1', 'Gateway', 'gateways', { ...withStatus, custom: true }),
  referenceGrants: define(gateway, 'v1beta1', 'ReferenceGrant', 'referencegrants', { ...counted, custom: true }),
  httpRoutes: define<HttpRoute>(gateway, 'v1', 'HTTPRoute', 'httproutes', { ...withStatus, custom: true }),
} as const;

export const allKinds: readonly Kind[] = Object.values(kinds);

/** `apps/v1`, `v1` */
export function apiVersionOf({ group, version }: Pick<Kind, 'group' | 'version'>): string {
  return group ? `${group}/${version}` : version;
}
