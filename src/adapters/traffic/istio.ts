/**
 * Istio VirtualServices split by hosts, or by subsets of a DestinationRule: weights, header previews and mirrors on the HTTP
 * routes that send to the rolled-out Kubernetes Service. https://istio.io/latest/docs/reference/config/networking/virtual-service/
 */
import { isDeepStrictEqual } from 'node:util';
import type { TrafficRouter } from '../../app/ports/router.ts';
import type { Route, Target } from '../../core/plan.ts';
import { SUPPORT } from '../../core/support.ts';
import { subsetRule } from '../../core/traffic.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { nameOf, type Ref, refOf } from '../kubernetes/kinds.ts';
import { readMarks, replace, test } from '../kubernetes/marks.ts';
import {
  type Destination,
  ISTIO_VERSIONS,
  type IstioJournal,
  type IstioRoute,
  type VirtualService,
  VirtualServices,
  type WeightedDestination,
} from '../kubernetes/route-objects.ts';
import { servedKind } from '../kubernetes/served.ts';
import { findServing } from '../kubernetes/serving.ts';
import type { Look, RouterDeps } from './dialect.ts';
import { destinationsOf, warnOfOthers } from './istio-others.ts';
import { lookAtPolicies } from './istio-policies.ts';
import {
  describe,
  destinationName,
  hasForeignMirror,
  httpOf,
  isHost,
  isRestored,
  journalOf,
  PREVIEW,
  parseJournal,
  readRoute,
  render,
  restoreOps,
  routedOf,
  shows,
} from './istio-rules.ts';
import { splitOf } from './istio-split.ts';
import { lookAtSubsets, withSubsets } from './istio-subsets.ts';
import { createObjectRouter } from './object-router.ts';

export function createIstioRouter(deps: RouterDeps): TrafficRouter {
  const router = createObjectRouter<VirtualService, IstioJournal>(deps, {
    supports: SUPPORT.istio,
    kind: (cluster) => servedKind(cluster, VirtualServices, ISTIO_VERSIONS),
    refs: (target) => [trafficOf(target).ref],
    look,
    dialect: (target, { namespace: home }) => {
      const splitFor = (journal: IstioJournal) => splitOf(target, home, journal);
      return {
        parse: parseJournal,
        isEmpty: (journal) => journal.length === 0,
        take: (object, service) => taken(target, object, service, home),
        say: (object, journal, route) => [
          test('/spec/http', httpOf(object)),
          replace('/spec/http', render(httpOf(object), journal, splitFor(journal), route)),
        ],
        restore: (object, journal) => restoreOps(httpOf(object), journal, splitFor(journal)),
        succeed: (journal) =>
          journal.map(({ route, ...entry }) => ({
            ...entry,
            route: route.map((to) => ({ ...to, destination: splitFor(journal).canary(to.destination) })),
          })),
        sendsToStable: (object) =>
          destinationsOf(object).some((to) => isHost(to, target.deployment, target.namespace, home)),
        read: (object, journal) => readRoute(httpOf(object), journal, splitFor(journal)),
        shows: (object, journal, route) => shows(httpOf(object), journal, splitFor(journal), route),
        isRestored: (object) => isRestored(httpOf(object), splitFor(parseJournal(readMarks(object)?.restore))),
        missing(object, journal) {
          const missing = journal.length - routedOf(httpOf(object), journal, splitFor(journal)).length;
          return missing > 0 ? `${missing} of ${journal.length} routes that this rollout routes are gone` : null;
        },
        canSay(object, journal, { mirror }) {
          const split = splitFor(journal);
          const routed = routedOf(httpOf(object), journal, split);
          return routed.length > 0 && (mirror === null || !routed.some((one) => hasForeignMirror(one, split)));
        },
        describe: (object, journal, written) => describe(httpOf(object), journal, splitFor(journal), written),
        words: {
          nothing: "no HTTP route sends to the service's Kubernetes Service alone",
          mend: 'no HTTP route is left that this rollout can route, or it copies to somewhere else already; mend its routes, or abort',
          undo: `still sends to ${splitFor([]).names}: put the destination of before into its routes by hand`,
        },
      };
    },
  });
  return withSubsets(router, deps);
}

function trafficOf({ traffic }: Target): { readonly ref: Ref; readonly http: readonly string[] } {
  if (traffic.router !== 'istio') throw new Error(`router istio was given traffic of ${traffic.router}`);
  return { ref: refOf(traffic.virtualService), http: traffic.http };
}

const taken = (target: Target, object: VirtualService, service: string, home: string) =>
  journalOf(httpOf(object), isServing(target, service, home), trafficOf(target).http);

const isServing = (target: Target, service: string, home: string) => (to: Destination) =>
  splitOf(target, home, []).isApex(to) && isHost(to, service, target.namespace, home);

