/**
 * The parts of Kubernetes objects that Sluice reads. Everything else passes through untouched, so that a part can be
 * tested and written back exactly as it was read.
 */
import { z } from 'zod';

const strings = z.record(z.string(), z.string());

export const metadata = z.looseObject({
  name: z.string(),
  namespace: z.string(),
  uid: z.string(),
  resourceVersion: z.string(),
  generation: z.number().optional(),
  labels: strings.optional(),
  annotations: strings.optional(),
  ownerReferences: z
    .array(
      z.looseObject({
        apiVersion: z.string(),
        kind: z.string(),
        name: z.string(),
        uid: z.string().optional(),
        controller: z.boolean().optional(),
      }),
    )
    .optional(),
});
const held = z.looseObject({ metadata });
export type Held = z.infer<typeof held>;

/** What every object has, whatever else it is. */
const head = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string().default(''), resourceVersion: z.string() }),
});
/** undefined: it is no object at all. */
export const headOf = (object: unknown) => head.safeParse(object).data?.metadata;

/** Where a watch stands. */
export const bookmarkSchema = z.object({
  metadata: z.object({ resourceVersion: z.string(), annotations: strings.optional() }),
});

const condition = z.looseObject({
  type: z.string(),
  status: z.string(),
  reason: z.string().optional(),
  message: z.string().optional(),
  observedGeneration: z.number().optional(),
  lastTransitionTime: z.string().nullish(),
});
export type Condition = z.infer<typeof condition>;

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

const parentRef = z.looseObject({
  group: z.string().optional(),
  kind: z.string().optional(),
  namespace: z.string().optional(),
  name: z.string(),
  sectionName: z.string().optional(),
  port: z.number().optional(),
});
export type ParentRef = z.infer<typeof parentRef>;

const backendRef = z.looseObject({
  group: z.string().optional(),
  kind: z.string().optional(),
  namespace: z.string().optional(),
  name: z.string(),
  port: z.number().optional(),
  weight: z.number().optional(),
});
export type BackendRef = z.infer<typeof backendRef>;

const filter = z.looseObject({
  type: z.string(),
  requestMirror: z.looseObject({ backendRef, percent: z.number().optional() }).optional(),
});
export type Filter = z.infer<typeof filter>;

const valueMatches = z.array(z.looseObject({ type: z.string().optional(), name: z.string(), value: z.string() }));
const match = z.looseObject({
  path: z.looseObject({ type: z.string().optional(), value: z.string().optional() }).optional(),
  method: z.string().optional(),
  headers: valueMatches.optional(),
  queryParams: valueMatches.optional(),
});
export type Match = z.infer<typeof match>;

const rule = z.looseObject({
  name: z.string().optional(),
  matches: z.array(match).optional(),
  filters: z.array(filter).optional(),
  backendRefs: z.array(backendRef).optional(),
});
export type Rule = z.infer<typeof rule>;

/** Owned fields of one rule as they were before the claim; `sluice.dev/restore` of a route is a list of them. */
const journalEntry = z.object({ matches: z.array(match).optional(), backendRefs: z.array(backendRef) });
export type JournalEntry = z.infer<typeof journalEntry>;
export const journalSchema = z.array(journalEntry);

const httpRoute = z.looseObject({
  metadata,
  spec: z.looseObject({ parentRefs: z.array(parentRef).optional(), rules: z.array(rule).optional() }),
  status: z
    .looseObject({
      parents: z
        .array(z.looseObject({ parentRef, controllerName: z.string(), conditions: z.array(condition).optional() }))
        .optional(),
    })
    .optional(),
});
export type HTTPRoute = z.infer<typeof httpRoute>;

const gateway = z.looseObject({ metadata, spec: z.looseObject({ gatewayClassName: z.string() }) });

const gatewayClass = z.looseObject({
  metadata: metadata.extend({ namespace: z.string().default('') }),
  status: z
    .looseObject({
      // Names alone in Gateway API before 1.2.
      supportedFeatures: z
        .array(z.union([z.string(), z.looseObject({ name: z.string() }).transform(({ name }) => name)]))
        .optional(),
    })
    .optional(),
});

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
const referenceGrant = z.looseObject({
  metadata,
  spec: z.looseObject({
    from: z.array(z.looseObject({ group: z.string(), kind: z.string(), namespace: z.string() })),
    to: z.array(z.looseObject({ group: z.string(), kind: z.string(), name: z.string().optional() })),
  }),
});

