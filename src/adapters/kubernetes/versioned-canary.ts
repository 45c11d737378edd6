/** The Deployment and the Kubernetes Service of a new version, as copies of those that serve. Pure. */
import type { Fence } from '../../app/ports.ts';
import type { Plan, Target } from '../../core/plan.ts';
import { baseOf } from '../../core/versions.ts';
import { type Deployment, Deployments, nameOf, type Service } from './objects.ts';
import { selectsPods } from './serving.ts';
import { CANARY_KEYS, type CanaryLabel, canaryDeployment, newTemplate, sideServices } from './twin-canary.ts';
import { readRestore } from './twin-writes.ts';

/**
 * The label that tells the pods of two versions apart. One whose value is the version or the Deployment's name stays of that
 * kind (`version: v2`, `app: world-v2`); else the first that usually names an application gets the new name. `existing`: the
 * canary's Deployment from an older rollout, whose selector cannot change.
 */
export function versionLabel({ spec }: Deployment, target: Target, existing: Deployment | null): CanaryLabel | null {
  const { matchLabels = {} } = spec.selector;
  const canary = target.versioned?.canary ?? '';
  const values = new Map([
    [target.deployment, canary],
    [afterBase(target.deployment, target), afterBase(canary, target)],
  ]);
  const keys = Object.keys(matchLabels);
  const key = keys.find((one) => values.has(matchLabels[one] ?? '')) ?? CANARY_KEYS.find((one) => one in matchLabels);
  const stable = key === undefined ? undefined : matchLabels[key];
  if (key === undefined || stable === undefined) return null;
  const own = existing ? existing.spec.selector.matchLabels?.[key] : (values.get(stable) ?? canary);
  return own === undefined || own === stable ? null : { key, stable, canary: own };
}

const afterBase = (name: string, target: Target) => name.slice(baseOf(target).length + 1);

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
  const made = canaryDeployment(live, template, label, steps[0]?.route.weight ?? 0, fence);
  if (!existing) return { deployment: made, service: sideServices(service, label, fence).canary };
  // Its selector stays as it is, and only pods with these labels are its own.
  const { matchLabels = {} } = existing.spec.selector;
  const { metadata } = made.spec.template;
  const labels = { ...metadata?.labels, ...matchLabels };
  const spec = {
    ...made.spec,
    selector: existing.spec.selector,
    template: { ...made.spec.template, metadata: { ...metadata, labels } },
  };
  const side = sideServices(service, label, fence).canary;
  const selector = Object.fromEntries(Object.keys(side.spec.selector).map((key) => [key, labels[key] ?? '']));
  return { deployment: { ...made, spec }, service: { ...side, spec: { ...side.spec, selector } } };
}

/** Whether a Kubernetes Service that Sluice did not make leads to the new version's pods, and to no others. */
export const leadsTo = (
  service: Service,
  canary: Readonly<Record<string, string>>,
  stable: Readonly<Record<string, string>>,
): boolean => selectsPods(service, canary) && !selectsPods(service, stable);
