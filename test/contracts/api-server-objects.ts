/** Objects for the contract of the API server: sound ones, and each with one thing wrong. */

type Wrong = readonly [rule: string, object: Body, field: string];
export type Body = { readonly apiVersion: string; readonly kind: string; readonly [key: string]: unknown };

export function split(weights: readonly unknown[] = [100, 0]): Body {
  const backends = weights.map((weight, index) => ({ service: index === 0 ? 'world-stable' : 'world-canary', weight }));
  return { apiVersion: 'split.smi-spec.io/v1alpha2', kind: 'TrafficSplit', spec: { service: 'world', backends } };
}

export function virtualService(route: object = {}) {
  const spec = {
    hosts: ['world'],
    http: [
      {
        name: 'main',
        match: [{ headers: { 'x-canary': { exact: 'always' }, cookie: { regex: '^(.*?;)?(canary=always)(;.*)?$' } } }],
        route: [
          { destination: { host: 'world', subset: 'stable', port: { number: 80 } }, weight: 100 },
          { destination: { host: 'world', subset: 'canary' }, weight: 0 },
        ],
        mirror: { host: 'world', subset: 'canary' },
        mirrorPercentage: { value: 12.5 },
        timeout: '5s',
        ...route,
      },
    ],
  };
  return { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', spec };
}

export function destinationRule(subset: object = { name: 'canary' }): Body {
  const subsets = [{ labels: { track: 'canary' }, ...subset }];
  return { apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', spec: { host: 'world', subsets } };
}

export function httpRoute(rule: object, parents: readonly object[] = [{ name: 'none' }]): Body {
  const spec = { parentRefs: parents, rules: [{ backendRefs: [{ name: 'world', port: 80 }], ...rule }] };
  return { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute', spec };
}

const mirror = (more: object) => ({
  filters: [{ type: 'RequestMirror', requestMirror: { backendRef: { name: 'world', port: 80 }, ...more } }],
});

export function ingress(path: object = {}, rule: object = {}) {
  const backend = { service: { name: 'world', port: { number: 80 } } };
  const paths = [{ path: '/', pathType: 'Prefix', backend, ...path }];
  const spec = { ingressClassName: 'nginx', rules: [{ host: 'world.example', http: { paths }, ...rule }] };
  return { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', spec };
}

export function autoscaler(sizes: object): Body {
  const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'none' };
  return { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', spec: { scaleTargetRef, ...sizes } };
}

function deployment(more: object): Body {
  const labels = { app: 'wrong' };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'world:v1' }] } };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    spec: { selector: { matchLabels: labels }, template, replicas: 0, ...more },
  };
}

const rolling = (rollingUpdate: object, type = 'RollingUpdate') => deployment({ strategy: { type, rollingUpdate } });
const firstPath = 'spec.rules[0].http.paths[0]';
const firstRule = 'spec.rules[0]';
const update = 'spec.strategy.rollingUpdate';

