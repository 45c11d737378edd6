/** HTTPRoutes: those of a Gateway, and those whose parent is a Kubernetes Service (as a mesh takes them). */
import type { HttpRoute, RouteRule } from '../api-server/objects.ts';
import { answered, type Decision } from './decision.ts';
import { type Chosen, chooseRule, type HttpRequest } from './matching.ts';

/** The rule of these routes that takes the request, and what it says; null: none matches. */
export function followRoutes(
  routes: readonly HttpRoute[],
  request: HttpRequest,
): (Decision & { readonly chosen: Chosen }) | null {
  const chosen = chooseRule(routes, request);
  return chosen && { ...decisionOf(chosen), chosen };
}

function decisionOf({ route, rule }: Chosen): Decision {
  const { backendRefs = [] } = rule;
  const own = route.metadata.namespace ?? '';
  if (backendRefs.length === 0) return answered(500, 'no backends');
  const backends = backendRefs.map(({ namespace = own, name, port = 0, weight }) => ({
    namespace,
    name,
    port,
    weight,
    label: name,
  }));
  return { kind: 'shared', by: rule, backends, mirrors: mirrorsOf(rule, own) };
}

function mirrorsOf({ filters = [] }: RouteRule, own: string) {
  return filters.flatMap(({ requestMirror }) => {
    if (!requestMirror) return [];
    const { backendRef, percent = 100, fraction } = requestMirror;
    const { namespace = own, name, port = 0 } = backendRef;
    const share = fraction ? fraction.numerator / fraction.denominator : percent / 100;
    return [{ namespace, name, port, label: name, share }];
  });
}
