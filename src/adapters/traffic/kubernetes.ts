/**
 * No mesh at all: the Kubernetes Service that users ask is the route. With the workload `twin` its selector is switched from
 * stable's pods to the canary's and back, all of the traffic at once.
 * https://kubernetes.io/docs/concepts/services-networking/service/#services-with-selector
 */
import { isDeepStrictEqual } from 'node:util';
import type { TrafficRouter } from '../../app/ports/router.ts';
import { type Route, STABLE_ROUTE, type Target } from '../../core/plan.ts';
import { SUPPORT } from '../../core/support.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { nameOf, type Ref, refOf } from '../kubernetes/kinds.ts';
import { isOurs, type Op, readMarks, replace, test } from '../kubernetes/marks.ts';
import { type Deployment, Deployments, EndpointSlices, type Service, Services } from '../kubernetes/objects.ts';
import { deploymentOf, findServing } from '../kubernetes/serving.ts';
import { type Labels, parseSwitched, type Switched } from '../kubernetes/switched.ts';
import { type CanaryLabel, canaryLabel, canaryName, canaryOf, stableName } from '../kubernetes/twin-canary.ts';
import { readyEndpoints } from '../kubernetes/twin-state.ts';
import { versionLabel } from '../kubernetes/versioned-canary.ts';
import type { Dialect, Look, RouterDeps } from './dialect.ts';
import { createObjectRouter } from './object-router.ts';

/** null: not known. */
type Journal = Switched | null;

const SELECTOR = '/spec/selector';

export function createSelectorRouter(deps: RouterDeps): TrafficRouter {
  const { cluster } = deps;
  const router = createObjectRouter<Service, Journal>(deps, {
    supports: SUPPORT.kubernetes,
    kind: async () => Services,
    refs: (target) => [routedService(target)],
    // What Sluice made beside a Deployment carries marks, too, and is nobody's route.
    isRoute: (object) => !isOurs(object),
    look,
    dialect: async (target) => dialectOf(await labelOf(cluster, target)),
  });
  return { ...router, confirmed: (target) => followed(cluster, target) };
}

export function routedService({ traffic }: Target): Ref {
  if (traffic.router !== 'kubernetes') throw new Error(`router kubernetes was given traffic of ${traffic.router}`);
  return refOf(traffic.service);
}

/** null: the Deployment is gone; what is journalled has to do. */
async function labelOf(cluster: Cluster, target: Target): Promise<CanaryLabel | null> {
  const ref = deploymentOf(target);
  const deployment = cluster.peek(Deployments, ref) ?? (await cluster.get(Deployments, ref));
  return deployment && labelIn(cluster, target, deployment);
}

function labelIn(cluster: Cluster, target: Target, live: Deployment): CanaryLabel | null {
  if (!target.versioned) return canaryLabel(live);
  return versionLabel(live, target, cluster.peek(Deployments, canaryOf(target)));
}

