/** The objects that a canary rollout makes beside the stable Deployment, as copies of what is there. Pure. */
import { z } from 'zod';
import type { Fence } from '../../app/ports/cluster.ts';
import type { Plan, Target } from '../../core/plan.ts';
import { sidesOf } from '../../core/sides.ts';
import { subsetRule } from '../../core/traffic.ts';
import type { Draft } from './api.ts';
import { type Held, nameOf, type Ref } from './kinds.ts';
import { birthMarks, MANAGED_LABEL } from './marks.ts';
import {
  type Deployment,
  Deployments,
  type PodTemplate,
  parseTemplate,
  type Selector,
  type Service,
  Services,
} from './objects.ts';

type Labels = Readonly<Record<string, string>>;

/** The label that tells canary pods from stable ones. */
export type CanaryLabel = { readonly key: string; readonly stable: string; readonly canary: string };

export const CANARY_KEYS = ['app', 'app.kubernetes.io/name', 'name'] as const;

type Named = Parameters<typeof sidesOf>[0];
export const canaryName = (target: Named) => sidesOf(target).canary;
export const stableName = (target: Named) => sidesOf(target).stable;

export const canaryOf = (target: Target): Ref => ({ namespace: target.namespace, name: canaryName(target) });
export const sideOf = (target: Target): Ref => ({ namespace: target.namespace, name: stableName(target) });

/** `shared`: the Kubernetes Service that both sides stand behind, so that it has to select the canary's pods too. */
export function canaryLabel({ spec }: Deployment, shared: Service | null = null): CanaryLabel | null {
  const { matchLabels = {} } = spec.selector;
  for (const key of shared ? subsetKeys(matchLabels, shared) : CANARY_KEYS) {
    const stable = matchLabels[key];
    if (stable !== undefined) return { key, stable, canary: `${stable}-canary` };
  }
  return null;
}

/** `version` is what Istio tells pods of one host apart by. */
const subsetKeys = (matchLabels: Labels, { spec: { selector = {} } }: Service) =>
  ['version', ...Object.keys(matchLabels)].filter((key) => !(key in selector));

/** The Kubernetes Service that both sides stand behind, told apart by subsets; null: each side has its own alone. */
export const sharedService = (target: Target, serving: Service): Service | null =>
  subsetRule(target) === null ? null : serving;

/** Why canary pods cannot be told apart. */
export function noLabel(target: Target, shared: Service | null): string {
  const subject = nameOf(Deployments, { namespace: target.namespace, name: target.deployment });
  if (!shared)
    return `${subject} selects its pods by none of ${CANARY_KEYS.join(', ')}: canary pods could not be told apart.`;
  return `${subject} selects its pods by no label that Kubernetes ${nameOf(Services, shared.metadata)} does not select by, too: canary pods could not be told apart behind it. Give its selector and template one more (version, say; a selector is set when a Deployment is made), or leave destinationRule out of traffic to route by hosts.`;
}

export const canaryLabels = (template: PodTemplate, { key, canary }: CanaryLabel) => ({
  ...template.metadata?.labels,
  [key]: canary,
});

/** Pods a weight needs: its share of stable's, rounded up, never none. */
export const canaryReplicas = (weight: number, stableReplicas: number) =>
  Math.max(1, Math.ceil((weight * stableReplicas) / 100));

/** What stable and canary are made of: the journalled template of a rollback, else the live one with the new image. */
export function newTemplate({ template, image }: Plan, container: string, live: PodTemplate): PodTemplate {
  if (template) return parseTemplate(template);
  const containers = live.spec.containers.map((one) => (one.name === container ? { ...one, image } : one));
  return { ...live, spec: { ...live.spec, containers } };
}

function canaryTemplate(template: PodTemplate, label: CanaryLabel): PodTemplate {
  const { affinity, topologySpreadConstraints: spread } = template.spec;
  const spec = {
    ...template.spec,
    ...(affinity !== undefined && { affinity: relabelSelectors(affinity, label) }),
    ...(spread !== undefined && { topologySpreadConstraints: relabelSelectors(spread, label) }),
  };
  return { ...template, metadata: { ...template.metadata, labels: canaryLabels(template, label) }, spec };
}

/** What a canary is a part of: the same as stable. */
const SHARED = ['app.kubernetes.io/name', 'app.kubernetes.io/component', 'app.kubernetes.io/part-of'];

