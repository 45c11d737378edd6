/** The Kubernetes objects that the playground's own parts read and write, with the fields they use. */
import type { JsonObject } from './json.ts';

export type OwnerReference = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
};

export type Labels = Readonly<Record<string, string>>;

/** What a writer may give; the store fills the rest in. */
export type NewMeta = {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Labels;
  readonly annotations?: Labels;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly generateName?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
};

export type Meta = NewMeta & {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly creationTimestamp: string;
};

export type KubeObject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Meta;
  readonly spec?: JsonObject;
  readonly status?: JsonObject;
};

/** An object before the store has taken it. */
export type NewObject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: NewMeta;
  readonly spec?: JsonObject;
  readonly status?: JsonObject;
};

export type Condition = {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason?: string;
  readonly message?: string;
  readonly observedGeneration?: number;
  readonly lastTransitionTime: string;
  readonly lastUpdateTime?: string;
};

type ContainerSpec = {
  readonly name: string;
  readonly image: string;
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
};

type PodSpec = { readonly containers: readonly ContainerSpec[]; readonly terminationGracePeriodSeconds?: number };

export type PodTemplate = {
  readonly metadata?: { readonly labels?: Labels; readonly annotations?: Labels };
  readonly spec: PodSpec;
};

type Selector = { readonly matchLabels?: Labels };

export type Deployment = KubeObject & {
  readonly spec: {
    readonly replicas: number;
    readonly selector: Selector;
    readonly template: PodTemplate;
    readonly strategy: {
      readonly type: 'RollingUpdate' | 'Recreate';
      readonly rollingUpdate?: { readonly maxSurge: number | string; readonly maxUnavailable: number | string };
    };
    readonly minReadySeconds?: number;
    readonly revisionHistoryLimit: number;
    readonly progressDeadlineSeconds: number;
    readonly paused?: boolean;
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly updatedReplicas?: number;
    readonly readyReplicas?: number;
    readonly availableReplicas?: number;
    readonly unavailableReplicas?: number;
    readonly conditions?: readonly Condition[];
  };
};

export type ReplicaSet = KubeObject & {
  readonly spec: {
    readonly replicas: number;
    readonly minReadySeconds?: number;
    readonly selector: Selector;
    readonly template: PodTemplate;
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly fullyLabeledReplicas?: number;
    readonly readyReplicas?: number;
    readonly availableReplicas?: number;
    readonly conditions?: readonly Condition[];
  };
};

export type Pod = KubeObject & {
  readonly spec: PodSpec;
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly conditions?: readonly Condition[];
    readonly containerStatuses?: readonly JsonObject[];
  };
};

export type Service = KubeObject & {
  readonly spec: {
    readonly selector?: Labels;
    readonly clusterIP?: string;
    readonly ports?: readonly {
      readonly name?: string;
      readonly port: number;
      readonly targetPort: number | string;
      readonly protocol?: string;
    }[];
  };
};

type Endpoint = {
  readonly addresses: readonly string[];
  readonly conditions: { readonly ready: boolean; readonly serving: boolean; readonly terminating: boolean };
  readonly nodeName?: string;
  readonly targetRef?: {
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
  };
};

export type EndpointSlice = KubeObject & {
  readonly addressType: string;
  readonly endpoints: readonly Endpoint[] | null;
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[] | null;
};

export type Gateway = KubeObject & { readonly spec: { readonly listeners?: readonly { readonly name: string }[] } };

export type ParentRef = {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  readonly sectionName?: string;
  readonly port?: number;
};

export type BackendRef = {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  readonly port?: number;
};

type ValueMatch = { readonly type: 'Exact' | 'RegularExpression'; readonly name: string; readonly value: string };

export type RouteMatch = {
  readonly path: { readonly type: 'Exact' | 'PathPrefix' | 'RegularExpression'; readonly value: string };
  readonly headers?: readonly ValueMatch[];
  readonly queryParams?: readonly ValueMatch[];
  readonly method?: string;
};

type RouteFilter = {
  readonly type: string;
  readonly requestMirror?: {
    readonly backendRef: BackendRef;
    readonly percent?: number;
    readonly fraction?: { readonly numerator: number; readonly denominator: number };
  };
};

export type RouteRule = {
  readonly matches: readonly RouteMatch[];
  readonly filters?: readonly RouteFilter[];
  readonly backendRefs?: readonly (BackendRef & { readonly weight: number })[];
};

export type HttpRoute = KubeObject & {
  readonly spec: {
    readonly parentRefs?: readonly ParentRef[];
    readonly hostnames?: readonly string[];
    readonly rules: readonly RouteRule[];
  };
  readonly status?: {
    readonly parents: readonly {
      readonly parentRef: ParentRef;
      readonly controllerName: string;
      readonly conditions: readonly Condition[];
    }[];
  };
};

export type ResourceQuota = KubeObject & { readonly spec: { readonly hard?: Readonly<Record<string, string>> } };

export type Autoscaler = KubeObject & {
  readonly spec: {
    readonly scaleTargetRef: { readonly kind: string; readonly name: string };
    readonly minReplicas: number;
    readonly maxReplicas: number;
  };
};
