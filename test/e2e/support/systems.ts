/** The traffic systems that scenarios run on: what routes a world, who sends its requests, and how an observer reads it. */
import type { Rule } from './account.ts';
import { readManifests } from './account.ts';
import type { Kube, Meta, Watching } from './kube.ts';

export type Shares = {
  /** Percent of the requests without a preview header. */
  readonly canary: number;
  readonly stable: number;
  /** Requests with a header of their own go to the canary. */
  readonly preview: boolean;
};
type Beside = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: object;
};
export type Routed = { readonly metadata: Meta; readonly spec: unknown };

/** What routes from outside of the cluster. */
export type Outside = {
  readonly get: () => Promise<Routed>;
  /** Calls back with each revision, first with the one that is there. */
  readonly watch: (on: (route: Routed) => void) => Watching;
  readonly close: () => Promise<void>;
};

export type System = {
  /** Of the service in `sluice.yaml`. */
  readonly traffic: (name: string) => object;
  /** Rights of the bot besides those of `manifests/namespace`. */
  readonly rights: () => readonly Rule[];
  /** The address, or what the environment calls it. */
  readonly entry: 'PROXY_URL' | 'MESH_URL' | URL;
  readonly host: (name: string, namespace: string) => string;
  /** Where the objects are that route; `given`: the one that was there before Sluice, null where the Kubernetes Service is it; `watched`: the name of the one it writes. */
  readonly path: (namespace: string) => string;
  readonly given: (name: string, host: string) => { readonly metadata: { readonly name: string } } | null;
  readonly watched: (name: string) => string;
  /** What else was there, and is as it was when a rollout has ended. */
  readonly beside?: (name: string, namespace: string) => { readonly path: string; readonly object: Beside };
  /** In place of an object at `path`. `own`: the name of Deployment and Kubernetes Service. */
  readonly outside?: (world: {
    readonly kube: Kube;
    readonly name: string;
    readonly own: string;
    readonly namespace: string;
  }) => Promise<Outside>;
  /** What pods are selected by besides `app`, where both sides stand behind the Kubernetes Service. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Deployment and Kubernetes Service are called after this version, and select by it. */
  readonly version?: string;
  readonly shares: (object: Routed, name: string) => Shares;
  /** Whether a header leads to the canary. */
  readonly previews: boolean;
  /** Names in `stage.ts`; the first is the one for a rollout without bakes. */
  readonly strategies: readonly string[];
  /** More of the service in `sluice.yaml`. */
  readonly service?: object;
};

type Weighted = { readonly name: string; readonly weight?: number | undefined };

/** One backend alone gets everything, whatever its weight. */
function sharesOf(backends: readonly Weighted[], canaryName: string, preview: boolean): Shares {
  const sum = (some: readonly Weighted[]) => some.reduce((total, { weight = 0 }) => total + weight, 0);
  const canary = sum(backends.filter(({ name }) => name === canaryName));
  const alone = backends.length === 1 && backends[0]?.name !== canaryName;
  return { canary, stable: alone ? 100 : sum(backends) - canary, preview };
}

const rightsFor = (router: string) =>
  readManifests(`test/e2e/support/rights/${router}`)
    .filter(({ kind }) => kind === 'Role')
    .flatMap(({ rules }) => rules as readonly Rule[]);

type HttpRouteSpec = {
  readonly rules: readonly {
    readonly matches?: readonly { readonly headers?: readonly object[] }[];
    readonly backendRefs: readonly Weighted[];
  }[];
};

function httpRouteShares({ spec }: Routed, name: string, canary = `${name}-canary`): Shares {
  const { rules } = spec as HttpRouteSpec;
  const isPreview = (rule: HttpRouteSpec['rules'][number]) =>
    rule.matches?.some(({ headers }) => headers && headers.length > 0) ?? false;
  const [rule] = rules.filter((each) => !isPreview(each));
  return sharesOf(rule?.backendRefs ?? [], canary, rules.some(isPreview));
}

