/** Looks at what a rollout with the workload `versioned` is going to touch, before it touches anything. */
import type { Preflight } from '../../app/ports/cluster.ts';
import type { WorkloadFacts } from '../../app/ports/workload.ts';
import type { Target } from '../../core/plan.ts';
import { sidesOf } from '../../core/sides.ts';
import type { Cluster } from './cluster.ts';
import { nameOf } from './kinds.ts';
import { highestEpoch, isOurs } from './marks.ts';
import { Autoscalers, type Deployment, Deployments, type Service, Services } from './objects.ts';
import { revertWarnings } from './owners.ts';
import { missingRolloutRights } from './rollout-rights.ts';
import { findServing, selectsPods } from './serving.ts';
import {
  chooseContainer,
  containerRefusal,
  coverWarnings,
  keptWarnings,
  lookAround,
  ownerRefusals,
  servingFacts,
} from './serving-preflight.ts';
import { type CanaryLabel, canaryLabels } from './twin-canary.ts';
import { shapeRefusals } from './twin-preflight.ts';
import { leadsTo, noVersionLabel, versionLabel } from './versioned-canary.ts';
import { isFree, versionsIn } from './versioned-names.ts';
import { inTheWay } from './versioned-writes.ts';

export async function lookAtVersions(
  cluster: Cluster,
  target: Target,
  imagePattern: string,
): Promise<Preflight<WorkloadFacts>> {
  const { namespace } = target;
  const refuse = (...refusals: readonly string[]) => ({ ok: false, refusals }) as const;
  const missing = await missingRolloutRights(cluster, target);
  if (missing.length > 0) return refuse(...missing);
  const serving = await findServing(cluster, target);
  if (!serving.ok) return refuse(serving.refusal);
  const { deployment, service } = serving;
  const { canary: name } = sidesOf(target);
  const [around, autoscalers] = await Promise.all([
    lookAround(cluster, namespace),
    cluster.list(Autoscalers, namespace),
  ]);
  const { deployments, services } = around;
  const existing = deployments.find(({ metadata }) => metadata.name === name) ?? null;
  const beside = services.find(({ metadata }) => metadata.name === name) ?? null;
  const container = chooseContainer(deployment, target);
  const label = versionLabel(deployment, target, existing);
  const refusals = [
    ...ownerRefusals(target, deployment, service),
    ...(container === null ? [containerRefusal(deployment, target)] : []),
    ...shapeRefusals(target, deployment),
    ...autoscalers
      .filter(({ spec: { scaleTargetRef: to } }) => to.kind === 'Deployment')
      .filter(({ spec: { scaleTargetRef: to } }) => to.name === target.deployment || to.name === name)
      .map(
        (one) =>
          `${nameOf(Autoscalers, one.metadata)} scales Deployment ${one.spec.scaleTargetRef.name}, and with the workload versioned its successor has another name: delete it for the rollout, or use workload twin.`,
      ),
    ...(existing && !isFree(existing, target) ? [inTheWay(nameOf(Deployments, existing.metadata))] : []),
    ...(label ? strangeServices(label, { deployment, service, existing, beside }) : [noVersionLabel(target, existing)]),
  ];
  if (refusals.length > 0 || container === null) return refuse(...refusals);
  return {
    ok: true,
    facts: {
      ...servingFacts(deployment, container, imagePattern),
      epoch: highestEpoch([...versionsIn(deployments, target), ...versionsIn(services, target)]),
    },
    warnings: [
      ...revertWarnings(Deployments, deployment),
      ...keptWarnings(deployment, container, imagePattern),
      ...(label ? coverWarnings(deployment, label, around, 'the new version') : []),
      ...(label ? allVersions(services, deployment, label, [service, beside]) : []),
    ],
  };
}

/** Why the Kubernetes Services of the two versions would not lead to one of them each. */
function strangeServices(
  label: CanaryLabel,
  found: { deployment: Deployment; service: Service; existing: Deployment | null; beside: Service | null },
): string[] {
  const { deployment, service, existing, beside } = found;
  const stable = deployment.spec.template.metadata?.labels ?? {};
  const canary = existing?.spec.template.metadata?.labels ?? canaryLabels(deployment.spec.template, label);
  const subject = (one: Service) => nameOf(Services, one.metadata);
  return [
    ...(selectsPods(service, canary)
      ? [`${subject(service)} would send to the new version too: add ${label.key}: ${label.stable} to its selector.`]
      : []),
    ...(beside && !isOurs(beside) && !leadsTo(beside, canary, stable)
      ? [
          `${subject(beside)} exists and does not lead to the pods of its version alone: let it select by ${label.key}: ${label.canary}, or delete it.`,
        ]
      : []),
  ];
}

/** Kubernetes Services before all versions, which are no part of the route: nothing shares their requests out by weight. */
function allVersions(
  services: readonly Service[],
  { spec }: Deployment,
  label: CanaryLabel,
  own: readonly (Service | null)[],
): string[] {
  const stable = spec.template.metadata?.labels ?? {};
  const canary = canaryLabels(spec.template, label);
  return services
    .filter((one) => !own.includes(one) && selectsPods(one, stable) && selectsPods(one, canary))
    .map(
      ({ metadata }) =>
        `${nameOf(Services, metadata)} selects the pods of all versions: what asks it without going through the routes meets the new one whatever its weight.`,
    );
}
