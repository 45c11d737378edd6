/**
 * What a rollout is going to do, frozen when it is requested: a later change of `sluice.yaml` never changes a running
 * rollout. All durations are milliseconds, all weights integer percent of traffic to the canary.
 */

/** Which requests always reach the canary: those with a header of this value or pattern, or with a cookie. */
export type Preview =
  | { readonly header: string; readonly value: string }
  /** A regular expression that the whole value matches. */
  | { readonly header: string; readonly pattern: string }
  | { readonly cookie: string; readonly value: string };

/** The whole desired state of the traffic. Absent parts are off: nothing is inherited from the step before. */
export type Route = {
  readonly weight: number;
  readonly preview: Preview | null;
  /** Percent of requests copied to the canary; their answers are discarded. */
  readonly mirror: number | null;
};

export const STABLE_ROUTE: Route = { weight: 0, preview: null, mirror: null };

export type GatePlan = {
  readonly approvals: number;
  readonly timeoutMs: number;
  readonly onTimeout: 'abort' | 'hold';
};

/** One wanted route, then its evidence, then its decision. */
export type Step = {
  readonly route: Route;
  readonly test: boolean;
  /** How long the checks are watched; 0: one sample of each, when traffic flows. */
  readonly bakeMs: number;
  readonly gate: GatePlan | null;
  /**
   * Which share its weight really gets where pods decide, as many as there were at the request: `20% (1 of 5 pods; 10% was
   * asked)`, the percent first; left out: what is asked.
   */
  readonly achieved?: string;
};

/**
 * Whether users reach the canary in this step, so that the checks count: by a share, by copies, or by a match while the checks
 * are watched. A preview without bake is for testers, whose few requests measure nothing.
 */
export const hasUsers = ({ route, bakeMs }: Pick<Step, 'route' | 'bakeMs'>): boolean =>
  loadOf(route) > 0 || (route.preview !== null && bakeMs > 0);

/** Percent of the requests that the canary has to stand, copies included. */
export const loadOf = ({ weight, mirror }: Route): number => Math.max(weight, mirror ?? 0);

/** One measured condition on the canary. `query` is a preset (`linkerd/success-rate`) or PromQL with `{{workload}}`. */
export type Check = {
  readonly name: string;
  readonly query: string;
  readonly min: number | null;
  readonly max: number | null;
  /** How values are written: `%`, `ms` or nothing. */
  readonly unit: '%' | 'ms' | '';
  readonly intervalMs: number;
  readonly windowMs: number;
  /** Consecutive failing samples that abort the rollout. */
  readonly fails: number;
  /** Fewer canary requests than this in the window is "no data". */
  readonly minRequests: number;
};

/** A request that every Ready canary pod must answer: 5 s, 3 tries. */
export type SmokeTest = {
  readonly name: string;
  readonly get: string;
  /** The pod's own, or the name of the Kubernetes Service's port; left out: the one named `http`, else the first. */
  readonly port?: number | string | undefined;
  readonly status: number;
};

/** Slack user ids (`U…`, `W…`) and user group ids (`S…`). */
export type Access = {
  readonly deploy: readonly string[];
  readonly approve: readonly string[];
  readonly abort: readonly string[];
  readonly onCall: readonly string[];
  readonly approvals: number;
  /** The requester cannot approve. */
  readonly fourEyes: boolean;
};

/** What routes to a service, by router. What the rest of Sluice asks of each is in `traffic.ts`. */
export type Traffic =
  | {
      readonly router: 'gateway-api';
      /** HTTPRoutes as `namespace/name`. */
      readonly routes: readonly string[];
    }
  | {
      readonly router: 'namerd';
      /** The HTTP controller, without a slash at its end: `http://namerd:4180`. */
      readonly url: string;
      /** Dtab namespaces, moved together. */
      readonly namespaces: readonly string[];
      /** Prefix of the dentry that Sluice sets, in each of them: `/host/world`. */
      readonly path: string;
      /** The canary's name, with `{version}`: `/srv/world-{version}`. */
      readonly names: string;
    }
  | {
      readonly router: 'smi';
      /** TrafficSplit as `namespace/name`; made when it is missing. */
      readonly split: string;
    }
  | {
      readonly router: 'istio';
      /** VirtualService as `namespace/name`. */
      readonly virtualService: string;
      /** Names of its routes that are rolled out; empty: all that send to the service alone. */
      readonly http: readonly string[];
      /** DestinationRule as `namespace/name`: split by its subsets; left out: split by hosts. */
      readonly destinationRule?: string;
    }
  | {
      readonly router: 'ingress-nginx';
      /** The stable Ingress as `namespace/name`; it is never written. */
      readonly ingress: string;
      /** Prefix of the controller's annotations: `nginx.ingress.kubernetes.io`. */
      readonly annotations: string;
    }
  | {
      readonly router: 'kubernetes';
      /** The Kubernetes Service that users ask, as `namespace/name`. */
      readonly service: string;
    };

/** What is rolled out, in Kubernetes' names. */
export type Target = {
  readonly service: string;
  readonly namespace: string;
  /** The Deployment that serves now. */
  readonly deployment: string;
  readonly container: string;
  readonly workload: 'twin' | 'versioned' | 'in-place';
  readonly traffic: Traffic;
  /** Workload `versioned`, once it is known what serves: absent in the configuration. */
  readonly versioned?: Versioned;
};

/** Names of the workload `versioned`, where each version has a Deployment and a Kubernetes Service of its own. */
export type Versioned = {
  /** What the names of all versions begin with: `deployment` of the configuration. */
  readonly base: string;
  /** Deployment and Kubernetes Service of the version that is rolled out. */
  readonly canary: string;
};

export type Actor =
  | { readonly kind: 'person'; readonly user: string; readonly name: string }
  | { readonly kind: 'cli'; readonly user: string; readonly name: string }
  | { readonly kind: 'system' };

/** Everything about a rollout that never changes after the request. */
export type Plan = {
  readonly kind: 'deploy' | 'rollback';
  readonly env: string;
  readonly target: Target;
  readonly version: string;
  /** The version that serves when the rollout is requested; null when its image does not match the configured pattern. */
  readonly from: string | null;
  /** Full image reference of `version`. */
  readonly image: string;
  /** A rollback brings back this whole pod template; null: the live template with `image`. */
  readonly template: Readonly<Record<string, unknown>> | null;
  readonly strategy: string;
  readonly steps: readonly Step[];
  readonly checks: readonly Check[];
  readonly tests: readonly SmokeTest[];
  readonly access: Access;
  readonly requester: Actor;
  readonly reason: string | null;
  /** Slack channel id. */
  readonly channel: string;
  readonly coolDownMs: number;
  readonly readyTimeoutMs: number;
  readonly promoteTimeoutMs: number;
  /** What preflight found that does not stop the rollout, as sentences. */
  readonly warnings: readonly string[];
};
