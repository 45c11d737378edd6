/** What DestinationRules give to a service's host and its two sides would be without while a rollout runs. */
import type { Target } from '../../core/plan.ts';
import { type Sides, sidesOf } from '../../core/sides.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { nameOf } from '../kubernetes/kinds.ts';
import { type DestinationRule, DestinationRules, ISTIO_VERSIONS } from '../kubernetes/route-objects.ts';
import { isHost } from './istio-rules.ts';
import { readable } from './readable.ts';

/**
 * TLS settings of its own are refused, since requests would fail without them; anything else is warned about. `home`: namespace
 * of the VirtualService, whose clients may have rules of their own.
 */
export async function lookAtPolicies(
  cluster: Cluster,
  target: Target,
  service: string,
  home: string,
): Promise<{ readonly refusals: readonly string[]; readonly warnings: readonly string[] }> {
  const { namespace } = target;
  const places = [...new Set([namespace, home])];
  const looked = await Promise.all(places.map((place) => readable(cluster, DestinationRules, ISTIO_VERSIONS, place)));
  const rules = looked.flatMap(({ found }) => found);
  const isOf = (name: string) => (rule: DestinationRule) =>
    isHost({ host: rule.spec.host }, name, namespace, rule.metadata.namespace);
  const sides: Sides = sidesOf(target);
  const sentences = (of: readonly DestinationRule[], effect: string) =>
    of.flatMap((rule) => {
      // Clients without a rule of their own namespace have that of the service's.
      const heard = rules.filter((one) => [rule.metadata.namespace, namespace].includes(one.metadata.namespace));
      const bare = [sides.stable, sides.canary].filter((side) => !heard.some(isOf(side)));
      return bare.length === 0
        ? []
        : [
            `${nameOf(DestinationRules, rule.metadata)} holds for ${service} and not for ${bare.join(' and ')}, which carry the traffic of a rollout: ${effect}`,
          ];
    });
  const policies = rules.filter(isOf(service)).filter(({ spec }) => spec.trafficPolicy);
  const needed = policies.filter(hasTls);
  return {
    refusals: sentences(needed, 'without its TLS settings requests fail. Give them DestinationRules too.'),
    warnings: [
      ...sentences(
        policies.filter((rule) => !needed.includes(rule)),
        'its policy is missing meanwhile. Give them DestinationRules too if that matters.',
      ),
      ...looked.flatMap(({ remedy }, index) =>
        remedy
          ? [
              `A DestinationRule in namespace ${places[index]} may hold for ${service} and not for its two sides; ${remedy}.`,
            ]
          : [],
      ),
    ],
  };
}

/** For the host, or for one port of it. Istio's own certificates are used between its proxies without any rule. */
function hasTls({ spec: { trafficPolicy } }: DestinationRule): boolean {
  const policies = trafficPolicy ? [trafficPolicy, ...(trafficPolicy.portLevelSettings ?? [])] : [];
  return policies.some(({ tls }) => tls !== undefined && tls.mode !== 'ISTIO_MUTUAL');
}