/** How a kind of object is reached and read. */
export type Kind<T extends Held = Held> = {
  readonly kind: string;
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly schema: z.ZodType<T>;
};

export const of = <T extends Held>(kind: string, apiVersion: string, plural: string, schema: z.ZodType<T>): Kind<T> => {
  const [version = '', group = ''] = apiVersion.split('/').reverse();
  return { kind, group, version, plural, schema };
};

export const Deployments = of('Deployment', 'apps/v1', 'deployments', deployment);
export const ReplicaSets = of('ReplicaSet', 'apps/v1', 'replicasets', replicaSet);
export const StatefulSets = of('StatefulSet', 'apps/v1', 'statefulsets', held);
export const Services = of('Service', 'v1', 'services', service);
export const EndpointSlices = of('EndpointSlice', 'discovery.k8s.io/v1', 'endpointslices', endpointSlice);
export const Pods = of('Pod', 'v1', 'pods', pod);
/** The same object in both: v1beta1 was all there was before Gateway API 1.0. */
export const HTTP_ROUTE_VERSIONS = ['v1', 'v1beta1'] as const;
export const HTTPRoutes = of('HTTPRoute', 'gateway.networking.k8s.io/v1', 'httproutes', httpRoute);
export const Gateways = of('Gateway', 'gateway.networking.k8s.io/v1', 'gateways', gateway);
/** Of the whole cluster: reached with an empty namespace. */
export const GatewayClasses = of('GatewayClass', 'gateway.networking.k8s.io/v1', 'gatewayclasses', gatewayClass);
export const ReferenceGrants = of(
  'ReferenceGrant',
  'gateway.networking.k8s.io/v1beta1',
  'referencegrants',
  referenceGrant,
);
export const Autoscalers = of('HorizontalPodAutoscaler', 'autoscaling/v2', 'horizontalpodautoscalers', autoscaler);
export const NetworkPolicies = of('NetworkPolicy', 'networking.k8s.io/v1', 'networkpolicies', networkPolicy);
export const DisruptionBudgets = of('PodDisruptionBudget', 'policy/v1', 'poddisruptionbudgets', disruptionBudget);

export const apiVersion = (kind: Pick<Kind, 'group' | 'version'>) =>
  kind.group ? `${kind.group}/${kind.version}` : kind.version;

/** `/apis/apps/v1/namespaces/hello/deployments/world`; without a name the collection, without a namespace the cluster's. */
export function pathOf(kind: Kind, namespace: string, name?: string): string {
  const root = kind.group ? `/apis/${apiVersion(kind)}` : `/api/${kind.version}`;
  const place = namespace === '' ? root : `${root}/namespaces/${encodeURIComponent(namespace)}`;
  const collection = `${place}/${kind.plural}`;
  return name === undefined ? collection : `${collection}/${encodeURIComponent(name)}`;
}

/** An answer as its kind is read; throws, with the object's name, where it has another shape. */
export function read<T extends Held>(kind: Kind<T>, object: unknown): T {
  const parsed = kind.schema.safeParse(object);
  if (parsed.success) return parsed.data;
  const ref = headOf(object);
  const [issue] = parsed.error.issues;
  const wrong = issue ? `${issue.path.join('.')}: ${issue.message}` : parsed.error.message;
  throw new Error(`${ref ? nameOf(kind, ref) : kind.kind} cannot be read (${wrong}): correct or delete it`);
}

export type Ref = { readonly namespace: string; readonly name: string };
/** From `namespace/name`. */
export function refOf(object: string): Ref {
  const [namespace = '', name = ''] = object.split('/');
  return { namespace, name };
}
/** How an object is called in sentences: `HTTPRoute hello/world`. */
export const nameOf = (kind: Pick<Kind, 'kind'>, ref: Ref) =>
  `${kind.kind} ${ref.namespace === '' ? '' : `${ref.namespace}/`}${ref.name}`;

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
