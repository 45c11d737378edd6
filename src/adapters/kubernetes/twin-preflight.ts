/** Looks at everything that a canary rollout is going to touch, before it touches anything. */
import type { Preflight } from '../../app/ports/cluster.ts';
import type { WorkloadFacts } from '../../app/ports/workload.ts';
import type { Target } from '../../core/plan.ts';
import { type Autoscaling, chooseAutoscaler } from './autoscaler.ts';
import { leastOf, raisedFor } from './autoscaler-writes.ts';
import type { Cluster } from './cluster.ts';
import { type Held, type Kind, nameOf } from './kinds.ts';
import { highestEpoch, isOurs } from './marks.ts';
import { AUTOSCALED } from './needs.ts';
import { Autoscalers, type Deployment, Deployments, type Service, Services } from './objects.ts';
import { revertWarnings } from './owners.ts';
import { missingRolloutRights } from './rollout-rights.ts';
import { deploymentOf, findServing, selectsPods } from './serving.ts';
import {
  chooseContainer,
  containerRefusal,
  coverWarnings,
  heldRefusals,
  keptWarnings,
  lookAround,
  ownerRefusals,
  restRefusals,
  servingFacts,
} from './serving-preflight.ts';
import {
  type CanaryLabel,
  canaryLabel,
  canaryLabels,
  canaryName,
  noLabel,
  ownersAnnotations,
  sharedService,
  stableName,
} from './twin-canary.ts';
import { notMade, RESTORE_LIMIT } from './twin-writes.ts';

/** Names and label values in Kubernetes. */
const LONGEST = 63;
const SERVICE_NAME = /^[a-z][a-z0-9-]*[a-z0-9]$/;

export async function lookAtWorkload(
  cluster: Cluster,
  autoscaling: Pick<Autoscaling, 'list'>,
  target: Target,
  imagePattern: string,
): Promise<Preflight<WorkloadFacts>> {
  const { namespace } = target;
  const missing = await missingRolloutRights(cluster, target);
  if (missing.length > 0) return { ok: false, refusals: missing };
  const serving = await findServing(cluster, target);
  if (!serving.ok) return { ok: false, refusals: [serving.refusal] };
  const { deployment, service } = serving;
  const [around, autoscalers] = await Promise.all([lookAround(cluster, namespace), autoscaling.list(namespace)]);
  const { deployments, services } = around;
  const container = chooseContainer(deployment, target);
  const shared = sharedService(target, service);
  const label = canaryLabel(deployment, shared);
  const made = [
    ...named(Deployments, deployments, canaryName(target)),
    ...named(Services, services, canaryName(target), stableName(target)),
  ];
  const scaling = chooseAutoscaler(target, autoscalers);
  const autoscaler = scaling.ok ? scaling.autoscaler : null;
  const refusals = [
    ...ownerRefusals(target, deployment, service),
    ...(container === null ? [containerRefusal(deployment, target)] : []),
    ...shapeRefusals(target, deployment),
    ...(scaling.ok ? [] : [scaling.refusal]),
    ...(autoscaler ? await cluster.missingRights(namespace, AUTOSCALED) : []),
    ...(autoscaler ? heldRefusals(target, Autoscalers, autoscaler) : []),
    ...made.filter(({ object }) => !isOurs(object)).map(({ kind, object }) => notMade(nameOf(kind, object.metadata))),
    ...(label ? labelRefusals(target, deployment, label, services, shared) : [noLabel(target, shared)]),
  ];
  if (refusals.length > 0 || container === null) return { ok: false, refusals };
  return {
    ok: true,
    facts: {
      ...servingFacts(deployment, container, imagePattern),
      epoch: highestEpoch([deployment, ...(autoscaler ? [autoscaler] : []), ...made.map(({ object }) => object)]),
      ...(autoscaler &&
        raisedFor(autoscaler, deployment.spec.replicas) > leastOf(autoscaler) && {
          autoscaler: nameOf(Autoscalers, autoscaler.metadata),
        }),
    },
    warnings: [
      ...revertWarnings(Deployments, deployment),
      ...keptWarnings(deployment, container, imagePattern),
      ...(shared ? [] : annotationWarnings(target, service)),
      ...(label ? coverWarnings(deployment, label, around, 'the canary') : []),
    ],
  };
}

export function shapeRefusals(target: Target, deployment: Deployment): string[] {
  const subject = nameOf(Deployments, deploymentOf(target));
  const names = [canaryName(target), stableName(target)];
  const bad = names.filter((name) => name.length > LONGEST || !SERVICE_NAME.test(name));
  return [
    ...(bad.length > 0
      ? [
          `${subject}: ${bad.join(' and ')} cannot be a Kubernetes Service's name (lower case, letter first, ${LONGEST} characters at most).`,
        ]
      : []),
    ...restRefusals(target, deployment),
    ...(JSON.stringify(deployment.spec.template).length > RESTORE_LIMIT
      ? [`${subject}: its pod template takes more than ${RESTORE_LIMIT} characters, too many to note for the way back.`]
      : []),
  ];
}

function labelRefusals(
  target: Target,
  deployment: Deployment,
  label: CanaryLabel,
  services: readonly Service[],
  shared: Service | null,
): string[] {
  const subject = nameOf(Deployments, deploymentOf(target));
  if (label.canary.length > LONGEST)
    return [`${subject}: label ${label.key}=${label.canary} is longer than ${LONGEST} characters.`];
  const labels = canaryLabels(deployment.spec.template, label);
  return services
    .filter((service) => !isOurs(service) && selectsPods(service, labels))
    .filter(({ metadata }) => metadata.name !== shared?.metadata.name)
    .map(
      ({ metadata }) =>
        `Kubernetes Service ${metadata.namespace}/${metadata.name} would send to canary pods too: add ${label.key}: ${label.stable} to its selector.`,
    );
}

/** What stands for the Kubernetes Service while a rollout runs is made without them: it is there for a while only. */
function annotationWarnings(target: Target, service: Service): string[] {
  const sides = { stable: stableName(target), canary: canaryName(target) };
  const asked = {
    'gateway-api': [sides.stable, sides.canary],
    smi: [sides.stable, sides.canary],
    istio: [sides.stable, sides.canary],
    'ingress-nginx': [sides.canary],
    // Those who ask go by names and pods.
    namerd: [],
    kubernetes: [],
  }[target.traffic.router];
  // Who scrapes is no one who asks in its place.
  const keys = Object.keys(ownersAnnotations(service)).filter((key) => !key.startsWith('prometheus.io/'));
  if (asked.length === 0 || keys.length === 0) return [];
  return [
    `${nameOf(Services, service.metadata)} has annotations that ${asked.join(' and ')}, asked in its place while a rollout runs, are without: ${keys.join(', ')}. What a proxy, a mesh or a cloud reads there is missing meanwhile; the workload versioned copies them.`,
  ];
}

const named = <T extends Held>(kind: Kind<T>, objects: readonly T[], ...names: readonly string[]) =>
  objects.filter(({ metadata }) => names.includes(metadata.name)).map((object) => ({ kind, object }));
