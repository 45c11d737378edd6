/**
 * The grammar of `sluice.yaml`. Strict: an unknown key is an error. Every message is a remedy ("write …"), since the person
 * who reads it is the one who can mend it. Durations become milliseconds.
 */
import { z } from 'zod';
import { FORBIDDEN_HOST, isForbiddenHost } from './address.ts';
import { type RawIssue, show, wanted } from './config-errors.ts';
import { duration, flag, integer, isRegex, list, object, text } from './schema-parts.ts';
import { Steps } from './step-schema.ts';

/** Presets of checks, and what their values are counted in. The queries are the metrics adapter's. */
export const PRESETS = {
  'linkerd/success-rate': '%',
  'linkerd/latency-p50': 'ms',
  'linkerd/latency-p95': 'ms',
  'linkerd/latency-p99': 'ms',
  'traefik/success-rate': '%',
  'traefik/latency-p50': 'ms',
  'traefik/latency-p95': 'ms',
  'traefik/latency-p99': 'ms',
} as const;
export type Preset = keyof typeof PRESETS;

export const isPreset = (query: string): query is Preset => Object.hasOwn(PRESETS, query);

/** What `{{…}}` in a check's own PromQL may name. */
export const VARIABLES = ['namespace', 'workload', 'service', 'pods', 'window'] as const;

const LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const label = (what: string, max: number) => {
  const error = wanted(`${what}: lower-case letters, digits and "-", at most ${max}`);
  return z.string({ error }).regex(LABEL, { error }).max(max, { error }).describe(what);
};

/** Names of services and strategies, and of the environment. */
const Name = label('a name', 40);

const ID = /^[UWS][A-Z0-9_]+$/;
const id = text('the id of a Slack person (U…, W…) or user group (S…)', ID);
const ids = z
  .union([id, list('ids', id)], { error: wanted('an id or a list of ids (U…, W…, S…)') })
  .transform((value) => (typeof value === 'string' ? [value] : value));
const someIds = ids.refine((value) => value.length > 0, { error: 'write at least one id: nobody may by default' });