function dialectOf(label: CanaryLabel | null): Dialect<Service, Journal> {
  const selectorOf = ({ spec }: Service): Labels => spec.selector ?? {};
  const isSwitched = (object: Service) => {
    const noted = parseSwitched(readMarks(object)?.restore ?? null);
    const selector = selectorOf(object);
    return (label !== null && selector[label.key] === label.canary) || isDeepStrictEqual(selector, noted?.canary);
  };
  const set = (object: Service, wanted: Labels): Op[] => [
    test(SELECTOR, object.spec.selector),
    replace(SELECTOR, wanted),
  ];
  const saying = (journal: NonNullable<Journal>, { weight }: Route) =>
    weight === 100 ? journal.canary : journal.selector;
  return {
    parse: parseSwitched,
    isEmpty: (journal) => journal === null,
    take(object) {
      const selector = selectorOf(object);
      if (label === null || selector[label.key] !== label.stable) return null;
      return { selector, canary: { ...selector, [label.key]: label.canary } };
    },
    say: (object, journal, route) => (journal ? set(object, saying(journal, route)) : []),
    succeed: (journal) => journal && { ...journal, selector: journal.canary },
    sendsToStable: (object) => label !== null && (selectorOf(object)[label.key] ?? label.stable) === label.stable,
    restore(object, journal) {
      if (journal) return set(object, journal.selector);
      if (label === null || !isSwitched(object)) return [];
      return set(object, { ...selectorOf(object), [label.key]: label.stable });
    },
    read(object, journal) {
      if (isSwitched(object)) return { ...STABLE_ROUTE, weight: 100 };
      return journal === null || isDeepStrictEqual(selectorOf(object), journal.selector) ? STABLE_ROUTE : null;
    },
    shows: (object, journal, route) =>
      journal !== null && isDeepStrictEqual(selectorOf(object), saying(journal, route)),
    isRestored: (object) => !isSwitched(object),
    missing(object, journal) {
      const selector = selectorOf(object);
      const known =
        journal === null || [journal.selector, journal.canary].some((one) => isDeepStrictEqual(selector, one));
      return known ? null : `its selector is ${words(selector)}`;
    },
    canSay: (_, journal) => journal !== null,
    describe: (object, journal, written) =>
      `its selector is ${words(selectorOf(object))}, written was ${journal ? words(saying(journal, written)) : 'another'}`,
    words: {
      nothing: 'its selector does not name the label that tells canary pods from stable ones',
      mend: 'give it its selector again, or abort',
      undo: "still selects the canary's pods: put the selector of before into it by hand",
    },
  };
}

const words = (selector: Labels) =>
  Object.entries(selector)
    .map(([key, value]) => `${key}=${value}`)
    .join(',') || 'empty';

async function look(cluster: Cluster, target: Target, [service = null]: readonly (Service | null)[]): Promise<Look> {
  const subject = nameOf(Services, routedService(target));
  const answer = (refusals: readonly string[], warnings: readonly string[] = []): Look => ({
    refusals,
    warnings,
    several: [],
  });
  if (!service)
    return answer([`${subject} does not exist: name an existing one in traffic.service of service ${target.service}.`]);
  const serving = await findServing(cluster, target);
  if (!serving.ok) return answer([serving.refusal]);
  const label = labelIn(cluster, target, serving.deployment);
  // Which labels a canary needs at all is told by the workload.
  if (label && service.spec.selector?.[label.key] !== label.stable) {
    return answer([`${subject} does not select by ${label.key}: add ${label.key}: ${label.stable} to its selector.`]);
  }
  const headless = service.spec.clusterIP === 'None';
  return answer(
    [],
    headless ? [`${subject} is headless: clients that keep what DNS said follow the switch late, or not at all.`] : [],
  );
}

/** Pending until the endpoints are those of the side that the selector means: clients follow endpoints, not selectors. */
async function followed(cluster: Cluster, target: Target): ReturnType<TrafficRouter['confirmed']> {
  const { namespace, name } = routedService(target);
  const [service, slices, label] = await Promise.all([
    cluster.view(Services, namespace).get(name),
    cluster.view(EndpointSlices, namespace).all(),
    labelOf(cluster, target),
  ]);
  if (!service) return { kind: 'confirmed' };
  const addresses = (of: string) => new Set(readyEndpoints(slices, of).map(({ address }) => address));
  const sides = { canary: addresses(canaryName(target)), stable: addresses(stableName(target)) };
  const { weight } = dialectOf(label).read(service, null) ?? STABLE_ROUTE;
  const [wanted, other] = weight === 100 ? [sides.canary, sides.stable] : [sides.stable, sides.canary];
  const found = addresses(name);
  const isLate = [...wanted].some((one) => !found.has(one)) || [...other].some((one) => found.has(one));
  return { kind: isLate ? 'pending' : 'confirmed' };
}
