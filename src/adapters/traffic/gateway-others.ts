/** HTTPRoutes beside those of a rollout: what they send past its weights, and what they take from it. */
import type { Target } from '../../core/plan.ts';
import { routePlaces } from '../../core/traffic.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { HTTP_ROUTE_VERSIONS, type HTTPRoute, HTTPRoutes } from '../kubernetes/gateway-objects.ts';
import { nameOf } from '../kubernetes/kinds.ts';
import { routesOf } from '../kubernetes/routed-services.ts';
import { servedKind } from '../kubernetes/served.ts';
import { isSameMatch } from './gateway-previews.ts';
import { journalOf, matchesOf, refersTo, rulesOf } from './gateway-rules.ts';
import { sharesParent } from './gateway-status.ts';

type IsServing = (ref: { readonly name: string; readonly namespace?: string | undefined }, home: string) => boolean;

/**
 * Warnings. Looked at are the namespaces of the rollout's own routes, whose watched copies are there; `service`: the Kubernetes
 * Service that carries its traffic.
 */
export async function lookAtOthers(
  cluster: Cluster,
  target: Target,
  routes: readonly HTTPRoute[],
  service: string,
): Promise<readonly string[]> {
  const kind = await servedKind(cluster, HTTPRoutes, HTTP_ROUTE_VERSIONS);
  const views = routePlaces(target).map((namespace) => cluster.view(kind, namespace).all());
  const own = routesOf(target).map((ref) => nameOf(kind, ref));
  const others = (await Promise.all(views)).flat().filter(({ metadata }) => !own.includes(nameOf(kind, metadata)));
  const isServing: IsServing = (ref, home) => refersTo(ref, service, target.namespace, home);
  return [...past(target, others, service, isServing), ...overtakers(routes, others, isServing)];
}

function past(target: Target, others: readonly HTTPRoute[], service: string, isServing: IsServing): readonly string[] {
  const names = others
    .filter((other) =>
      rulesOf(other)
        .flatMap(({ backendRefs = [] }) => backendRefs)
        .some((ref) => ref.weight !== 0 && isServing(ref, other.metadata.namespace)),
    )
    .map(({ metadata }) => nameOf(HTTPRoutes, metadata));
  if (names.length === 0) return [];
  const effect = target.versioned
    ? `nobody answers those requests after the promotion, when ${service} has no pods any more`
    : 'those requests meet the new version at the promotion, without a canary';
  return [
    `${names.join(', ')} ${names.length > 1 ? 'send' : 'sends'} to ${service} too, past this rollout: ${effect}. In traffic.routes the weights are for them too.`,
  ];
}

/**
 * Of rules of two routes that match as much as each other the older route's takes the requests, then the one whose namespace and
 * name come first: HTTPRouteRule.matches of https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule
 */
export function overtakers(
  routes: readonly HTTPRoute[],
  others: readonly HTTPRoute[],
  isServing: IsServing,
): readonly string[] {
  return routes.flatMap((route) => {
    const routed = journalOf(rulesOf(route), (ref) => isServing(ref, route.metadata.namespace)).flatMap(matchesOf);
    return others.flatMap((other) => {
      if (!isOlder(other, route) || !sharesParent(other, route) || !sharesHost(other, route)) return [];
      const taken = rulesOf(other)
        .flatMap(matchesOf)
        .find((match) => routed.some((one) => isSameMatch(one, match)));
      if (!taken) return [];
      const which = taken.path?.value ?? '/';
      return [
        `${nameOf(HTTPRoutes, other.metadata)} is older and matches the same requests (${which}) of the same parent. Where both share a listener it takes them before ${nameOf(HTTPRoutes, route.metadata)}, and no weight would be theirs: take the match out of one of the two.`,
      ];
    });
  });
}

function isOlder({ metadata: one }: HTTPRoute, { metadata: other }: HTTPRoute): boolean {
  const [born, birth] = [one.creationTimestamp ?? '', other.creationTimestamp ?? ''];
  if (born !== birth) return born < birth;
  return `${one.namespace}/${one.name}` < `${other.namespace}/${other.name}`;
}

/** Of two hosts that are not written alike the longer one goes first, however old its route is. */
function sharesHost({ spec: { hostnames: ones = [] } }: HTTPRoute, { spec: { hostnames = [] } }: HTTPRoute): boolean {
  return ones.length === 0 ? hostnames.length === 0 : ones.some((one) => hostnames.includes(one));
}
