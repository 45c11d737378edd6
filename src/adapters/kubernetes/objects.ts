/**
 * The parts of Kubernetes' own objects that Sluice reads. Everything else passes through untouched, so that a part can be
 * tested and written back exactly as it was read.
 */
import { z } from 'zod';
import { condition, type Held, held, metadata, of, strings } from './kinds.ts';

const selector = z.looseObject({
  matchLabels: strings.optional(),
  matchExpressions: z
    .array(z.looseObject({ key: z.string(), operator: z.string(), values: z.array(z.string()).optional() }))
    .optional(),
});
export type Selector = z.infer<typeof selector>;

const container = z.looseObject({ name: z.string(), image: z.string().optional() });
const podTemplate = z.looseObject({
  metadata: z.looseObject({ labels: strings.optional() }).optional(),
  spec: z.looseObject({ containers: z.array(container), initContainers: z.array(container).nullish() }),
});
export type PodTemplate = z.infer<typeof podTemplate>;
export const parseTemplate = (value: unknown): PodTemplate => podTemplate.parse(value);

const deployment = z.looseObject({
  metadata,
  spec: z.looseObject({
    replicas: z.number().default(1),
    selector,
    template: podTemplate,
    minReadySeconds: z.number().optional(),
    paused: z.boolean().optional(),
    strategy: z.looseObject({ type: z.string().optional() }).optional(),
    progressDeadlineSeconds: z.number().default(600),
  }),
  status: z
    .looseObject({
      observedGeneration: z.number().optional(),
      replicas: z.number().optional(),
      updatedReplicas: z.number().optional(),
      availableReplicas: z.number().optional(),
      conditions: z.array(condition).optional(),
    })
    .optional(),
});
export type Deployment = z.infer<typeof deployment>;

const replicaSet = z.looseObject({
  metadata,
  spec: z.looseObject({ replicas: z.number().default(1), selector, template: podTemplate }),
  status: z.looseObject({ readyReplicas: z.number().optional() }).optional(),
});
export type ReplicaSet = z.infer<typeof replicaSet>;

const service = z.looseObject({
  metadata,
  spec: z.looseObject({
    selector: strings.optional(),
    clusterIP: z.string().optional(),
    ports: z.array(z.looseObject({ port: z.number() })).optional(),
  }),
});
export type Service = z.infer<typeof service>;

const endpointSlice = z.looseObject({
  metadata,
  endpoints: z
    .array(
      z.looseObject({
        addresses: z.array(z.string()),
        conditions: z.looseObject({ ready: z.boolean().nullish() }).optional(),
        targetRef: z.looseObject({ name: z.string().optional() }).nullish(),
      }),
    )
    .nullish(),
  ports: z.array(z.looseObject({ name: z.string().nullish(), port: z.number().nullish() })).nullish(),
});
export type EndpointSlice = z.infer<typeof endpointSlice>;

const containerStatus = z.looseObject({
  name: z.string(),
  state: z
    .looseObject({
      waiting: z.looseObject({ reason: z.string().optional(), message: z.string().optional() }).nullish(),
    })
    .optional(),
});
const pod = z.looseObject({
  metadata,
  status: z
    .looseObject({
      conditions: z.array(condition).optional(),
      initContainerStatuses: z.array(containerStatus).optional(),
      containerStatuses: z.array(containerStatus).optional(),
    })
    .optional(),
});
export type Pod = z.infer<typeof pod>;

const autoscaler = z.looseObject({
  metadata,
  spec: z.looseObject({
    scaleTargetRef: z.looseObject({ kind: z.string(), name: z.string() }),
    minReplicas: z.number().optional(),
    maxReplicas: z.number(),
  }),
});
export type Autoscaler = z.infer<typeof autoscaler>;
const peer = z.looseObject({ podSelector: selector.nullish(), namespaceSelector: selector.nullish() });
export type Peer = z.infer<typeof peer>;
const networkPolicy = z.looseObject({
  metadata,
  spec: z.looseObject({
    podSelector: selector.optional(),
    policyTypes: z.array(z.string()).nullish(),
    ingress: z.array(z.looseObject({ from: z.array(peer).nullish() })).nullish(),
    egress: z.array(z.looseObject({ to: z.array(peer).nullish() })).nullish(),
  }),
});
export type NetworkPolicy = z.infer<typeof networkPolicy>;
const disruptionBudget = z.looseObject({ metadata, spec: z.looseObject({ selector: selector.nullish() }) });
export const Deployments = of('Deployment', 'apps/v1', 'deployments', deployment);
export const ReplicaSets = of('ReplicaSet', 'apps/v1', 'replicasets', replicaSet);
export const StatefulSets = of('StatefulSet', 'apps/v1', 'statefulsets', held);
export const Services = of('Service', 'v1', 'services', service);
export const EndpointSlices = of('EndpointSlice', 'discovery.k8s.io/v1', 'endpointslices', endpointSlice);
export const Pods = of('Pod', 'v1', 'pods', pod);
export const Autoscalers = of('HorizontalPodAutoscaler', 'autoscaling/v2', 'horizontalpodautoscalers', autoscaler);
export const NetworkPolicies = of('NetworkPolicy', 'networking.k8s.io/v1', 'networkpolicies', networkPolicy);
export const DisruptionBudgets = of('PodDisruptionBudget', 'policy/v1', 'poddisruptionbudgets', disruptionBudget);

/**
 * Of a Deployment, whose controller counts it up with each template that it takes up, an old one that comes back included; of
 * a ReplicaSet, when it was that of its Deployment last.
 */
export const revisionOf = ({ metadata }: Held) => metadata.annotations?.['deployment.kubernetes.io/revision'];

/** Whether a label selector selects these labels; an empty one selects everything, an absent one nothing. */
export function selects(selector: Selector | null | undefined, labels: Readonly<Record<string, string>>): boolean {
  if (!selector) return false;
  const exact = Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
  const expressed = (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = labels[key];
    if (operator === 'In') return value !== undefined && values.includes(value);
    if (operator === 'NotIn') return value === undefined || !values.includes(value);
    return operator === 'Exists' ? value !== undefined : value === undefined;
  });
  return exact && expressed;
}
