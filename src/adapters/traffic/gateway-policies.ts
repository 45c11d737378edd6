/**
 * What a BackendTLSPolicy gives to a Kubernetes Service, by its name, and its two sides would be without while a rollout runs:
 * the Gateway would ask pods without TLS that speak nothing else. https://gateway-api.sigs.k8s.io/api-types/backendtlspolicy/
 */
import type { Target } from '../../core/plan.ts';
import { sidesOf } from '../../core/sides.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { ApiFault } from '../kubernetes/errors.ts';
import { nameOf } from '../kubernetes/kinds.ts';
import { TLS_POLICIES } from '../kubernetes/needs.ts';
import { BackendTLSPolicies, TLS_POLICY_VERSIONS, type TlsPolicy } from '../kubernetes/route-objects.ts';

export async function policyRefusals(cluster: Cluster, target: Target, service: string): Promise<readonly string[]> {
  const { stable, canary } = sidesOf(target);
  const policies = await policiesIn(cluster, target.namespace);
  const bare = [stable, canary].filter((side) => !policies.some((one) => holdsFor(one, side)));
  if (bare.length === 0) return [];
  return policies
    .filter((one) => holdsFor(one, service))
    .map(
      ({ metadata }) =>
        `${nameOf(BackendTLSPolicies, metadata)} holds for ${service} and not for ${bare.join(' and ')}, which carry the traffic of a rollout: without its TLS settings requests fail. Add ${bare.join(' and ')} to its targetRefs.`,
    );
}

function holdsFor(
  { spec: { targetRef, targetRefs = targetRef ? [targetRef] : [] } }: TlsPolicy,
  name: string,
): boolean {
  return targetRefs.some((one) => one.kind === 'Service' && one.name === name);
}

/** Mostly one LIST where the bot may; none where not, since few clusters have such policies at all. */
async function policiesIn(cluster: Cluster, namespace: string) {
  const missing = await cluster.missingRights(namespace, TLS_POLICIES);
  const served = missing.length > 0 ? [] : await cluster.versions(BackendTLSPolicies.group);
  for (const version of TLS_POLICY_VERSIONS.filter((one) => served.includes(one))) {
    try {
      return await cluster.list({ ...BackendTLSPolicies, version }, namespace);
    } catch (error) {
      if (!(error instanceof ApiFault) || (error.status !== 404 && error.status !== 403)) throw error;
    }
  }
  return [];
}
