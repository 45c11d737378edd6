/** Which Kubernetes Services the route objects of a target send to, by router. */
import { isDeepStrictEqual } from 'node:util';
import type { Target } from '../../core/plan.ts';
import type { Cluster } from './cluster.ts';
import { HTTP_ROUTE_VERSIONS, type HTTPRoute, HTTPRoutes, journalSchema, type Rule } from './gateway-objects.ts';
import { nameOf, type Ref, refOf } from './kinds.ts';
import { isOurs, readMarks } from './marks.ts';
import { Services } from './objects.ts';
import {
  Ingresses,
  ISTIO_VERSIONS,
  type IstioRoute,
  istioJournal,
  SPLIT_VERSIONS,
  TrafficSplits,
  VirtualServices,
} from './route-objects.ts';
import { servedKind } from './served.ts';

/** What a route object sent to before a rollout claimed it, and sends to now in the same rules: names of Kubernetes Services. */
export type HeldRoute = {
  readonly rollout: string;
  readonly before: readonly string[];
  readonly now: readonly string[];
};

export type NamedServices = {
  /** The route objects, for sentences. */
  readonly where: string;
  /** Names of Kubernetes Services in the target's namespace. */
  readonly services: ReadonlySet<string>;
  /** Of the objects that a rollout holds, or has let go of; left out: it is not told. */
  readonly held?: readonly HeldRoute[];
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
      const http = found?.spec.http ?? [];
      const namesIn = (routes: readonly Pick<IstioRoute, 'route'>[]) =>
        routes
          .flatMap(({ route = [] }) => route)
          .map(({ destination }) => destination.host.split('.'))
          .filter(([, where = ref.namespace]) => where === namespace)
          .map(([name = '']) => name);
      const meant = [...http, ...journal].filter(
        ({ name = '' }) => traffic.http.length === 0 || traffic.http.includes(name),
      );
      const isJournalled = ({ name, match }: IstioRoute) =>
        journal.some((one) => one.name === name && isDeepStrictEqual(one.match, match));
      const rollout = found && readMarks(found)?.rollout;
      const absent = `${nameOf(kind, ref)} does not exist: name an existing one in traffic.virtualService of service ${service}.`;
      const delegates = http.flatMap(({ delegate }) => delegate?.name ?? []);
      const remedy = `it delegates to ${delegates.join(', ')}. Name that one in traffic.virtualService of service ${service}.`;
      return {
        where: nameOf(kind, ref),
        services: new Set(namesIn(meant)),
        held: rollout ? [{ rollout, before: namesIn(journal), now: namesIn(http.filter(isJournalled)) }] : [],
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
  const found = routes.filter((route) => route !== null);
  const missing = refs.find((_, index) => routes[index] === null);
  return {
    where: `HTTPRoute ${refs.map(({ namespace, name }) => `${namespace}/${name}`).join(', ')}`,
    services: new Set(
      found.flatMap((route) => backendNames(route, [...rulesOf(route), ...readJournal(route)], target)),
    ),
    held: found.flatMap((route) => {
      const rollout = readMarks(route)?.rollout;
      const journal = readJournal(route);
      const isJournalled = ({ matches }: Rule) => journal.some((one) => isDeepStrictEqual(one.matches, matches));
      const now = backendNames(route, rulesOf(route).filter(isJournalled), target);
      return rollout ? [{ rollout, before: backendNames(route, journal, target), now }] : [];
    }),
    absent: missing ? routeMissing(missing, target) : null,
  };
}

const rulesOf = ({ spec }: HTTPRoute) => spec.rules ?? [];

/** Names of the Kubernetes Services in the target's namespace that rules of a route send to. */
function backendNames(
  { metadata }: HTTPRoute,
  rules: readonly Pick<Rule, 'backendRefs'>[],
  { namespace }: Target,
): string[] {
  return rules
    .flatMap(({ backendRefs = [] }) => backendRefs)
    .filter((ref) => (ref.namespace ?? metadata.namespace) === namespace)
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