/** What a server refuses with 422, and the field that it names. */
export const wrongs: readonly Wrong[] = [
  ['a TrafficSplit: a negative weight', split([100, -1]), 'spec.backends[1].weight'],
  ['a TrafficSplit: no weight', split([100, undefined]), 'spec.backends[1].weight'],
  ['a TrafficSplit: no service', { ...split(), spec: { backends: [] } }, 'spec.service'],
  [
    'a VirtualService: half a weight',
    virtualService({ route: [{ destination: { host: 'a' }, weight: 0.5 }] }),
    'spec.http[0].route[0].weight',
  ],
  [
    'a VirtualService: text as weight',
    virtualService({ route: [{ destination: { host: 'a' }, weight: '50' }] }),
    'spec.http[0].route[0].weight',
  ],
  [
    'a VirtualService: a route to nowhere',
    virtualService({ route: [{ weight: 1 }] }),
    'spec.http[0].route[0].destination',
  ],
  ['a VirtualService: a mirror to nowhere', virtualService({ mirror: {} }), 'spec.http[0].mirror.host'],
  [
    'a VirtualService: text as percentage',
    virtualService({ mirrorPercentage: { value: '5' } }),
    'spec.http[0].mirrorPercentage.value',
  ],
  [
    'a VirtualService: a header matched by a number',
    virtualService({ match: [{ headers: { a: { exact: 1 } } }] }),
    'spec.http[0].match[0].headers.a.exact',
  ],
  [
    'a VirtualService: a header matched in two ways',
    virtualService({ match: [{ headers: { a: { exact: 'a', regex: 'a' } } }] }),
    '<nil>',
  ],
  [
    'a DestinationRule: a number as label',
    destinationRule({ name: 'canary', labels: { a: 1 } }),
    'spec.subsets[0].labels.a',
  ],
  ['a DestinationRule: a subset without name', destinationRule({}), 'spec.subsets[0].name'],
  [
    'an HTTPRoute: percent and fraction of a mirror',
    httpRoute(mirror({ percent: 5, fraction: { numerator: 1 } })),
    `${firstRule}.filters[0].requestMirror`,
  ],
  [
    'an HTTPRoute: more than all of a mirror',
    httpRoute(mirror({ percent: 101 })),
    `${firstRule}.filters[0].requestMirror.percent`,
  ],
  [
    'an HTTPRoute: a filter without its settings',
    httpRoute({ filters: [{ type: 'RequestMirror' }] }),
    `${firstRule}.filters[0]`,
  ],
  ['an HTTPRoute: a relative path', httpRoute({ matches: [{ path: { value: 'x' } }] }), `${firstRule}.matches[0].path`],
  [
    'an HTTPRoute: a Kubernetes Service without port',
    httpRoute({ backendRefs: [{ name: 'world' }] }),
    `${firstRule}.backendRefs[0]`,
  ],
  ['an HTTPRoute: the same parent twice', httpRoute({}, [{ name: 'a' }, { name: 'a' }]), 'spec.parentRefs'],
  ['an Ingress: neither rule nor default', { ...ingress(), spec: { ingressClassName: 'nginx' } }, 'spec'],
  ['an Ingress: a relative path', ingress({ path: 'x' }), `${firstPath}.path`],
  ['an Ingress: an unknown kind of path', ingress({ pathType: 'Regex' }), `${firstPath}.pathType`],
  ['an Ingress: no kind of path', ingress({ pathType: undefined }), `${firstPath}.pathType`],
  ['an Ingress: no backend', ingress({ backend: {} }), `${firstPath}.backend`],
  ['an Ingress: a backend without port', ingress({ backend: { service: { name: 'a' } } }), `${firstPath}.backend`],
  [
    'an Ingress: a port by name and number',
    ingress({ backend: { service: { name: 'a', port: { name: 'http', number: 80 } } } }),
    `${firstPath}.backend`,
  ],
  ['an Ingress: a host with capitals', ingress({}, { host: 'World.example' }), 'spec.rules[0].host'],
  [
    'a HorizontalPodAutoscaler: more at least than at most',
    autoscaler({ minReplicas: 5, maxReplicas: 4 }),
    'spec.maxReplicas',
  ],
  ['a HorizontalPodAutoscaler: none at least', autoscaler({ minReplicas: 0, maxReplicas: 4 }), 'spec.minReplicas'],
  ['a HorizontalPodAutoscaler: no most', autoscaler({}), 'spec.maxReplicas'],
  [
    'a Deployment: neither surge nor unavailable',
    rolling({ maxSurge: 0, maxUnavailable: 0 }),
    `${update}.maxUnavailable`,
  ],
  ['a Deployment: a surge that is no percentage', rolling({ maxSurge: 'many' }), `${update}.maxSurge`],
  ['a Deployment: more than all unavailable', rolling({ maxUnavailable: '101%' }), `${update}.maxUnavailable`],
  ['a Deployment: a rolling update when it is recreated', rolling({ maxSurge: 1 }, 'Recreate'), update],
  [
    'a Deployment: a deadline before Ready counts',
    deployment({ minReadySeconds: 600 }),
    'spec.progressDeadlineSeconds',
  ],
];
