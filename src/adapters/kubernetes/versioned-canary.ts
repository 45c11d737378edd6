/** The Deployment and the Kubernetes Service of a new version, as copies of those that serve. Pure. */
import type { Fence } from '../../app/ports/cluster.ts';
import type { Plan, Target } from '../../core/plan.ts';
import { baseOf, versionIn, versionName } from '../../core/versions.ts';
import { nameOf } from './kinds.ts';
import { type Deployment, Deployments, type Service } from './objects.ts';
import { selectsPods } from './serving.ts';
import {
  CANARY_KEYS,
  type CanaryLabel,
  canaryDeployment,
  newTemplate,
  ownersAnnotations,
  ownersLabels,
  sideServices,
} from './twin-canary.ts';
import { readRestore } from './twin-writes.ts';

/**
 * The label that tells the pods of two versions apart. One whose value is the version or the Deployment's name stays of that
 * kind (`version: 1.4.0`, `app: world-1-4-0`); else the first that usually names an application gets the new name. `existing`:
 * the canary's Deployment from an older rollout, whose selector cannot change.
 */
export function versionLabel({ spec }: Deployment, target: Target, existing: Deployment | null): CanaryLabel | null {
  const { matchLabels = {} } = spec.selector;
  const says = Object.keys(matchLabels).find((one) => successor(matchLabels[one] ?? '', target) !== null);
  const key = says ?? CANARY_KEYS.find((one) => one in matchLabels);
  const stable = key === undefined ? undefined : matchLabels[key];
  if (key === undefined || stable === undefined) return null;
  const made = successor(stable, target) ?? target.versioned?.canary;
  const own = existing ? existing.spec.selector.matchLabels?.[key] : made;
  return own === undefined || own === stable ? null : { key, stable, canary: own };
}

/** What says the new version as this value says the one that serves: by its Deployment's name, itself, or as in the name. */
function successor(value: string, target: Target): string | null {
  const [base, stable, canary] = [baseOf(target), target.deployment, target.versioned?.canary ?? ''];
  if (value === stable) return canary;
  // A name has no dots and no capitals; a label's value may.
  if (versionName(base, value) === stable) return versionIn(base, canary);
  return value === stable.slice(base.length + 1) ? canary.slice(base.length + 1) : null;
}

/** Why the pods of two versions cannot be told apart. */
export function noVersionLabel(target: Target, existing: Deployment | null): string {
  const subject = nameOf(Deployments, { ...target, name: target.deployment });
  if (existing)
    return `${nameOf(Deployments, existing.metadata)} has a selector that does not tell its pods from those of ${subject}: delete it.`;
  return `${subject} selects its pods by none of ${CANARY_KEYS.join(', ')}, version: those of a new version could not be told apart.`;
}

export type VersionDrafts = {
  readonly deployment: ReturnType<typeof canaryDeployment>;
  readonly service: ReturnType<typeof sideServices>['canary'];
};

/** `live`: what serves, claimed; `existing`: the canary's Deployment, where an older rollout left it. */
export function versionDrafts(
  plan: Plan,
  { live, service, existing }: { live: Deployment; service: Service; existing: Deployment | null },
  label: CanaryLabel,
  fence: Fence,
): VersionDrafts {
  const { target, steps } = plan;
  const template = newTemplate(plan, target.container, readRestore(live)?.template ?? live.spec.template);
  const copy = canaryDeployment(live, template, label, steps[0]?.route.weight ?? 0, fence);
  const own = sideServices(service, label, fence).canary;
  // They stay, and stand for those of before: what finds these by their labels (a ServiceMonitor, say) has to find them, too, and
  // what is told by annotations how to treat these treats them alike.
  const made = { ...copy, annotations: { ...ownersAnnotations(live), ...copy.annotations } };
  const side = {
    ...own,
    labels: { ...ownersLabels(service), ...own.labels },
    annotations: { ...ownersAnnotations(service), ...own.annotations },
  };
  if (!existing) return { deployment: made, service: side };
  // Its selector stays as it is, and only pods with these labels are its own.
  const { matchLabels = {} } = existing.spec.selector;
  const { metadata } = made.spec.template;
  const labels = { ...metadata?.labels, ...matchLabels };
  const spec = {
    ...made.spec,
    selector: existing.spec.selector,
    template: { ...made.spec.template, metadata: { ...metadata, labels } },
  };
  const selector = Object.fromEntries(Object.keys(side.spec.selector).map((key) => [key, labels[key] ?? '']));
  return { deployment: { ...made, spec }, service: { ...side, spec: { ...side.spec, selector } } };
}

/** Whether a Kubernetes Service that Sluice did not make leads to the new version's pods, and to no others. */
export const leadsTo = (
  service: Service,
  canary: Readonly<Record<string, string>>,
  stable: Readonly<Record<string, string>>,
): boolean => selectsPods(service, canary) && !selectsPods(service, stable);
