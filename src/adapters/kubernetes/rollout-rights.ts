/** What a rollout does in the namespaces of its target, as a Role has to allow it (manifests/namespace/role.yaml). */
import type { Target } from '../../core/plan.ts';
import type { Cluster } from './cluster.ts';
import {
  Autoscalers,
  Deployments,
  DisruptionBudgets,
  EndpointSlices,
  HTTPRoutes,
  NetworkPolicies,
  Pods,
  ReferenceGrants,
  Services,
} from './objects.ts';
import type { Need } from './rights.ts';
import { routesOf } from './serving.ts';

const WORKLOAD: readonly Need[] = [
  { kind: Deployments, verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'] },
  { kind: Services, verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'] },
  { kind: EndpointSlices, verbs: ['list', 'watch'] },
  { kind: Pods, verbs: ['list', 'watch'] },
  { kind: Autoscalers, verbs: ['list'] },
  { kind: NetworkPolicies, verbs: ['list'] },
  { kind: DisruptionBudgets, verbs: ['list'] },
];
const ROUTES: readonly Need[] = [{ kind: HTTPRoutes, verbs: ['get', 'list', 'watch', 'patch'] }];
/** A route in another namespace needs a grant where the service is. */
const GRANTS: readonly Need[] = [{ kind: ReferenceGrants, verbs: ['list'] }];

/**
 * What is missing, as sentences. Workload and router both read what the other one writes, so both ask for all of it, and
 * neither stumbles over what the other would have said.
 */
export async function missingRolloutRights(cluster: Cluster, target: Target): Promise<readonly string[]> {
  const namespaces = [...new Set(routesOf(target).map(({ namespace }) => namespace))];
  const isAbroad = namespaces.some((namespace) => namespace !== target.namespace);
  const asked = [
    cluster.missingRights(target.namespace, [...WORKLOAD, ...(isAbroad ? GRANTS : [])]),
    ...namespaces.map((namespace) => cluster.missingRights(namespace, ROUTES)),
  ];
  return [...new Set((await Promise.all(asked)).flat())];
}
