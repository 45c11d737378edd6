/** What a rollout does in the namespaces of its target, as a Role has to allow it (manifests/namespace/role.yaml). */
import type { Target } from '../../core/plan.ts';
import { routePlaces, subsetRule } from '../../core/traffic.ts';
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
  ReplicaSets,
  refOf,
  Services,
} from './objects.ts';
import type { Need } from './rights.ts';
import { DestinationRules, Ingresses, TrafficSplits, VirtualServices } from './route-objects.ts';

const WORKLOAD: readonly Need[] = [
  { kind: Deployments, verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'] },
  { kind: Services, verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'] },
  { kind: EndpointSlices, verbs: ['list', 'watch'] },
  { kind: Pods, verbs: ['list', 'watch'] },
  { kind: Autoscalers, verbs: ['list'] },
  { kind: NetworkPolicies, verbs: ['list'] },
  { kind: DisruptionBudgets, verbs: ['list'] },
];
/** For a stable Deployment that has one. */
export const AUTOSCALED: readonly Need[] = [{ kind: Autoscalers, verbs: ['get', 'patch'] }];
/** Nothing is made beside the Deployment. */
const IN_PLACE: readonly Need[] = [
  { kind: Deployments, verbs: ['get', 'list', 'watch', 'patch'] },
  { kind: ReplicaSets, verbs: ['list', 'watch'] },
  { kind: Services, verbs: ['get', 'list', 'watch', 'patch'] },
  { kind: EndpointSlices, verbs: ['list', 'watch'] },
  { kind: Pods, verbs: ['list', 'watch'] },
];
const WORKLOADS = { twin: WORKLOAD, versioned: WORKLOAD, 'in-place': IN_PLACE } as const;
/** A route in another namespace needs a grant where the service is. */
const GRANTS: readonly Need[] = [{ kind: ReferenceGrants, verbs: ['list'] }];
const EDITED = ['get', 'list', 'watch', 'patch'] as const;
const MADE = ['get', 'list', 'watch', 'create', 'patch'] as const;

/** By router: what it reads and writes. */
const ROUTES: Readonly<Record<Target['traffic']['router'], readonly Need[]>> = {
  'gateway-api': [{ kind: HTTPRoutes, verbs: EDITED }],
  namerd: [],
  smi: [{ kind: TrafficSplits, verbs: MADE }],
  istio: [
    { kind: VirtualServices, verbs: EDITED },
    { kind: DestinationRules, verbs: ['list'] },
  ],
  'ingress-nginx': [{ kind: Ingresses, verbs: MADE }],
  kubernetes: [{ kind: Services, verbs: EDITED }],
};

/** The subset of the canary is written into it. */
const SUBSETS: readonly Need[] = [{ kind: DestinationRules, verbs: EDITED }];

/**
 * What is missing, as sentences. Workload and router both read what the other one writes, so both ask for all of it, and
 * neither stumbles over what the other would have said.
 */
export async function missingRolloutRights(cluster: Cluster, target: Target): Promise<readonly string[]> {
  const routes = ROUTES[target.traffic.router];
  const namespaces = routes.length > 0 ? routePlaces(target) : [];
  const isAbroad = target.traffic.router === 'gateway-api' && namespaces.some((one) => one !== target.namespace);
  const rule = subsetRule(target);
  const asked = [
    cluster.missingRights(target.namespace, [...WORKLOADS[target.workload], ...(isAbroad ? GRANTS : [])]),
    ...namespaces.map((namespace) => cluster.missingRights(namespace, routes)),
    ...(rule === null ? [] : [cluster.missingRights(refOf(rule).namespace, SUBSETS)]),
  ];
  return [...new Set((await Promise.all(asked)).flat())];
}