export const GATEWAY: System = {
  traffic: (name) => ({ router: 'gateway-api', route: name }),
  rights: () => [],
  entry: 'PROXY_URL',
  host: (name, namespace) => `${name}.${namespace}.test`,
  path: (namespace) => `/apis/gateway.networking.k8s.io/v1/namespaces/${namespace}/httproutes`,
  given: (name, host) => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name },
    spec: {
      parentRefs: [{ name: 'public', namespace: 'default' }],
      hostnames: [host],
      rules: [{ backendRefs: [{ name, port: 80 }] }],
    },
  }),
  watched: (name) => name,
  shares: httpRouteShares,
  previews: true,
  strategies: ['brisk', 'short', 'users', 'copies'],
};

/** Each version under its own name: one alone is what serves, before and after. */
export const VERSIONED: System = {
  ...GATEWAY,
  version: 'v1',
  labels: { version: 'v1' },
  given: (name, host) => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name },
    spec: {
      parentRefs: [{ name: 'public', namespace: 'default' }],
      hostnames: [host],
      rules: [{ backendRefs: [{ name: `${name}-v1`, port: 80 }] }],
    },
  }),
  shares: (object, name) => {
    const { rules } = object.spec as HttpRouteSpec;
    const isAtRest = rules.every(({ backendRefs }) => backendRefs.length === 1);
    return isAtRest ? { canary: 0, stable: 100, preview: false } : httpRouteShares(object, name, `${name}-v2`);
  },
  strategies: ['brisk', 'short'],
  service: { workload: 'versioned' },
};

/** As Linkerd 2.14 and later take it: the route's parent is the Kubernetes Service. */
export const SERVICE_PARENT: System = {
  ...GATEWAY,
  entry: 'MESH_URL',
  host: (name, namespace) => `${name}.${namespace}`,
  given: (name) => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name },
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name, port: 80 }],
      rules: [{ backendRefs: [{ name, port: 80 }] }],
    },
  }),
};

export const SMI: System = {
  traffic: (name) => ({ router: 'smi', split: name }),
  rights: () => rightsFor('smi'),
  entry: 'MESH_URL',
  host: (name, namespace) => `${name}.${namespace}`,
  path: (namespace) => `/apis/split.smi-spec.io/v1alpha2/namespaces/${namespace}/trafficsplits`,
  given: (name) => ({
    apiVersion: 'split.smi-spec.io/v1alpha2',
    kind: 'TrafficSplit',
    metadata: { name },
    spec: { service: name, backends: [{ service: name, weight: 1 }] },
  }),
  watched: (name) => name,
  shares: ({ spec }, name) => {
    const { backends } = spec as { backends: readonly { service: string; weight: number }[] };
    return sharesOf(
      backends.map(({ service, weight }) => ({ name: service, weight })),
      `${name}-canary`,
      false,
    );
  },
  previews: false,
  strategies: ['plain'],
};

type VirtualServiceSpec = {
  readonly http: readonly {
    readonly match?: readonly object[];
    readonly route: readonly {
      readonly destination: { readonly host: string; readonly subset?: string };
      readonly weight?: number;
    }[];
  }[];
};

export const ISTIO: System = {
  traffic: (name) => ({ router: 'istio', virtualService: name }),
  rights: () => rightsFor('istio'),
  entry: 'MESH_URL',
  host: (name, namespace) => `${name}.${namespace}`,
  path: (namespace) => `/apis/networking.istio.io/v1/namespaces/${namespace}/virtualservices`,
  given: (name) => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name },
    spec: { hosts: [name], http: [{ route: [{ destination: { host: name } }] }] },
  }),
  watched: (name) => name,
  shares: ({ spec }, name) => {
    const { http } = spec as VirtualServiceSpec;
    const [plain] = http.filter(({ match }) => !match);
    return sharesOf(
      (plain?.route ?? []).map(({ destination: { host, subset }, weight }) => ({ name: subset ?? host, weight })),
      `${name}-canary`,
      http.some(({ match }) => match !== undefined),
    );
  },
  previews: true,
  strategies: ['brisk', 'users', 'copies'],
};

