/** What DestinationRules give to a service's host and its two sides would be without while a rollout runs. */
import type { Target } from '../../core/plan.ts';
import { type Sides, sidesOf } from '../../core/sides.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { nameOf } from '../kubernetes/kinds.ts';
import { DestinationRules, ISTIO_VERSIONS } from '../kubernetes/route-objects.ts';
import { servedKind } from '../kubernetes/served.ts';
import { isHost } from './istio-rules.ts';

/** TLS settings of its own are refused, since requests would fail without them; anything else is warned about. */
export async function lookAtPolicies(
  cluster: Cluster,
  target: Target,
  service: string,
): Promise<{ readonly refusals: readonly string[]; readonly warnings: readonly string[] }> {
  const { namespace } = target;
  const rules = await cluster.list(await servedKind(cluster, DestinationRules, ISTIO_VERSIONS), namespace);
  const isOf = (name: string) => (rule: (typeof rules)[number]) =>
    isHost({ host: rule.spec.host }, name, namespace, rule.metadata.namespace);
  const sides: Sides = sidesOf(target);
  const bare = [sides.stable, sides.canary].filter((side) => !rules.some(isOf(side)));
  const policies = bare.length > 0 ? rules.filter(isOf(service)).filter(({ spec }) => spec.trafficPolicy) : [];
  const sentence = (rule: (typeof rules)[number], effect: string) =>
    `${nameOf(DestinationRules, rule.metadata)} holds for ${service} and not for ${bare.join(' and ')}, which carry the traffic of a rollout: ${effect}`;
  const needed = policies.filter(({ spec }) => spec.trafficPolicy?.tls !== undefined);
  return {
    refusals: needed.map((rule) =>
      sentence(rule, 'without its TLS settings requests fail. Give them DestinationRules too.'),
    ),
    warnings: policies
      .filter((rule) => !needed.includes(rule))
      .map((rule) =>
        sentence(rule, 'its policy is missing meanwhile. Give them DestinationRules too if that matters.'),
      ),
  };
}
