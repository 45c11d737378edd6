/**
 * Workload `versioned`: which Deployment serves is told by the routes, and which two belong to a rollout by their marks. So the
 * names of a target are found without a plan too, where Redis is away or has lost it.
 */
import type { Located, Wanted } from '../../app/ports.ts';
import { serviceOf } from '../../core/id.ts';
import type { Target } from '../../core/plan.ts';
import { baseOf, versionName } from '../../core/versions.ts';
import type { Cluster } from './cluster.ts';
import { isOurs, readMarks, readReplicas } from './marks.ts';
import { type Deployment, Deployments, type Held, nameOf, refOf, Services } from './objects.ts';
import { namedServices } from './routed-services.ts';
import { selectsPods } from './serving.ts';
import { selectorBefore } from './switched.ts';
import { readRestore } from './twin-writes.ts';

/** What the routes of a target send to. */
export type Routed = {
  /** The route objects, for sentences. */
  readonly where: string;
  /** Names of Kubernetes Services; there may be others than versions among them. */
  readonly names: ReadonlySet<string>;
  /** Refusal for a route object that does not exist. */
  readonly absent?: string | null;
};

/** Deployments that can be versions of a target, by their names. */
export const versionsIn = <T extends Held>(objects: readonly T[], target: Target): readonly T[] =>
  objects.filter(({ metadata }) => metadata.name.startsWith(`${baseOf(target)}-`));

/** Scaled to 0 by a rollout of this service, for the way back. */
export const isRetired = (object: Deployment, { service }: Pick<Target, 'service'>): boolean =>
  readReplicas(object) !== null && isEndedOf(object, service);

/** Left by a rollout of this service that has ended. */
export function isEndedOf(object: Held, service: string): boolean {
  const marks = readMarks(object);
  return marks?.phase === 'done' && serviceOf(marks.rollout) === service;
}

/** `wanted` null: only what serves is asked; the canary's name is then one that no version has. */
export async function locateVersions(
  cluster: Cluster,
  target: Target,
  routed: Routed,
  wanted: Wanted,
): Promise<Located> {
  const base = baseOf(target);
  const versions = versionsIn(await cluster.view(Deployments, target.namespace).all(), target);
  const held =
    wanted && 'rollout' in wanted ? versions.filter((one) => readMarks(one)?.rollout === wanted.rollout) : [];
  const serving = versions.filter(({ metadata }) => routed.names.has(metadata.name));
  const stable = claimedIn(held) ?? (serving.length === 1 ? serving[0] : claimedIn(serving));
  if (!stable) return { ok: false, refusal: noneServes(target, routed, versions) };
  const deployment = stable.metadata.name;
  return { ok: true, target: { ...target, deployment, versioned: { base, canary: canaryName() } } };

  function canaryName(): string {
    if (!wanted) return versionName(base, 'next');
    if ('version' in wanted) return versionName(base, wanted.version);
    const names = [...held.map(({ metadata }) => metadata.name), ...routed.names];
    const other = names.find((name) => name !== deployment && name.startsWith(`${base}-`));
    // Nothing of it was made yet, and nothing is routed to it.
    return other ?? versionName(base, 'unknown');
  }
}

/** The one that a rollout claimed as stable, or has retired since. */
const claimedIn = (versions: readonly Deployment[]): Deployment | undefined =>
  versions.find((one) => readRestore(one) !== null) ?? versions.find((one) => readReplicas(one) !== null);

function noneServes(target: Target, { where, names, absent }: Routed, versions: readonly Deployment[]): string {
  if (absent) return absent;
  const base = baseOf(target);
  const list = (some: readonly string[]) => some.join(', ') || 'none';
  const several = versions.filter(({ metadata }) => names.has(metadata.name)).map(({ metadata }) => metadata.name);
  if (several.length > 1)
    return `${where} sends to several versions (${list(several)}), so what serves is unclear: let it send to one of them.`;
  const known = versions.map(({ metadata }) => metadata.name);
  return `${where} sends to no version of ${target.service}: with the workload versioned it names a Kubernetes Service ${base}-<version>, with a Deployment of the same name behind it. Deployments ${base}-…: ${list(known)}; it sends to: ${list([...names])}.`;
}

/** Of routes that are objects of the cluster. */
export async function routedVersions(cluster: Cluster, target: Target): Promise<Routed> {
  const { traffic, namespace } = target;
  if (traffic.router === 'kubernetes') {
    const ref = refOf(traffic.service);
    const service = await cluster.view(Services, ref.namespace).get(ref.name);
    if (!service) {
      const absent = `${nameOf(Services, ref)} does not exist: name an existing one in traffic.service of service ${target.service}.`;
      return { where: nameOf(Services, ref), names: new Set(), absent };
    }
    const before = selectorBefore(service);
    const shapes = [service, ...(before ? [{ ...service, spec: { ...service.spec, selector: before } }] : [])];
    const versions = versionsIn(await cluster.view(Deployments, namespace).all(), target);
    const selected = versions.filter(({ spec }) =>
      shapes.some((shape) => selectsPods(shape, spec.template.metadata?.labels ?? {})),
    );
    return { where: nameOf(Services, ref), names: new Set(selected.map(({ metadata }) => metadata.name)) };
  }
  const named = await namedServices(cluster, target);
  if (!named) throw new Error(`router ${traffic.router} does not say which version serves`);
  return { where: named.where, names: named.services, absent: named.absent };
}

/** Whether an object may become the canary: Sluice made it for this service, or retired it. */
export const isFree = (object: Deployment, target: Target): boolean =>
  isRetired(object, target) || (isOurs(object) && !isOfAnother(object, target));

/** Left by a rollout of another service, two of whose names happen to meet. */
export function isOfAnother(object: Held, { service }: Pick<Target, 'service'>): boolean {
  const owner = serviceOf(readMarks(object)?.rollout ?? '');
  return owner !== null && owner !== service;
}
