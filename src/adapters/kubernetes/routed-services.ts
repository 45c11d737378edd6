/** Which Kubernetes Services the route objects of a target send to, by router. */
import type { Target } from '../../core/plan.ts';
import type { Cluster } from './cluster.ts';
import { isOurs, readMarks } from './marks.ts';
import {
  HTTP_ROUTE_VERSIONS,
  type HTTPRoute,
  HTTPRoutes,
  journalSchema,
  nameOf,
  type Ref,
  refOf,
  Services,
} from './objects.ts';
import {
  Ingresses,
  ISTIO_VERSIONS,
  istioJournal,
  SPLIT_VERSIONS,
  TrafficSplits,
  VirtualServices,
} from './route-objects.ts';
import { servedKind } from './served.ts';

export type NamedServices = {
  /** The route objects, for sentences. */
  readonly where: string;
  /** Names of Kubernetes Services in the target's namespace. */
  readonly services: ReadonlySet<string>;
  /** Refusal for a route object that does not exist; null: all are there. */
  readonly absent: string | null;
  /** Where they name none of the service's: the remedy, or `any`, as they are made anew for whichever carries it. */
  readonly otherwise?: 'any' | string;
};

/** null: they name none, or are made for the rollout. */
export async function namedServices(cluster: Cluster, target: Target): Promise<NamedServices | null> {
  const { traffic, namespace, service } = target;
  switch (traffic.router) {
    case 'gateway-api':
      return namedByRoutes(cluster, target);
    case 'namerd':
      return null;
    case 'smi': {
      const ref = refOf(traffic.split);
      const kind = await servedKind(cluster, TrafficSplits, SPLIT_VERSIONS);
      const split = await cluster.view(kind, ref.namespace).get(ref.name);
      if (!split) return null;
      const [root = ''] = split.spec.service.split('.');
      const isIdle = isOurs(split) && readMarks(split)?.phase !== 'active';
      return {
        where: nameOf(kind, ref),
        services: new Set([root]),
        absent: null,
        otherwise: isIdle
          ? 'any'
          : `it splits Kubernetes Service ${root}. Delete the split (Sluice makes one), or name another in traffic.split of service ${service}.`,
      };
    }
    case 'istio': {
      const ref = refOf(traffic.virtualService);
      const kind = await servedKind(cluster, VirtualServices, ISTIO_VERSIONS);
      const found = await cluster.view(kind, ref.namespace).get(ref.name);
      const journal = found ? parse(istioJournal, readMarks(found)?.restore) : [];
      const hosts = [...(found?.spec.http ?? []), ...journal]
        .filter(({ name = '' }) => traffic.http.length === 0 || traffic.http.includes(name))
        .flatMap(({ route = [] }) => route)
        .map(({ destination }) => destination.host.split('.'));
      const here = hosts.filter(([, where = ref.namespace]) => where === namespace);
      const absent = `${nameOf(kind, ref)} does not exist: name an existing one in traffic.virtualService of service ${service}.`;
      const delegates = (found?.spec.http ?? []).flatMap(({ delegate }) => delegate?.name ?? []);
      const remedy = `it delegates to ${delegates.join(', ')}. Name that one in traffic.virtualService of service ${service}.`;
      return {
        where: nameOf(kind, ref),
        services: new Set(here.map(([name = '']) => name)),
        absent: found ? null : absent,
        ...(delegates.length > 0 && { otherwise: remedy }),
      };
    }
    case 'ingress-nginx': {
      const ref = refOf(traffic.ingress);
      const found = await cluster.view(Ingresses, ref.namespace).get(ref.name);
      const backends = (found?.spec.rules ?? [])
        .flatMap(({ http }) => http?.paths ?? [])
        .flatMap(({ backend }) => backend.service?.name ?? []);
      const absent = `${nameOf(Ingresses, ref)} does not exist: name an existing one in traffic.ingress of service ${service}.`;
      return { where: nameOf(Ingresses, ref), services: new Set(backends), absent: found ? null : absent };
    }
    case 'kubernetes': {
      const ref = refOf(traffic.service);
      const found = await cluster.view(Services, ref.namespace).get(ref.name);
      const absent = `${nameOf(Services, ref)} does not exist: name an existing one in traffic.service of service ${service}.`;
      return { where: nameOf(Services, ref), services: new Set([ref.name]), absent: found ? null : absent };
    }
    default:
      return traffic satisfies never;
  }
}

/** HTTPRoutes of a target; none where something else routes. */
export const routesOf = ({ traffic }: Target): readonly Ref[] =>
  traffic.router === 'gateway-api' ? traffic.routes.map(refOf) : [];

export const routeMissing = (ref: Ref, { service }: Target) =>
  `${nameOf(HTTPRoutes, ref)} does not exist: name an existing one in traffic.route of service ${service}.`;

async function namedByRoutes(cluster: Cluster, target: Target): Promise<NamedServices> {
  const refs = routesOf(target);
  const kind = await servedKind(cluster, HTTPRoutes, HTTP_ROUTE_VERSIONS);
  const routes = await Promise.all(refs.map((ref) => cluster.view(kind, ref.namespace).get(ref.name)));
  const missing = refs.find((_, index) => routes[index] === null);
  return {
    where: `HTTPRoute ${refs.map(({ namespace, name }) => `${namespace}/${name}`).join(', ')}`,
    services: new Set(routes.flatMap((route) => (route ? backendNames(route, target.namespace) : []))),
    absent: missing ? routeMissing(missing, target) : null,
  };
}

/** Names of the Kubernetes Services in `namespace` that a route sends to, or sent to before it was claimed. */
function backendNames(route: HTTPRoute, namespace: string): string[] {
  const rules = [...(route.spec.rules ?? []), ...readJournal(route)];
  return rules
    .flatMap(({ backendRefs = [] }) => backendRefs)
    .filter((ref) => (ref.namespace ?? route.metadata.namespace) === namespace)
    .map(({ name }) => name);
}

/** Owned fields of an HTTPRoute as they were before the claim; empty when it carries none that can be read. */
const readJournal = (route: HTTPRoute) => parseJournal(readMarks(route)?.restore ?? null);

export const parseJournal = (text: string | null) => parse(journalSchema, text);

function parse<T>(
  schema: { safeParse(value: unknown): { data?: readonly T[] | undefined } },
  text: string | null | undefined,
) {
  try {
    return schema.safeParse(JSON.parse(text ?? '[]')).data ?? [];
  } catch {
    return [];
  }
}
