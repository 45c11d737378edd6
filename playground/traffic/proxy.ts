/**
 * The way in from outside: an HTTP server that sends each request where the HTTPRoutes of a Gateway say, or else the Ingresses.
 * As measured on Traefik: 404 where no rule matches, 500 for the share of a missing Kubernetes Service or port, 503 for one
 * without ready endpoints, 500 for all where a mirror cannot be served; only answers of pods are counted. Of the filters of
 * HTTPRoutes it knows RequestMirror.
 */
import type { Store } from '../api-server/store.ts';
import { hasListener } from '../controllers/route-conditions.ts';
import type { Registry } from '../prometheus/registry.ts';
import type { Answer } from './behaviour.ts';
import type { Containers } from './containers.ts';
import { refusal, type Weighted } from './decision.ts';
import { type Listening, listen } from './http.ts';
import { followIngresses } from './ingress.ts';
import type { Chosen, HttpRequest } from './matching.ts';
import { followRoutes } from './routes.ts';
import { createSender } from './sender.ts';
import type { TableSource } from './table.ts';

export type ProxyOptions = {
  readonly store: Store;
  readonly table: TableSource;
  readonly containers: Containers;
  readonly registry: Registry;
  /** Of the annotations of Ingresses. */
  readonly annotationPrefix: string;
};

const DURATION_S = [0.1, 0.3, 1.2, 5];

export async function startProxy(options: ProxyOptions): Promise<Listening> {
  const { store, table: source, containers, registry, annotationPrefix } = options;
  const sendAsGateway = createSender(containers, { missing: 500, attempts: 1, mirrorsMatter: true });
  const sendAsIngress = createSender(containers, { missing: 503, attempts: 3, mirrorsMatter: false });

  return listen(async (incoming) => {
    const table = source.current();
    const request = { ...incoming, host: incoming.host.replace(/:\d+$/, '') };
    const began = performance.now();
    const attached = table.routes.filter(({ metadata, spec }) =>
      spec.parentRefs?.some((parent) => parent.kind === 'Gateway' && hasListener(store, parent, metadata.namespace)),
    );
    const routed = followRoutes(attached, request);
    if (routed) {
      const { answer, to } = await sendAsGateway(table, routed, request.path);
      if (to) count(gatewayLabel(routed.chosen, to), answer, began, request);
      return answer;
    }
    const decision = followIngresses(table, annotationPrefix, request);
    if (!decision) return refusal(404, 'no rule matches');
    const { answer, to } = await sendAsIngress(table, decision, request.path);
    if (to) count(`${to.namespace}-${to.name}-${to.port}@kubernetesingressnginx`, answer, began, request);
    return answer;
  });

  function count(service: string, { status }: Answer, began: number, { method }: HttpRequest): void {
    const labels = { service, code: String(status), method, protocol: 'http' };
    const seconds = (performance.now() - began) / 1000;
    registry.count('traefik_service_requests_total', labels);
    registry.observe('traefik_service_request_duration_seconds', labels, seconds, DURATION_S);
  }
}

/** As Traefik names a backend of a route; rule, hash and last number vary there, so nobody may rely on them. */
function gatewayLabel({ route, rule, index }: Chosen, backend: Weighted): string {
  const { namespace, name, uid } = route.metadata;
  const gateway = route.spec.parentRefs?.[0];
  const from = `httproute-${namespace}-${name}-gw-${gateway?.namespace ?? namespace}-${gateway?.name}-ep-web-${index}`;
  const place = rule.backendRefs?.findIndex((one) => one.name === backend.name) ?? 0;
  return `${from}-${uid.slice(0, 8)}-svc-${backend.namespace}-${backend.name}-${place}@kubernetesgateway`;
}
