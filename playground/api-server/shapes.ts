/** Shapes of the kinds whose defaults or validation Sluice meets. HTTPRoute is whole; most of the built-in kinds stays open. */
import type { Json } from './json.ts';
import type { Shape } from './shape.ts';

type Fields = Readonly<Record<string, Shape>>;
type ObjectShape = Extract<Shape, { readonly type: 'object' }>;

const anything: Shape = { type: 'any' };
const text: Shape = { type: 'string' };
const name: Shape = { type: 'string', minLength: 1 };
const count: Shape = { type: 'integer', min: 0 };
const port: Shape = { type: 'integer', min: 1, max: 65_535 };

const closed = (fields: Fields, required: readonly string[] = []): ObjectShape => ({
  type: 'object',
  fields,
  required,
});
const open = (fields: Fields, required: readonly string[] = []): ObjectShape => ({
  type: 'object',
  fields,
  required,
  open: true,
});
const list = (items: Shape, maxItems?: number): Shape => ({ type: 'array', items, ...(maxItems && { maxItems }) });
const or = (fallback: Json, shape: Shape): Shape => ({ ...shape, default: fallback });
const oneOf = (...known: string[]): Shape => ({ type: 'string', oneOf: known });

const backend: Fields = {
  group: or('', text),
  kind: or('Service', name),
  name,
  namespace: name,
  port,
};

const headerChange = closed({
  set: list(closed({ name, value: name }, ['name', 'value']), 16),
  add: list(closed({ name, value: name }, ['name', 'value']), 16),
  remove: list(text, 16),
});

const rewrite = closed(
  { type: oneOf('ReplaceFullPath', 'ReplacePrefixMatch'), replaceFullPath: text, replacePrefixMatch: text },
  ['type'],
);

const filters = list(
  closed(
    {
      type: oneOf(
        'RequestHeaderModifier',
        'ResponseHeaderModifier',
        'RequestMirror',
        'RequestRedirect',
        'URLRewrite',
        'ExtensionRef',
        'CORS',
      ),
      requestHeaderModifier: headerChange,
      responseHeaderModifier: headerChange,
      requestMirror: closed(
        {
          backendRef: closed(backend, ['name']),
          percent: { type: 'integer', min: 0, max: 100 },
          fraction: closed({ numerator: count, denominator: or(100, { type: 'integer', min: 1 }) }, ['numerator']),
        },
        ['backendRef'],
      ),
      requestRedirect: closed({
        scheme: oneOf('http', 'https'),
        hostname: name,
        path: rewrite,
        port,
        statusCode: or(302, { type: 'integer' }),
      }),
      urlRewrite: closed({ hostname: name, path: rewrite }),
      extensionRef: closed({ group: text, kind: name, name }, ['group', 'kind', 'name']),
      cors: anything,
    },
    ['type'],
  ),
  16,
);

const everything: Json = { type: 'PathPrefix', value: '/' };
const valueMatch = closed({ type: or('Exact', oneOf('Exact', 'RegularExpression')), name, value: name }, [
  'name',
  'value',
]);

const match = closed({
  path: or(
    everything,
    closed({ type: or('PathPrefix', oneOf('Exact', 'PathPrefix', 'RegularExpression')), value: or('/', text) }),
  ),
  headers: list(valueMatch, 16),
  queryParams: list(valueMatch, 16),
  method: oneOf('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'),
});

const rule = closed({
  name,
  matches: or([{ path: everything }], list(match, 64)),
  filters,
  backendRefs: list(
    closed({ ...backend, weight: or(1, { type: 'integer', min: 0, max: 1_000_000 }), filters }, ['name']),
    16,
  ),
  timeouts: closed({ request: text, backendRequest: text }),
});

const httpRoute = closed({
  parentRefs: list(
    closed(
      {
        group: or('gateway.networking.k8s.io', text),
        kind: or('Gateway', name),
        name,
        namespace: name,
        port,
        sectionName: name,
      },
      ['name'],
    ),
    32,
  ),
  hostnames: list(name, 16),
  rules: or([{ matches: [{ path: everything }] }], { type: 'array', items: rule, minItems: 1, maxItems: 16 }),
});

const container = open(
  {
    name,
    image: name,
    ports: list(open({ containerPort: port, protocol: or('TCP', text) }, ['containerPort'])),
    resources: or({}, open({})),
    terminationMessagePath: or('/dev/termination-log', text),
    terminationMessagePolicy: or('File', text),
    imagePullPolicy: or('IfNotPresent', text),
  },
  ['name', 'image'],
);

const podSpec = open(
  {
    containers: { type: 'array', items: container, minItems: 1 },
    restartPolicy: or('Always', text),
    terminationGracePeriodSeconds: or(30, count),
    dnsPolicy: or('ClusterFirst', text),
    securityContext: or({}, open({})),
    schedulerName: or('default-scheduler', text),
  },
  ['containers'],
);

const template = open({ metadata: or({}, open({ labels: open({}) })), spec: podSpec }, ['spec']);

const deployment = closed(
  {
    minReadySeconds: count,
    paused: { type: 'boolean' },
    replicas: or(1, count),
    selector: open({ matchLabels: open({}) }),
    template,
    strategy: or(
      { type: 'RollingUpdate' },
      open({ type: or('RollingUpdate', oneOf('RollingUpdate', 'Recreate')), rollingUpdate: open({}) }),
    ),
    revisionHistoryLimit: or(10, count),
    progressDeadlineSeconds: or(600, count),
  },
  ['selector', 'template'],
);

const service = open({
  type: or('ClusterIP', oneOf('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName')),
  sessionAffinity: or('None', text),
  ipFamilies: or(['IPv4'], list(text)),
  ipFamilyPolicy: or('SingleStack', text),
  internalTrafficPolicy: or('Cluster', text),
  ports: list(open({ protocol: or('TCP', text), port }, ['port'])),
});

const autoscaler = open(
  {
    scaleTargetRef: open({ kind: name, name }, ['kind', 'name']),
    minReplicas: or(1, { type: 'integer', min: 1 }),
    maxReplicas: { type: 'integer', min: 1 },
  },
  ['scaleTargetRef', 'maxReplicas'],
);

/** Shape of `spec` by resource; a resource that is not listed takes what it is given. */
export const specShapes: Readonly<Record<string, Shape>> = {
  httproutes: httpRoute,
  deployments: deployment,
  replicasets: open({ replicas: or(1, count), template }),
  pods: podSpec,
  services: service,
  horizontalpodautoscalers: autoscaler,
  networkpolicies: open({ policyTypes: or(['Ingress'], list(text)) }),
};