const channel = text("a channel's name or id", /^#?[^\s#@<>&,]{1,80}$/).transform((name) => name.replace(/^#/, ''));

const shownName = (what: string) =>
  text(`${what}: letters, digits, spaces, at most 60`, /^[\p{L}\p{N}][\p{L}\p{N} ._%/()-]{0,59}$/u)
    // Names become keys of records.
    .refine((name) => !(name in {}), { error: 'write another name: this one is reserved' });

const limit = (what: string) => z.number({ error: wanted(what) });

const Check = object('a check: name, query, and min or max', {
  name: shownName('a name for the check'),
  query: text('a preset such as linkerd/success-rate, or PromQL', /\S/),
  min: limit('a number').optional(),
  max: z
    .union(
      [
        limit('a number').transform((value) => ({ value, unit: '' as const })),
        duration('a duration such as 500ms').transform((value) => ({ value, unit: 'ms' as const })),
      ],
      { error: wanted('a number, or a duration such as 500ms') },
    )
    .optional(),
  interval: duration('a duration such as 15s', 1000).prefault('15s'),
  window: duration('a duration such as 1m', 1000).prefault('1m'),
  fails: integer('a number of samples', 1, 100).prefault(2),
  minRequests: integer('a number of requests', 0, 1_000_000).prefault(20),
});

const Test = object('a test: name, get, port, status', {
  name: shownName('a name for the test'),
  get: text('a path such as /healthz', /^\/[^\s#]{0,500}$/),
  port: z
    .union([integer('a port', 1, 65_535), label('the name of a port', 63)], {
      error: wanted("a port: a number from 1 to 65535, or the name of the Kubernetes Service's"),
    })
    .optional(),
  status: integer('an HTTP status', 100, 599).prefault(200),
});

const Access = object('who may: deploy, approve, abort, approvals, fourEyes', {
  deploy: someIds,
  approve: someIds,
  abort: ids.prefault([]),
  approvals: integer('a number of approvals', 1, 10).prefault(1),
  fourEyes: flag().prefault(true),
});

const OBJECT = '[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?';
const objectName = (what: string) => text(what, new RegExp(`^${OBJECT}$`));
const namespaced = (what: string) => text(what, new RegExp(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/)?${OBJECT}$`));
const routeName = namespaced("an HTTPRoute's name, or namespace/name");

/** What `traffic` holds, by router. */
const ROUTERS = {
  'gateway-api': object('router, and route or routes', {
    router: z.literal('gateway-api'),
    route: routeName.optional(),
    routes: list('HTTPRoutes', routeName).min(1, { error: 'write at least one HTTPRoute' }).optional(),
  }).refine(({ route, routes }) => (route === undefined) !== (routes === undefined), {
    error: 'write either route (one HTTPRoute) or routes (several)',
  }),
  namerd: object('router, url, namespaces, path, names', {
    router: z.literal('namerd'),
    url: z
      .string({ error: wanted("the address of namerd's HTTP controller, such as http://namerd:4180") })
      .refine(isPlainUrl, { error: 'write an address such as http://namerd:4180, without user or query' })
      .refine((address) => !isForbiddenHost(address), { error: FORBIDDEN_HOST })
      .transform((address) => address.replace(/\/+$/, '')),
    namespaces: list('dtab namespaces', label('a dtab namespace', 63)).min(1, {
      error: 'write at least one dtab namespace',
    }),
    path: text("a dentry's prefix, such as /host/world", /^(?!\/sluice(\/|$))(\/([\w:.#$%-]+|\*))+$/),
    names: text(
      "the canary's name with {version} in it, such as /srv/world-{version}",
      /^(\/[\w:.#$%-]+)*\/[\w:.#$%-]*\{version\}[\w:.#$%-]*(\/[\w:.#$%-]+)*$/,
    ),
  }),
  smi: object('router and split', { router: z.literal('smi'), split: objectName("a TrafficSplit's name") }),
  istio: object('router, virtualService, http and destinationRule', {
    router: z.literal('istio'),
    virtualService: namespaced("a VirtualService's name, or namespace/name"),
    http: list('names of its http routes', text('the name of an http route', /^\S{1,253}$/)).prefault([]),
    destinationRule: namespaced("a DestinationRule's name, or namespace/name").optional(),
  }),
  'ingress-nginx': object('router, ingress and annotations', {
    router: z.literal('ingress-nginx'),
    ingress: objectName("an Ingress's name"),
    annotations: text(
      'a prefix of annotations such as nginx.ingress.kubernetes.io',
      /^[a-z0-9]([a-z0-9.-]{0,200}[a-z0-9])?$/,
    ).prefault('nginx.ingress.kubernetes.io'),
  }),
  kubernetes: object('router and service', {
    router: z.literal('kubernetes'),
    service: objectName("a Kubernetes Service's name"),
  }),
};

const Traffic = z.discriminatedUnion(
  'router',
  [ROUTERS['gateway-api'], ROUTERS.namerd, ROUTERS.smi, ROUTERS.istio, ROUTERS['ingress-nginx'], ROUTERS.kubernetes],
  {
    error: (issue: RawIssue) => {
      const { input } = issue;
      if (typeof input !== 'object' || input === null) return wanted('a router and its keys')(issue);
      const router = 'router' in input ? `unknown router ${show(input.router)}` : 'missing';
      return `${router}; known: ${Object.keys(ROUTERS).join(', ')}`;
    },
  },
);

const WORKLOADS = ['twin', 'versioned', 'in-place'] as const;

const ServiceEntry = object('a service: namespace, deployment, image, traffic, access …', {
  namespace: label('the namespace', 63),
  // The Kubernetes Services `<deployment>-canary` and `-stable` have names of at most 63 characters.
  deployment: label("the Deployment's name", 56),
  container: label("the container's name", 63).optional(),
  image: text('an image with {version} in it, such as team/world:{version}', /^[^\s{}]*\{version\}[^\s{}]*$/),
  versions: text('a regular expression', /\S/)
    .refine(isRegex, { error: 'write a regular expression: this one is not valid' })
    .prefault('^[A-Za-z0-9_][\\w.-]{0,127}$'),
  workload: z
    .enum(WORKLOADS, {
      error: ({ input }: RawIssue) => `unknown workload ${show(input)}; known: ${WORKLOADS.join(', ')}`,
    })
    .prefault('twin'),
  traffic: Traffic,
  channel: channel.optional(),
  strategies: list('strategies', Name).min(1, { error: 'write at least one strategy' }).optional(),
  checks: list('checks', Check).prefault([]),
  tests: list('tests', Test).prefault([]),
  access: Access,
  coolDown: duration('a duration such as 30s').prefault('30s'),
  readyTimeout: duration('a duration such as 5m', 1000).prefault('5m'),
  promoteTimeout: duration('a duration such as 10m', 1000).optional(),
});

export const ConfigFile = object('slack, services …', {
  env: Name.prefault('default'),
  slack: object('channel, onCall, fallbackChannel, tables, teams, perMinute', {
    channel,
    onCall: ids.prefault([]),
    fallbackChannel: channel.optional(),
    tables: flag().prefault(true),
    teams: list('workspaces', text('the id of a Slack workspace (T…)', /^T[A-Z0-9_-]+$/)).prefault([]),
    perMinute: integer('a number of requests', 1, 1_000_000).prefault(60),
  }),
  metrics: object('prometheus', {
    prometheus: z
      .string({ error: wanted("Prometheus' address") })
      .refine(isPlainUrl, { error: 'write an address such as http://prometheus:9090, without user or query' })
      .refine((address) => !isForbiddenHost(address), { error: FORBIDDEN_HOST })
      .optional(),
  }).prefault({}),
  services: z.record(Name, ServiceEntry, { error: wanted('services by name') }),
  strategies: z.record(Name, Steps, { error: wanted('strategies by name') }).prefault({}),
});

export type ConfigFile = z.output<typeof ConfigFile>;
export type ServiceEntry = z.output<typeof ServiceEntry>;
export type CheckEntry = z.output<typeof Check>;
export { ServiceEntry as ServiceSchema };

/** Never quoted when it is refused: it may hold a password. */
function isPlainUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.username + url.password + url.search + url.hash === '';
}
