/** Looks at everything that a canary rollout is going to touch, before it touches anything. */
import type { Preflight, WorkloadFacts } from '../../app/ports.ts';
import { versionOf } from '../../core/config.ts';
import type { Target } from '../../core/plan.ts';
import { baseOf } from '../../core/versions.ts';
import { type Autoscaling, chooseAutoscaler } from './autoscaler.ts';
import type { Cluster } from './cluster.ts';
import { heldMessage } from './fence.ts';
import { highestEpoch, isOurs, readMarks } from './marks.ts';
import {
  Autoscalers,
  type Deployment,
  Deployments,
  DisruptionBudgets,
  type Held,
  type Kind,
  NetworkPolicies,
  nameOf,
  type Selector,
  type Service,
  Services,
  selects,
} from './objects.ts';
import { otherOwner } from './owners.ts';
import { AUTOSCALED, missingRolloutRights } from './rollout-rights.ts';
import { deploymentOf, findServing, selectsPods } from './serving.ts';
import {
  type CanaryLabel,
  canaryLabel,
  canaryLabels,
  canaryName,
  noLabel,
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
  const [deployments, services, autoscalers, policies, budgets] = await Promise.all([
    cluster.view(Deployments, namespace).all(),
    cluster.view(Services, namespace).all(),
    autoscaling.list(namespace),
    cluster.list(NetworkPolicies, namespace),
    cluster.list(DisruptionBudgets, namespace),
  ]);
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
  const image = deployment.spec.template.spec.containers.find(({ name }) => name === container)?.image ?? '';
  return {
    ok: true,
    facts: {
      version: versionOf(imagePattern, image),
      container,
      template: deployment.spec.template,
      progressDeadlineMs: deployment.spec.progressDeadlineSeconds * 1000,
      epoch: highestEpoch([deployment, ...(autoscaler ? [autoscaler] : []), ...made.map(({ object }) => object)]),
    },
    warnings: [
      ...coverWarnings(
        deployment,
        label,
        NetworkPolicies,
        policies.map((one) => ({ ...one, selector: one.spec.podSelector })),
        'the canary runs without it',
      ),
      ...coverWarnings(
        deployment,
        label,
        DisruptionBudgets,
        budgets.map((one) => ({ ...one, selector: one.spec.selector })),
        'it does not protect the canary',
      ),
    ],
  };
}

/** The one that was named, else the only one, else the one named like the Deployment. */
export function chooseContainer(
  { spec }: { readonly spec: Pick<Deployment['spec'], 'template'> },
  target: Pick<Target, 'container' | 'deployment' | 'versioned'>,
): string | null {
  const { container } = target;
  const alike = baseOf(target);
  const names = spec.template.spec.containers.map(({ name }) => name);
  if (container !== '') return names.includes(container) ? container : null;
  const [only] = names;
  if (only !== undefined && names.length === 1) return only;
  return names.includes(alike) ? alike : null;
}

export function containerRefusal({ spec }: Deployment, target: Target): string {
  const names = spec.template.spec.containers.map(({ name }) => name).join(', ');
  const subject = nameOf(Deployments, deploymentOf(target));
  if (target.container !== '')
    return `${subject} has no container ${target.container} (it has ${names}): correct container in sluice.yaml.`;
  return `${subject} has several containers (${names}): name the one to roll out as container in sluice.yaml.`;
}

export function ownerRefusals(target: Target, deployment: Deployment, service: Service): string[] {
  const subjects = [
    { subject: nameOf(Deployments, deployment.metadata), owner: otherOwner(deployment) },
    { subject: nameOf(Services, service.metadata), owner: otherOwner(service) },
  ];
  return [
    ...subjects.flatMap(({ subject, owner }) =>
      owner ? [`${subject} is managed by ${owner}: take it off there before Sluice rolls it out.`] : [],
    ),
    ...heldRefusals(target, Deployments, deployment),
  ];
}

function heldRefusals({ service }: Target, kind: Kind, object: Held): string[] {
  const marks = readMarks(object);
  return marks?.phase === 'active' ? [heldMessage(nameOf(kind, object.metadata), marks, service)] : [];
}

export function shapeRefusals(target: Target, { spec }: Deployment): string[] {
  const subject = nameOf(Deployments, deploymentOf(target));
  const names = [canaryName(target), stableName(target)];
  const bad = names.filter((name) => name.length > LONGEST || !SERVICE_NAME.test(name));
  return [
    ...(bad.length > 0
      ? [
          `${subject}: ${bad.join(' and ')} cannot be a Kubernetes Service's name (lower case, letter first, ${LONGEST} characters at most).`,
        ]
      : []),
    ...(spec.replicas === 0 ? [`${subject} is scaled to 0: scale it up first, nothing serves.`] : []),
    ...(spec.paused === true ? [`${subject} is paused: kubectl rollout resume it first.`] : []),
    ...(JSON.stringify(spec.template).length > RESTORE_LIMIT
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

export function coverWarnings(
  deployment: Deployment,
  label: CanaryLabel | null,
  kind: Kind,
  objects: readonly (Held & { readonly selector?: Selector | null | undefined })[],
  effect: string,
): string[] {
  const stable = deployment.spec.template.metadata?.labels ?? {};
  if (!label) return [];
  const canary = canaryLabels(deployment.spec.template, label);
  return objects
    .filter(({ selector }) => selects(selector, stable) && !selects(selector, canary))
    .map(({ metadata }) => `${nameOf(kind, metadata)} selects stable pods only: ${effect}.`);
}

const named = <T extends Held>(kind: Kind<T>, objects: readonly T[], ...names: readonly string[]) =>
  objects.filter(({ metadata }) => names.includes(metadata.name)).map((object) => ({ kind, object }));
