/**
 * The gateway: an HTTP server that sends each request where the HTTPRoutes say. It serves a change a moment after it was
 * written, as a real proxy does; 404 where no rule matches, 500 for the share of a missing Kubernetes Service, 503 for one
 * without ready endpoints. Of the filters it knows RequestMirror.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { kinds } from '../api-server/kinds.ts';
import type { BackendRef, HttpRoute, RouteRule } from '../api-server/objects.ts';
import type { Store } from '../api-server/store.ts';
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
    for (const mirror of mirrorsOf(chosen.rule)) void send(mirror, chosen.route, path);
    const backend = pickByWeight(chosen.rule.backendRefs ?? []);
    if (!backend) return refusal(500, 'no backend has a weight');
    const began = performance.now();
    const answer = await send(backend, chosen.route, path);
    const service = serviceLabel(chosen, backend);
    registry.count('traefik_service_requests_total', {
      service,
      code: String(answer.status),
      method: 'GET',
      protocol: 'http',
    });
    const seconds = (performance.now() - began) / 1000;
    registry.observe(
      'traefik_service_request_duration_seconds',
      { service, code: String(answer.status) },
      seconds,
      DURATION_S,
    );
    return answer;
  }

  async function send(backend: BackendRef, { metadata }: HttpRoute, path: string): Promise<Answer> {
    const endpoints = table.endpoints.get(`${backend.namespace ?? metadata.namespace}/${backend.name}/${backend.port}`);
    if (!endpoints) return refusal(500, `no Kubernetes Service ${backend.name} with port ${backend.port}`);
    const endpoint = endpoints[Math.floor(Math.random() * endpoints.length)];
    if (!endpoint) return refusal(503, `${backend.name} has no ready endpoints`);
    return (await containers.ask(endpoint.address, endpoint.port, path)) ?? refusal(502, 'connection refused');
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
      spec.parentRefs?.some(
        ({ kind, namespace, name }) =>
          kind === 'Gateway' && store.get(kinds.gateways, namespace ?? metadata.namespace, name),
      ),
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

function pickByWeight(backends: NonNullable<RouteRule['backendRefs']>): BackendRef | undefined {
  const total = backends.reduce((sum, { weight }) => sum + weight, 0);
  let left = Math.random() * total;
  return backends.find(({ weight }) => {
    left -= weight;
    return left < 0;
  });
}

function mirrorsOf({ filters = [] }: RouteRule): readonly BackendRef[] {
  return filters.flatMap(({ requestMirror }) => {
    if (!requestMirror) return [];
    const { backendRef, percent, fraction } = requestMirror;
    const share = fraction ? fraction.numerator / fraction.denominator : (percent ?? 100) / 100;
    return Math.random() < share ? [backendRef] : [];
  });
}

/** As Traefik names a backend of a route; rule, hash and last number vary there, so nobody may rely on them. */
function serviceLabel({ route, index }: Chosen, backend: BackendRef): string {
  const { namespace, name, uid } = route.metadata;
  const gateway = route.spec.parentRefs?.[0];
  const from = `httproute-${namespace}-${name}-gw-${gateway?.namespace ?? namespace}-${gateway?.name}-ep-web-${index}`;
  const to = `svc-${backend.namespace ?? namespace}-${backend.name}-${backend.port}`;
  return `${from}-${uid.slice(0, 8)}-${to}@kubernetesgateway`;
}

function refusal(status: number, why: string): Answer {
  return { status, headers: { 'content-type': 'text/plain' }, body: `${why}\n` };
}
