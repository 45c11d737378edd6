/**
 * What a rollout does with each kind, as a Role has to allow it (manifests/namespace, manifests/routers), and what for. Of no
 * right is said in two ways what it is for: then a refused request can be told without knowing whose it was.
 */
import type { Target } from '../../core/plan.ts';
import { HTTPRoutes, ReferenceGrants } from './gateway-objects.ts';
import {
  Autoscalers,
  Deployments,
  DisruptionBudgets,
  EndpointSlices,
  NetworkPolicies,
  Pods,
  ReplicaSets,
  Services,
} from './objects.ts';
import type { Need } from './rights.ts';
import {
  BackendTLSPolicies,
  DestinationRules,
  Ingresses,
  ServiceProfiles,
  TrafficSplits,
  VirtualServices,
} from './route-objects.ts';

const SEEN = ['get', 'list', 'watch'] as const;
const EDITED = [...SEEN, 'patch'] as const;
const MADE = [...SEEN, 'create', 'patch'] as const;
const MOVE = 'move traffic';

const SERVICES: readonly Need[] = [
  { kind: Services, verbs: SEEN, to: 'see which pods get the traffic' },
  { kind: Services, verbs: ['patch'], to: 'hold or switch the Kubernetes Services that traffic goes through' },
];
const PODS: readonly Need[] = [
  { kind: Deployments, verbs: SEEN, to: 'see which version runs' },
  { kind: Deployments, verbs: ['patch'], to: 'scale, promote or take back a version' },
  ...SERVICES,
  { kind: EndpointSlices, verbs: ['list', 'watch'], to: 'wait until new pods answer before they get traffic' },
  { kind: Pods, verbs: ['list', 'watch'], to: "say in the pods' words why a version does not start" },
];
const BESIDE: readonly Need[] = [
  ...PODS,
  { kind: Deployments, verbs: ['create'], to: 'make the canary' },
  { kind: Deployments, verbs: ['delete'], to: 'take the canary away at the end' },
  { kind: Services, verbs: ['create'], to: 'make the Kubernetes Services that tell the canary from stable' },
  { kind: Services, verbs: ['delete'], to: "take the canary's Kubernetes Services away at the end" },
  { kind: Autoscalers, verbs: ['list'], to: 'see whether an autoscaler would take pods away' },
  { kind: NetworkPolicies, verbs: ['list'], to: 'warn of policies that leave the canary uncovered' },
  { kind: DisruptionBudgets, verbs: ['list'], to: 'warn of budgets that leave the canary uncovered' },
];
/** Nothing is made beside the Deployment. */
const IN_PLACE: readonly Need[] = [
  ...PODS,
  { kind: ReplicaSets, verbs: ['list', 'watch'], to: 'tell new pods from old ones' },
];
export const WORKLOADS = { twin: BESIDE, versioned: BESIDE, 'in-place': IN_PLACE } as const;

/** For a stable Deployment that has one. */
export const AUTOSCALED: readonly Need[] = [
  { kind: Autoscalers, verbs: ['get', 'patch'], to: 'raise minReplicas for the rollout and give it back' },
];
/** A route in another namespace needs a grant where the service is. */
export const GRANTS: readonly Need[] = [
  { kind: ReferenceGrants, verbs: ['list'], to: 'see whether a route of another namespace may send to the canary' },
];

/** By router: what it reads and writes. */
export const ROUTES: Readonly<Record<Target['traffic']['router'], readonly Need[]>> = {
  'gateway-api': [{ kind: HTTPRoutes, verbs: EDITED, to: MOVE }],
  namerd: [],
  smi: [{ kind: TrafficSplits, verbs: MADE, to: MOVE }],
  istio: [
    { kind: VirtualServices, verbs: EDITED, to: MOVE },
    { kind: DestinationRules, verbs: ['list'], to: 'see which settings the traffic needs' },
  ],
  'ingress-nginx': [{ kind: Ingresses, verbs: MADE, to: MOVE }],
  kubernetes: SERVICES,
};
/** The subset of the canary is written into it. */
export const SUBSETS: readonly Need[] = [
  { kind: DestinationRules, verbs: ['list'], to: 'see which settings the traffic needs' },
  { kind: DestinationRules, verbs: ['get', 'watch', 'patch'], to: 'give the canary a subset of its own' },
];
/** A rollout begins without it, and says that they are not looked at: few clusters have such policies at all. */
const TLS_POLICIES: readonly Need[] = [
  { kind: BackendTLSPolicies, verbs: ['list'], to: 'see which pods are asked by TLS' },
];
/** Without it nobody knows whether Linkerd has a split: as in meshes without ServiceProfiles. */
export const PROFILES: readonly Need[] = [
  { kind: ServiceProfiles, verbs: ['list', 'watch'], to: 'see whether Linkerd has the weights' },
];

/** All of them, for whatever target. */
export const NEEDS: readonly Need[] = [
  ...Object.values(WORKLOADS).flat(),
  ...Object.values(ROUTES).flat(),
  ...AUTOSCALED,
  ...GRANTS,
  ...SUBSETS,
  ...TLS_POLICIES,
  ...PROFILES,
];

/** What does not work without this right, as in `Need`; undefined: nothing that is known. */
export function purposeOf(verb: string, { group, plural }: Need['kind']): string | undefined {
  const isIt = ({ kind, verbs }: Need) =>
    kind.plural === plural && kind.group === group && verbs.some((one) => one === verb);
  return NEEDS.find(isIt)?.to;
}
