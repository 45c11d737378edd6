/**
 * What a BackendTLSPolicy gives to a Kubernetes Service, by its name, and its two sides would be without while a rollout runs:
 * the Gateway would ask pods without TLS that speak nothing else. https://gateway-api.sigs.k8s.io/api-types/backendtlspolicy/
 */
import type { Target } from '../../core/plan.ts';
import { sidesOf } from '../../core/sides.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { ApiFault } from '../kubernetes/errors.ts';
import { nameOf } from '../kubernetes/kinds.ts';
import { BackendTLSPolicies, TLS_POLICY_VERSIONS, type TlsPolicy } from '../kubernetes/route-objects.ts';
import type { Look } from './dialect.ts';

export async function lookAtTlsPolicies(
  cluster: Cluster,
  target: Target,
  service: string,
): Promise<Pick<Look, 'refusals' | 'warnings'>> {
  const { stable, canary } = sidesOf(target);
  const { policies, warnings } = await policiesIn(cluster, target.namespace);
  const bare = [stable, canary].filter((side) => !policies.some((one) => holdsFor(one, side)));
  const lost = bare.length > 0 ? policies.filter((one) => holdsFor(one, service)) : [];
  return {
    refusals: lost.map(
      ({ metadata }) =>
        `${nameOf(BackendTLSPolicies, metadata)} holds for ${service} and not for ${bare.join(' and ')}, which carry the traffic of a rollout: without its TLS settings requests fail. Add ${bare.join(' and ')} to its targetRefs.`,
    ),
    warnings,
  };
}

function holdsFor(
  { spec: { targetRef, targetRefs = targetRef ? [targetRef] : [] } }: TlsPolicy,
  name: string,
): boolean {
  return targetRefs.some((one) => one.kind === 'Service' && one.name === name);
}

/** Mostly one LIST. Where the bot may not, a warning that says so, unless there is nothing to look at. */
async function policiesIn(
  cluster: Cluster,
  namespace: string,
): Promise<{ readonly policies: readonly TlsPolicy[]; readonly warnings: readonly string[] }> {
  const served = await cluster.versions(BackendTLSPolicies.group);
  for (const version of TLS_POLICY_VERSIONS.filter((one) => served.includes(one))) {
    const kind = { ...BackendTLSPolicies, version };
    try {
      return { policies: await cluster.list(kind, namespace), warnings: [] };
    } catch (error) {
      if (!(error instanceof ApiFault) || (error.status !== 404 && error.status !== 403)) throw error;
      // Who may not look hears 403 also where there is no such kind.
      if (error.status === 403 && (await cluster.serves(kind))) return { policies: [], warnings: [error.message] };
    }
  }
  return { policies: [], warnings: [] };
}