async function look(
  cluster: Cluster,
  target: Target,
  [object = null]: readonly (VirtualService | null)[],
  wanted: readonly Route[],
): Promise<Look> {
  const { ref, http: names } = trafficOf(target);
  const subject = nameOf(VirtualServices, ref);
  const refuse = (...refusals: readonly string[]): Look => ({ refusals, warnings: [], several: [] });
  if (!object)
    return refuse(
      `${subject} does not exist: name an existing one in traffic.virtualService of service ${target.service}.`,
    );
  const http = httpOf(object);
  if (http.length === 0)
    return refuse(
      `${subject} has no HTTP route, and Sluice splits HTTP routes only: name a VirtualService that has some, in traffic.virtualService of service ${target.service}.`,
    );
  const unknown = names.filter((name) => !http.some((one) => one.name === name));
  if (unknown.length > 0) return refuse(`${subject} has no route ${unknown.join(', ')}. Its routes: ${list(http)}.`);
  const serving = await findServing(cluster, target);
  if (!serving.ok) return refuse(serving.refusal);
  const service = serving.service.metadata.name;
  const isRouted = isServing(target, service, ref.namespace);
  const goesTo = ({ destination }: WeightedDestination) =>
    isHost(destination, service, target.namespace, ref.namespace);
  const beside = (['tls', 'tcp'] as const).filter((kind) =>
    (object.spec[kind] ?? []).some(({ route = [] }) => route.some(goesTo)),
  );
  const journal = taken(target, object, service, ref.namespace);
  // What goes to stable for good would keep it from ever being without pods, so nothing of that kind is begun.
  const unsplit = target.versioned
    ? [
        ...beside.map((kind) => `its ${kind} routes send`),
        ...http
          .filter(({ route = [] }) => route.length === 1 && route.some(goesTo))
          .filter(({ name, match }) => !journal.some((one) => one.name === name && isDeepStrictEqual(one.match, match)))
          .map((one) => `its route ${titleOf(one)}, which traffic.http does not name, sends`),
      ]
    : [];
  if (unsplit.length > 0)
    return refuse(
      ...unsplit.map(
        (what) =>
          `${subject}: ${what} to ${service} too, and with the workload versioned ${service} has no pods any more after the promotion: let Sluice split all HTTP routes to it and keep no others, or use workload twin.`,
      ),
    );
  const shared = http.filter(
    ({ name = '', route = [] }) =>
      route.length > 1 &&
      route.some(({ destination }) => isRouted(destination)) &&
      (names.length === 0 || names.includes(name)),
  );
  const elsewhere = names.filter((name) => !journal.some((one) => one.name === name));
  if (shared.length > 0)
    return refuse(
      `${subject}: ${service} shares these routes with other destinations, so what is stable there is unclear: ${list(shared)}.`,
    );
  if (journal.length === 0) {
    const remedy =
      subsetRule(target) === null
        ? ` Sluice splits by hosts: let a route send to ${service} without a subset, or name the DestinationRule in traffic.destinationRule of service ${target.service}.`
        : ` Sluice splits by subsets: let a route send to ${service} with the subset of its stable pods, or take destinationRule out of traffic of service ${target.service}.`;
    const isOtherwise = http.flatMap(({ route = [] }) => route).some(goesTo);
    return refuse(
      `${subject} has no HTTP route that sends to ${service} alone. Its routes: ${list(http)}.${isOtherwise ? remedy : ''}`,
    );
  }
  if (elsewhere.length > 0)
    return refuse(
      `${subject}: its route ${elsewhere.join(', ')} does not send to ${service} alone, so it cannot be routed: take it out of traffic.http of service ${target.service}. Its routes: ${list(http)}.`,
    );
  if (journal.some(({ name }) => name === PREVIEW))
    return refuse(
      `${subject}: its route ${PREVIEW} has the name of those that Sluice makes and takes away for previews: give it another one.`,
    );
  const split = splitOf(target, ref.namespace, journal);
  const beyond =
    subsetRule(target) === null
      ? await lookAtPolicies(cluster, target, service, ref.namespace)
      : await lookAtSubsets(cluster, target, serving, journal);
  const copying = routedOf(http, journal, split)
    .filter((one) => hasForeignMirror(one, split))
    .map((one) => `${subject}: its route ${titleOf(one)} copies requests already`);
  const copies = wanted.some(({ mirror }) => mirror !== null);
  return {
    refusals: [
      ...beyond.refusals,
      ...(copies
        ? copying.map(
            (what) =>
              `${what}, so it cannot copy to the canary too: take its mirror out, or use a strategy without one.`,
          )
        : []),
    ],
    warnings: [
      ...beyond.warnings,
      ...(copies ? [] : copying.map((what) => `${what}, so a step with a mirror would be refused.`)),
      ...(await warnOfOthers(cluster, target, service, journal)),
      ...beside.map(
        (kind) =>
          `${subject}: its ${kind} routes send to ${service} too, and only HTTP routes are split: those requests meet the new version at the promotion, without a canary.`,
      ),
    ],
    several:
      journal.length > 1 && names.length === 0
        ? [
            `${subject}: ${journal.length} routes send to ${service}, and each gets the canary's weight: ${list(routedOf(http, journal, split))}. Name the ones that should in traffic.http.`,
          ]
        : [],
  };
}

const titleOf = ({ name }: IstioRoute) => name ?? 'without a name';

const list = (http: readonly IstioRoute[]) =>
  http
    .map((one, index) => {
      const to = (one.route ?? []).map(({ destination }) => destinationName(destination)).join(', ');
      return `${index + 1}. ${titleOf(one)} to ${to || one.delegate?.name || 'nothing'}`;
    })
    .join('; ') || 'none';
