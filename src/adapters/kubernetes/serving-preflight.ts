/** What a preflight looks at and says of the Deployment that serves, whatever the workload that rolls it out. */
import { isDeepStrictEqual } from 'node:util';
import type { WorkloadFacts } from '../../app/ports/workload.ts';
import { versionOf } from '../../core/config.ts';
import type { Target } from '../../core/plan.ts';
import { baseOf } from '../../core/versions.ts';
import type { Cluster } from './cluster.ts';
import { heldMessage } from './fence.ts';
import { type Held, type Kind, nameOf } from './kinds.ts';
import { readMarks } from './marks.ts';
import {
  type Deployment,
  Deployments,
  DisruptionBudgets,
  NetworkPolicies,
  type NetworkPolicy,
  type Peer,
  type Selector,
  type Service,
  Services,
  selects,
} from './objects.ts';
import { otherOwner } from './owners.ts';
import { deploymentOf } from './serving.ts';
import { type CanaryLabel, canaryLabels } from './twin-canary.ts';

/** What a second set of pods would stand among. */
type Surroundings = Awaited<ReturnType<typeof lookAround>>;

export async function lookAround(cluster: Cluster, namespace: string) {
  const [deployments, services, policies, budgets] = await Promise.all([
    cluster.view(Deployments, namespace).all(),
    cluster.view(Services, namespace).all(),
    cluster.list(NetworkPolicies, namespace),
    cluster.list(DisruptionBudgets, namespace),
  ]);
  return { deployments, services, policies, budgets };
}

export function servingFacts(
  { spec: { template, progressDeadlineSeconds } }: Deployment,
  container: string,
  imagePattern: string,
): Pick<WorkloadFacts, 'version' | 'container' | 'template' | 'progressDeadlineMs'> {
  const image = template.spec.containers.find(({ name }) => name === container)?.image ?? '';
  return {
    version: versionOf(imagePattern, image),
    container,
    template,
    progressDeadlineMs: progressDeadlineSeconds * 1000,
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

export function heldRefusals({ service }: Target, kind: Kind, object: Held): string[] {
  const marks = readMarks(object);
  return marks?.phase === 'active' ? [heldMessage(nameOf(kind, object.metadata), marks, service)] : [];
}

export function restRefusals(target: Target, { spec }: Deployment): string[] {
  const subject = nameOf(Deployments, deploymentOf(target));
  return [
    ...(spec.replicas === 0 ? [`${subject} is scaled to 0: scale it up first, nothing serves.`] : []),
    ...(spec.paused === true ? [`${subject} is paused: kubectl rollout resume it first.`] : []),
  ];
}

/** `who`: what stands beside stable. */
export function coverWarnings(
  deployment: Deployment,
  label: CanaryLabel,
  { policies, budgets }: Pick<Surroundings, 'policies' | 'budgets'>,
  who: 'the canary' | 'the new version',
): string[] {
  const stable = deployment.spec.template.metadata?.labels ?? {};
  const canary = canaryLabels(deployment.spec.template, label);
  const isLeftOut = (selector: Selector | null | undefined) => selects(selector, stable) && !selects(selector, canary);
  const only = (kind: Kind, { metadata }: Held) => `${nameOf(kind, metadata)} selects stable pods only:`;
  // Of other namespaces than its own a policy knows labels that are not looked at here.
  const home = { 'kubernetes.io/metadata.name': deployment.metadata.namespace };
  // Rules add up, in one policy and in all of the same pods.
  const lets = (rules: readonly (readonly Peer[])[], pod: Labels) =>
    rules.some((peers) => peers.length === 0 || takes(peers, pod, home));
  const leavesOut = ({ spec }: NetworkPolicy, rulesOf: typeof peersIn) => {
    const together = policies.filter((other) => isDeepStrictEqual(other.spec.podSelector, spec.podSelector));
    return (
      lets(rulesOf(spec), stable) &&
      !lets(
        together.flatMap((one) => rulesOf(one.spec)),
        canary,
      )
    );
  };
  const wanted = `${label.key}: ${label.canary}`;
  return [
    ...policies
      .filter(({ spec }) => isLeftOut(spec.podSelector))
      .map((one) => `${only(NetworkPolicies, one)} ${who} runs without it.`),
    ...policies
      .filter((one) => leavesOut(one, peersIn))
      .map(
        ({ metadata }) =>
          `${nameOf(NetworkPolicies, metadata)} lets stable pods in, but not ${who}: let in ${wanted} too.`,
      ),
    ...policies
      .filter((one) => leavesOut(one, peersOut))
      .map(
        ({ metadata }) =>
          `${nameOf(NetworkPolicies, metadata)} lets requests out to stable pods, but not to ${who}: let them out to ${wanted} too.`,
      ),
    ...budgets
      .filter(({ spec }) => isLeftOut(spec.selector))
      .map((one) => `${only(DisruptionBudgets, one)} it does not protect ${who}.`),
  ];
}

/** By rule: who is let in. A policy that is not for requests in lets nobody in and keeps nobody out, whatever its rules. */
const peersIn = ({ policyTypes, ingress }: NetworkPolicy['spec']): readonly (readonly Peer[])[] =>
  isFor('Ingress', policyTypes) ? (ingress ?? []).map(({ from }) => from ?? []) : [];

const peersOut: typeof peersIn = ({ policyTypes, egress }) =>
  isFor('Egress', policyTypes) ? (egress ?? []).map(({ to }) => to ?? []) : [];

/** Without types Kubernetes takes those that have rules. */
const isFor = (type: 'Ingress' | 'Egress', types: readonly string[] | null | undefined) =>
  !types || types.length === 0 || types.includes(type);

type Labels = Readonly<Record<string, string>>;

/** Whether pods with these labels, in a namespace with those, are among the peers of a rule. An address is nobody's. */
const takes = (peers: readonly Peer[], pod: Labels, namespace: Labels) =>
  peers
    .filter(({ podSelector, namespaceSelector }) => podSelector || namespaceSelector)
    .some(
      ({ podSelector, namespaceSelector }) =>
        (!podSelector || selects(podSelector, pod)) && (!namespaceSelector || selects(namespaceSelector, namespace)),
    );

/** Other containers that people may take for the same version, such as one that migrates before the others start. */
export function keptWarnings({ metadata, spec }: Deployment, rolled: string, imagePattern: string): string[] {
  const { containers, initContainers } = spec.template.spec;
  const found = [
    ...(initContainers ?? []).map((one) => ({ ...one, what: 'initContainer' })),
    ...containers.filter(({ name }) => name !== rolled).map((one) => ({ ...one, what: 'container' })),
  ];
  return found
    .filter(({ image = '' }) => versionOf(imagePattern, image) !== null)
    .map(
      ({ what, name, image }) =>
        `A deploy changes the image of container ${rolled} only: ${what} ${name} of ${nameOf(Deployments, metadata)} keeps ${image}.`,
    );
}