/**
 * The labels of an object that are true of its copy too: what its owners find it by, or a policy of the cluster wants it to have.
 * A key without a prefix is private to the owners. Any other key but these is some tool's, and a copy that carries it may be
 * taken for the tool's own and pruned: `app.kubernetes.io/instance` by Argo CD, those of Helm, Flux, kapp, `kubectl apply`'s
 * sets. A `version` is that of the original.
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
 */
export const ownersLabels = ({ metadata: { labels = {} } }: Held): Labels =>
  Object.fromEntries(
    Object.entries(labels).filter(([key]) => SHARED.includes(key) || (!key.includes('/') && key !== 'version')),
  );

/** Annotations that say what a tool, or Kubernetes itself, did with this one object, or that give it a name somewhere else. */
const OF_ONE =
  /^(?:(?:kubectl|deployment|(?:internal\.)?config)\.kubernetes\.io|external-dns\.[\w.-]+|(?:[\w-]+\.)*(?:argoproj\.io|fluxcd\.io|helm\.sh|k14s\.io|cattle\.io|keel\.sh|consul\.hashicorp\.com|tailscale\.com|getambassador\.io|sluice\.dev))\//;
const OF_ONE_TOO = ['kubernetes.io/change-cause', 'cloud.google.com/neg', 'cloud.google.com/neg-status'];

/** The annotations of an object that are true of one in its place: how a proxy, a mesh or a cloud is to treat it. */
export const ownersAnnotations = ({ metadata: { annotations = {} } }: Held): Labels =>
  Object.fromEntries(Object.entries(annotations).filter(([key]) => !OF_ONE.test(key) && !OF_ONE_TOO.includes(key)));

export function canaryDeployment(
  stable: Deployment,
  template: PodTemplate,
  label: CanaryLabel,
  weight: number,
  fence: Fence,
): Draft & { readonly spec: Pick<Deployment['spec'], 'replicas' | 'selector' | 'template'> } {
  const { paused: _, ...spec } = stable.spec;
  return {
    labels: { ...ownersLabels(stable), [label.key]: label.canary, ...MANAGED_LABEL },
    annotations: birthMarks(fence),
    spec: {
      ...spec,
      replicas: canaryReplicas(weight, stable.spec.replicas),
      selector: relabel(stable.spec.selector, label),
      template: canaryTemplate(template, label),
    },
  };
}

export type ServiceDraft = Draft & {
  readonly spec: { readonly selector: Record<string, string>; readonly ports: readonly unknown[] };
};

/** How clients are treated is copied; addresses and node ports belong to the original. */
const COPIED = [
  'sessionAffinity',
  'sessionAffinityConfig',
  'internalTrafficPolicy',
  'trafficDistribution',
  'ipFamilies',
  'ipFamilyPolicy',
];

export function sideServices(service: Service, label: CanaryLabel, fence: Fence) {
  const { selector = {}, ports = [], clusterIP } = service.spec;
  const side = (value: string): ServiceDraft => ({
    labels: { [label.key]: value, ...MANAGED_LABEL },
    annotations: birthMarks(fence),
    spec: {
      ...Object.fromEntries(COPIED.flatMap((field) => (field in service.spec ? [[field, service.spec[field]]] : []))),
      ...(clusterIP === 'None' && { clusterIP }),
      selector: { ...selector, [label.key]: value },
      ports: ports.map(({ nodePort: _, ...port }) => port),
    },
  });
  return { stable: side(label.stable), canary: side(label.canary) };
}

function relabel(selector: Selector, { key, stable, canary }: CanaryLabel): Selector {
  const { matchLabels, matchExpressions } = selector;
  const changed = (value: string) => (value === stable ? canary : value);
  return {
    ...selector,
    ...(matchLabels?.[key] === stable && { matchLabels: { ...matchLabels, [key]: canary } }),
    ...(matchExpressions && {
      matchExpressions: matchExpressions.map((one) =>
        one.key === key && one.values ? { ...one, values: one.values.map(changed) } : one,
      ),
    }),
  };
}

const anything = z.record(z.string(), z.unknown());
const labelSelector = z.custom<Selector>((value) => anything.safeParse(value).success);

/** Every label selector inside an affinity or a spread constraint that means stable's pods means the canary's instead. */
function relabelSelectors(value: unknown, label: CanaryLabel): unknown {
  if (Array.isArray(value)) return value.map((one) => relabelSelectors(one, label));
  const object = anything.safeParse(value);
  if (!object.success) return value;
  const entries = Object.entries(object.data).map(([key, part]) => {
    const selector = key === 'labelSelector' ? labelSelector.safeParse(part) : null;
    return [key, selector?.success ? relabel(selector.data, label) : relabelSelectors(part, label)];
  });
  return Object.fromEntries(entries);
}
