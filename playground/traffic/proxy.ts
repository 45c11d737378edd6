/**
 * The gateway: an HTTP server that sends each request where the HTTPRoutes say. It serves a change a moment after it was
 * written, as a real proxy does. As measured on Traefik: 404 where no rule matches, 500 for the share of a missing Kubernetes
 * Service or port, 503 for one without ready endpoints, 500 for all where a mirror cannot be served; only answers of pods
 * are counted. Of the filters it knows RequestMirror.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { kinds } from '../api-server/kinds.ts';
import type { BackendRef, HttpRoute, RouteRule } from '../api-server/objects.ts';
import type { Store } from '../api-server/store.ts';
import { hasListener } from '../controllers/routes.ts';
import type { Registry } from '../prometheus/registry.ts';
import type { Answer } from './behaviour.ts';
import type { Containers } from './containers.ts';
import { type Chosen, chooseRule } from './matching.ts';

export type ProxyOptions = {
  readonly store: Store;
  readonly containers: Containers;
  readonly registry: Registry;
  /** From a change in the cluster to the first request that follows it. */
  readonly propagationMs: number;
};

export type Proxy = { readonly url: string; stop(): Promise<void> };

const DURATION_S = [0.1, 0.3, 1.2, 5];

export async function startProxy({ store, containers, registry, propagationMs }: ProxyOptions): Promise<Proxy> {
  const picker = createPicker();
  let table = readTable(store);
  let refresh: ReturnType<typeof setTimeout> | undefined;
  const unsubscribe = store.subscribe(() => {
    refresh ??= setTimeout(() => {
      refresh = undefined;
      table = readTable(store);
    }, propagationMs);
  });

  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://playground');
    const host = (request.headers.host ?? '').replace(/:\d+$/, '');
    const { method = 'GET', headers } = request;
    request.resume();
    const chosen = chooseRule(table.routes, { host, method, path: url.pathname, headers, query: url.searchParams });
    const answer = chosen ? await forward(chosen, url.pathname) : refusal(404, 'no rule matches');
    response.writeHead(answer.status, answer.headers).end(answer.body);
  }

  async function forward(chosen: Chosen, path: string): Promise<Answer> {
    const mirrors = mirrorsOf(chosen.rule).map(({ backendRef, share }) => ({
      share,
      to: find(backendRef, chosen.route),
    }));
    // Measured on Traefik: a mirror that cannot be served fails the whole rule.
    if (mirrors.some(({ to }) => to.kind === 'refused')) return refusal(500, 'a mirror has no ready endpoints');
    for (const { share, to } of mirrors) if (Math.random() < share) void ask(to, path);
    const backend = picker(chosen.rule.backendRefs ?? []);
    if (!backend)
      return (chosen.rule.backendRefs ?? []).length > 0 ? refusal(503, 'no weight') : refusal(500, 'no backends');
    const target = find(backend, chosen.route);
    const began = performance.now();
    const answer = await ask(target, path);
    if (target.kind === 'refused') return answer;
    const labels = {
      service: serviceLabel(chosen, backend),
      code: String(answer.status),
      method: 'GET',
      protocol: 'http',
    };
    registry.count('traefik_service_requests_total', labels);
    registry.observe(
      'traefik_service_request_duration_seconds',
      labels,
      (performance.now() - began) / 1000,
      DURATION_S,
    );
    return answer;
  }

  /** One of the ready endpoints, or what the gateway answers in their place. */
  function find(backend: BackendRef, { metadata }: HttpRoute): Target {
    const endpoints = table.endpoints.get(`${backend.namespace ?? metadata.namespace}/${backend.name}/${backend.port}`);
    const why = `${backend.name}, port ${backend.port}`;
    if (!endpoints) return { kind: 'refused', answer: refusal(500, `no Kubernetes Service ${why}`) };
    const endpoint = endpoints[Math.floor(Math.random() * endpoints.length)];
    if (!endpoint) return { kind: 'refused', answer: refusal(503, `no ready endpoints of ${why}`) };
    return { kind: 'pod', ...endpoint };
  }

  async function ask(target: Target, path: string): Promise<Answer> {
    if (target.kind === 'refused') return target.answer;
    return (await containers.ask(target.address, target.port, path)) ?? refusal(502, 'connection refused');
  }

  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
    async stop() {
      unsubscribe();
      clearTimeout(refresh);
      server.close();
      server.closeAllConnections();
    },
  };
}

