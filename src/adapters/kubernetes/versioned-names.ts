/**
 * Workload `versioned`: which Deployment serves is told by the routes, and which two belong to a rollout by their marks. So the
 * names of a target are found without a plan too, where Redis is away or has lost it.
 */
import type { Located, Wanted } from '../../app/ports/router.ts';
import { versionOf } from '../../core/config.ts';
import { serviceOf } from '../../core/id.ts';
import type { Target } from '../../core/plan.ts';
import { baseOf, versionName } from '../../core/versions.ts';
import type { Cluster } from './cluster.ts';
import { type Held, nameOf, refOf } from './kinds.ts';
import { isOurs, readMarks, readReplicas } from './marks.ts';
import { type Deployment, Deployments, type Service, Services } from './objects.ts';
import { type HeldRoute, namedServices } from './routed-services.ts';
import { selectsPods } from './serving.ts';
import { parseSwitched } from './switched.ts';
import { readRestore } from './twin-writes.ts';

/** What the routes of a target send to. */
export type Routed = {
  /** The route objects, for sentences. */
  readonly where: string;
  /** Names of Kubernetes Services; there may be others than versions among them. */
  readonly names: ReadonlySet<string>;
  /** Of the objects that a rollout holds. */
  readonly held: readonly HeldRoute[];
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

/**
 * `wanted` null: only what serves is asked; the canary's name is then one that no version has. `image`: the pattern of the
 * service's images, `buoyantio/world:{version}`, by which versions are told from what is only named alike.
 */
export async function locateVersions(
  cluster: Cluster,
  target: Target,
  routed: Routed,
  wanted: Wanted,
  image: string | null = null,
): Promise<Located> {
  const base = baseOf(target);
  const alike = versionsIn(await cluster.view(Deployments, target.namespace).all(), target);
  const found = (deployment: string, canary: string): Located => ({
    ok: true,
    target: { ...target, deployment, versioned: { base, canary } },
  });
  if (wanted && 'rollout' in wanted) {
    const services = versionsIn(await cluster.view(Services, target.namespace).all(), target);
    const pair = pairOf(wanted.rollout, target, routed, { deployments: alike, services });
    // Nothing of the canary was made yet, and nothing is routed to it.
    if (pair) return found(pair.stable, pair.canary ?? versionName(base, 'unknown'));
  }
  const named = alike.filter(({ metadata }) => routed.names.has(metadata.name));
  const versions = image === null ? named : named.filter((one) => isVersion(one, target, image));
  // An image of another shape is no reason to take no notice of the only one there is.
  const serving = versions.length > 0 ? versions : named;
  const stable = serving.length === 1 ? serving[0] : claimedIn(serving);
  if (!stable) return { ok: false, refusal: noneServes(target, routed, serving, alike) };
  const next = wanted && 'version' in wanted ? wanted.version : wanted ? 'unknown' : 'next';
  const name = versionName(base, next);
  const namesake = image === null ? null : namesakeOf(next, name, alike, { base, image });
  return namesake === null ? found(stable.metadata.name, name) : { ok: false, refusal: namesake };
}

/** Another version whose name has the same hash in it, as a refusal; null: there is none. */
function namesakeOf(
  version: string,
  name: string,
  alike: readonly Deployment[],
  { base, image }: { base: string; image: string },
): string | null {
  const found = alike.find(({ metadata }) => metadata.name === name);
  const runs = (found?.spec.template.spec.containers ?? []).flatMap((one) => versionOf(image, one.image ?? '') ?? []);
  const other = runs.find((one) => one !== version && versionName(base, one) === name);
  if (!found || other === undefined) return null;
  return `${nameOf(Deployments, found.metadata)} is version ${other}, and version ${version} would have the same name: build it under another one.`;
}

/** What carries the marks of a rollout of the service, or runs an image of it. */
function isVersion(object: Deployment, target: Target, image: string): boolean {
  if (serviceOf(readMarks(object)?.rollout ?? '') === target.service) return true;
  return object.spec.template.spec.containers.some((one) => versionOf(image, one.image ?? '') !== null);
}

/**
 * Both versions of a rollout, by its marks. Stable is what its routes sent to before it claimed them, which it does first and
 * lets go of last; only where they do not tell, its own Deployment does. null: nothing tells.
 */
function pairOf(
  rollout: string,
  target: Target,
  routed: Routed,
  { deployments, services }: { deployments: readonly Deployment[]; services: readonly Held[] },
): { readonly stable: string; readonly canary: string | undefined } | null {
  const isOf = (one: Held) => readMarks(one)?.rollout === rollout;
  const routes = routed.held.filter((one) => one.rollout === rollout);
  const isNamedAlike = (name: string) => name.startsWith(`${baseOf(target)}-`);
  const before = routes.flatMap((one) => one.before).filter(isNamedAlike);
  const isThere = (name: string) => deployments.some(({ metadata }) => metadata.name === name);
  const own = deployments.filter(isOf);
  const stable = before.find(isThere) ?? before[0] ?? claimedIn(own)?.metadata.name;
  if (stable === undefined) return null;
  const marked = [...own, ...services.filter(isOf)].map(({ metadata }) => metadata.name);
  const sent = routes.flatMap((one) => one.now).filter((name) => isNamedAlike(name) && !before.includes(name));
  return { stable, canary: [...marked, ...sent].find((name) => name !== stable) };
}

/** The one that a rollout claimed as stable, or has retired since. */
const claimedIn = (versions: readonly Deployment[]): Deployment | undefined =>
  versions.find((one) => readRestore(one) !== null) ?? versions.find((one) => readReplicas(one) !== null);

function noneServes(
  target: Target,
  { where, names, absent }: Routed,
  serving: readonly Deployment[],
  alike: readonly Deployment[],
): string {
  if (absent) return absent;
  const base = baseOf(target);
  const list = (some: readonly string[]) => some.join(', ') || 'none';
  const namesOf = (some: readonly Deployment[]) => list(some.map(({ metadata }) => metadata.name));
  if (serving.length > 1)
    return `${where} sends to several versions (${namesOf(serving)}), so what serves is unclear: let it send to one of them.`;
  return `${where} sends to no version of ${target.service}: with the workload versioned it names a Kubernetes Service ${base}-<version>, with a Deployment of the same name behind it. Deployments ${base}-…: ${namesOf(alike)}; it sends to: ${list([...names])}.`;
}

/** Of routes that are objects of the cluster. */
export async function routedVersions(cluster: Cluster, target: Target): Promise<Routed> {
  const { traffic, namespace } = target;
  if (traffic.router === 'kubernetes') {
    const ref = refOf(traffic.service);
    const service = await cluster.view(Services, ref.namespace).get(ref.name);
    if (!service) {
      const absent = `${nameOf(Services, ref)} does not exist: name an existing one in traffic.service of service ${target.service}.`;
      return { where: nameOf(Services, ref), names: new Set(), held: [], absent };
    }
    const versions = versionsIn(await cluster.view(Deployments, namespace).all(), target);
    const selectedBy = (selector: Service['spec']['selector']) =>
      versions
        .filter(({ spec }) => selectsPods({ ...service, spec: { selector } }, spec.template.metadata?.labels ?? {}))
        .map(({ metadata }) => metadata.name);
    const now = selectedBy(service.spec.selector);
    const marks = readMarks(service);
    const switched = parseSwitched(marks?.restore ?? null);
    const before = switched ? selectedBy(switched.selector) : [];
    const held = marks && switched ? [{ rollout: marks.rollout, before, now }] : [];
    return { where: nameOf(Services, ref), names: new Set([...now, ...before]), held };
  }
  const named = await namedServices(cluster, target);
  if (!named) throw new Error(`router ${traffic.router} does not say which version serves`);
  return { where: named.where, names: named.services, held: named.held ?? [], absent: named.absent };
}

/** Whether an object may become the canary: Sluice made it for this service, or a rollout of it has ended there. */
export const isFree = (object: Deployment, target: Target): boolean =>
  isEndedOf(object, target.service) || (isOurs(object) && !isOfAnother(object, target));

/** Left by a rollout of another service, two of whose names happen to meet. */
export function isOfAnother(object: Held, { service }: Pick<Target, 'service'>): boolean {
  const owner = serviceOf(readMarks(object)?.rollout ?? '');
  return owner !== null && owner !== service;
}