/** Both sides behind one Kubernetes Service. */
export const ISTIO_SUBSETS: System = {
  ...ISTIO,
  traffic: (name) => ({ ...ISTIO.traffic(name), destinationRule: name }),
  rights: () => rightsFor('istio-subsets'),
  labels: { version: 'v1' },
  given: (name) => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name },
    spec: { hosts: [name], http: [{ route: [{ destination: { host: name, subset: 'one' } }] }] },
  }),
  beside: (name, namespace) => ({
    path: `/apis/networking.istio.io/v1/namespaces/${namespace}/destinationrules`,
    object: {
      apiVersion: 'networking.istio.io/v1',
      kind: 'DestinationRule',
      metadata: { name },
      spec: {
        host: name,
        trafficPolicy: { loadBalancer: { simple: 'LEAST_REQUEST' } },
        subsets: [{ name: 'one', labels: { version: 'v1' } }],
      },
    },
  }),
};

const NGINX = 'nginx.ingress.kubernetes.io';

export const INGRESS_NGINX: System = {
  traffic: (name) => ({ router: 'ingress-nginx', ingress: name }),
  rights: () => rightsFor('ingress-nginx'),
  entry: 'PROXY_URL',
  host: (name, namespace) => `${name}.${namespace}.test`,
  path: (namespace) => `/apis/networking.k8s.io/v1/namespaces/${namespace}/ingresses`,
  given: (name, host) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name },
    spec: {
      ingressClassName: 'nginx',
      rules: [
        {
          host,
          http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name, port: { number: 80 } } } }] },
        },
      ],
    },
  }),
  watched: (name) => `${name}-canary`,
  shares: ({ metadata: { annotations = {} } }) => {
    const canary = Number(annotations[`${NGINX}/canary-weight`]);
    return { canary, stable: 100 - canary, preview: annotations[`${NGINX}/canary-by-header`] !== undefined };
  },
  previews: true,
  strategies: ['brisk', 'users'],
};

export const SELECTOR: System = {
  traffic: (name) => ({ router: 'kubernetes', service: name }),
  rights: () => [],
  entry: 'MESH_URL',
  host: (name, namespace) => `${name}.${namespace}`,
  path: (namespace) => `/api/v1/namespaces/${namespace}/services`,
  given: () => null,
  watched: (name) => name,
  shares: ({ spec }, name) => {
    const { selector } = spec as { selector: Readonly<Record<string, string>> };
    const canary = selector.app === `${name}-canary` ? 100 : 0;
    return { canary, stable: 100 - canary, preview: false };
  },
  previews: false,
  strategies: ['switch'],
};

const SUCCESS = `100 * sum(rate(response_total{namespace="{{namespace}}", classification="success"}[{{window}}]))
  / sum(rate(response_total{namespace="{{namespace}}"}[{{window}}]))`;

/** The Deployment itself, pod by pod: its Kubernetes Service says which share it was given last. */
export const PODS: System = {
  ...SELECTOR,
  rights: () => rightsFor('kubernetes'),
  shares: ({ metadata: { annotations = {} } }) => {
    const [, weight = 0] = /"weight":(\d+)/.exec(annotations['sluice.dev/route'] ?? '') ?? [];
    const canary = Number(weight);
    return { canary, stable: 100 - canary, preview: false };
  },
  strategies: ['plain', 'rolling'],
  service: {
    workload: 'in-place',
    // Old and new pods together: nothing in Prometheus tells them apart.
    checks: [{ name: 'success rate', query: SUCCESS, min: 99, interval: '1s', window: '10s' }],
  },
};

export const SYSTEMS: Readonly<Record<string, System>> = {
  'an HTTPRoute of a Kubernetes Service': SERVICE_PARENT,
  'a TrafficSplit': SMI,
  'a VirtualService': ISTIO,
  'a VirtualService, by subsets': ISTIO_SUBSETS,
  'Ingresses of ingress-nginx': INGRESS_NGINX,
  'the selector of a Kubernetes Service': SELECTOR,
};
