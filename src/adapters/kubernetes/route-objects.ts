/** The parts that Sluice reads of the objects that route, other than HTTPRoutes; everything else passes through untouched. */
import { z } from 'zod';
import { type Kind, metadata, of } from './kinds.ts';

/** Of v1alpha1 to v1alpha4; in v1alpha1 a weight may also be a quantity such as `500m`. */
const splitBackend = z.looseObject({ service: z.string(), weight: z.union([z.number(), z.string()]) });
export type SplitBackend = z.infer<typeof splitBackend>;
export const splitJournal = z.array(splitBackend);

const trafficSplit = z.looseObject({
  metadata,
  spec: z.looseObject({ service: z.string(), backends: splitJournal }),
});
export type TrafficSplit = z.infer<typeof trafficSplit>;
export const TrafficSplits: Kind<TrafficSplit> = of(
  'TrafficSplit',
  'split.smi-spec.io/v1alpha2',
  'trafficsplits',
  trafficSplit,
);
/** Stored the same way in all versions, so any that is served will do. */
export const SPLIT_VERSIONS = ['v1alpha4', 'v1alpha3', 'v1alpha2', 'v1alpha1'] as const;

const override = z.looseObject({ authority: z.string(), weight: z.union([z.number(), z.string()]) });
const serviceProfile = z.looseObject({
  metadata,
  spec: z.looseObject({ routes: z.array(z.unknown()).nullish(), dstOverrides: z.array(override).nullish() }).nullish(),
});
export type ServiceProfile = z.infer<typeof serviceProfile>;
export const ServiceProfiles: Kind<ServiceProfile> = of(
  'ServiceProfile',
  'linkerd.io/v1alpha2',
  'serviceprofiles',
  serviceProfile,
);

const destination = z.looseObject({ host: z.string(), subset: z.string().optional(), port: z.unknown().optional() });
export type Destination = z.infer<typeof destination>;
const weightedDestination = z.looseObject({ destination, weight: z.number().optional() });
export type WeightedDestination = z.infer<typeof weightedDestination>;
const httpMatch = z.looseObject({ headers: z.record(z.string(), z.unknown()).optional() });
export type HttpMatch = z.infer<typeof httpMatch>;
const httpRoute = z.looseObject({
  name: z.string().optional(),
  match: z.array(httpMatch).optional(),
  route: z.array(weightedDestination).optional(),
  mirror: destination.optional(),
  mirrorPercentage: z.looseObject({ value: z.number().optional() }).optional(),
  mirrors: z.unknown().optional(),
  delegate: z.looseObject({ name: z.string().optional(), namespace: z.string().optional() }).optional(),
});
/** One entry of `spec.http`. */
export type IstioRoute = z.infer<typeof httpRoute>;
export const istioJournal = z.array(
  z.object({ name: z.string().optional(), match: z.array(httpMatch).optional(), route: z.array(weightedDestination) }),
);
export type IstioJournal = z.infer<typeof istioJournal>;

const otherRoutes = z.array(z.looseObject({ route: z.array(weightedDestination).optional() })).optional();
const virtualService = z.looseObject({
  metadata,
  spec: z.looseObject({ http: z.array(httpRoute).optional(), tls: otherRoutes, tcp: otherRoutes }),
});
export type VirtualService = z.infer<typeof virtualService>;
export const VirtualServices: Kind<VirtualService> = of(
  'VirtualService',
  'networking.istio.io/v1',
  'virtualservices',
  virtualService,
);
/** One entry of `spec.subsets`: pods behind the host that have these labels. The journal is the one that was added. */
export const subsetJournal = z.looseObject({ name: z.string(), labels: z.record(z.string(), z.string()).optional() });
export type Subset = z.infer<typeof subsetJournal>;
const trafficPolicy = z.looseObject({ tls: z.looseObject({ mode: z.string().optional() }).optional() });
const destinationRule = z.looseObject({
  metadata,
  spec: z.looseObject({
    host: z.string(),
    trafficPolicy: trafficPolicy.extend({ portLevelSettings: z.array(trafficPolicy).nullish() }).nullish(),
    subsets: z.array(subsetJournal).nullish(),
  }),
});
export type DestinationRule = z.infer<typeof destinationRule>;
export const DestinationRules: Kind<DestinationRule> = of(
  'DestinationRule',
  'networking.istio.io/v1',
  'destinationrules',
  destinationRule,
);
export const ISTIO_VERSIONS = ['v1', 'v1beta1', 'v1alpha3'] as const;

const ingressBackend = z.looseObject({
  service: z.looseObject({ name: z.string(), port: z.unknown().optional() }).optional(),
});
export type IngressBackend = z.infer<typeof ingressBackend>;
const ingressPath = z.looseObject({ path: z.string().optional(), backend: ingressBackend });
const ingressRule = z.looseObject({
  host: z.string().optional(),
  http: z.looseObject({ paths: z.array(ingressPath) }).optional(),
});
const ingress = z.looseObject({
  metadata,
  spec: z.looseObject({
    ingressClassName: z.string().optional(),
    defaultBackend: ingressBackend.optional(),
    rules: z.array(ingressRule).optional(),
    tls: z.array(z.unknown()).optional(),
  }),
});
export type Ingress = z.infer<typeof ingress>;
export const Ingresses: Kind<Ingress> = of('Ingress', 'networking.k8s.io/v1', 'ingresses', ingress);

/** A list of names since Gateway API 1.1. */
const attached = z.looseObject({ kind: z.string(), name: z.string() });
const policy = z.looseObject({
  metadata,
  spec: z.looseObject({ targetRef: attached.optional(), targetRefs: z.array(attached).optional() }),
});
export type TlsPolicy = z.infer<typeof policy>;
export const BackendTLSPolicies = of('BackendTLSPolicy', 'gateway.networking.k8s.io/v1', 'backendtlspolicies', policy);
/** v1 since Gateway API 1.4. The group has a v1 also where this kind has none. */
export const TLS_POLICY_VERSIONS = ['v1', 'v1alpha3', 'v1alpha2'] as const;