type Target =
  | { readonly kind: 'pod'; readonly address: string; readonly port: number }
  | { readonly kind: 'refused'; readonly answer: Answer };

type Table = {
  readonly routes: readonly HttpRoute[];
  /** Ready endpoints by `namespace/service/port`. */
  readonly endpoints: ReadonlyMap<string, readonly { readonly address: string; readonly port: number }[]>;
};

/** Routes whose Gateway is there; the store's objects never change, so this is a picture of now. */
function readTable(store: Store): Table {
  const routes = store
    .list(kinds.httpRoutes)
    .filter(({ metadata, spec }) =>
      spec.parentRefs?.some((parent) => parent.kind === 'Gateway' && hasListener(store, parent, metadata.namespace)),
    );
  const slices = store.list(kinds.endpointSlices);
  const endpoints = store.list(kinds.services).flatMap(({ metadata, spec }) => {
    const own = slices.filter(
      (slice) =>
        slice.metadata.namespace === metadata.namespace &&
        slice.metadata.labels?.['kubernetes.io/service-name'] === metadata.name,
    );
    return (spec.ports ?? []).map(({ port, name = '' }) => {
      const found = own.flatMap((slice) => {
        const target = slice.ports?.find((one) => one.name === name)?.port;
        const ready = (slice.endpoints ?? []).filter(({ conditions }) => conditions.ready);
        return target === undefined
          ? []
          : ready.map(({ addresses }) => ({ address: addresses[0] ?? '', port: target }));
      });
      return [`${metadata.namespace}/${metadata.name}/${port}`, found] as const;
    });
  });
  return { routes, endpoints: new Map(endpoints) };
}

type Backends = NonNullable<RouteRule['backendRefs']>;

/** Takes turns by weight, so that shares are met within a few requests; undefined where no backend has a weight. */
function createPicker(): (backends: Backends) => Backends[number] | undefined {
  const turns = new WeakMap<Backends, number[]>();
  return (backends) => {
    const total = backends.reduce((sum, { weight }) => sum + weight, 0);
    if (total === 0) return undefined;
    const credit = (turns.get(backends) ?? backends.map(() => 0)).map(
      (old, index) => old + (backends[index]?.weight ?? 0),
    );
    const next = credit.indexOf(Math.max(...credit));
    turns.set(backends, credit.with(next, (credit[next] ?? 0) - total));
    return backends[next];
  };
}

function mirrorsOf({
  filters = [],
}: RouteRule): readonly { readonly backendRef: BackendRef; readonly share: number }[] {
  return filters.flatMap(({ requestMirror }) => {
    if (!requestMirror) return [];
    const { backendRef, percent, fraction } = requestMirror;
    return [{ backendRef, share: fraction ? fraction.numerator / fraction.denominator : (percent ?? 100) / 100 }];
  });
}

/** As Traefik names a backend of a route; rule, hash and last number vary there, so nobody may rely on them. */
function serviceLabel({ route, rule, index }: Chosen, backend: Backends[number]): string {
  const { namespace, name, uid } = route.metadata;
  const gateway = route.spec.parentRefs?.[0];
  const from = `httproute-${namespace}-${name}-gw-${gateway?.namespace ?? namespace}-${gateway?.name}-ep-web-${index}`;
  const to = `svc-${backend.namespace ?? namespace}-${backend.name}-${rule.backendRefs?.indexOf(backend) ?? 0}`;
  return `${from}-${uid.slice(0, 8)}-${to}@kubernetesgateway`;
}

function refusal(status: number, why: string): Answer {
  return { status, headers: { 'content-type': 'text/plain' }, body: `${why}\n` };
}
