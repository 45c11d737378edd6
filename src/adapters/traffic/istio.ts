/**
 * Istio VirtualServices split by hosts: weights, header previews and mirrors on the HTTP routes that send to the rolled-out
 * Kubernetes Service. https://istio.io/latest/docs/reference/config/networking/virtual-service/
 */
import type { TrafficRouter } from '../../app/ports.ts';
import type { Target } from '../../core/plan.ts';
import { SUPPORT } from '../../core/support.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { replace, test } from '../kubernetes/marks.ts';
import { nameOf, type Ref, refOf } from '../kubernetes/objects.ts';
import {
  ISTIO_VERSIONS,
  type IstioJournal,
  type IstioRoute,
  istioJournal,
  type VirtualService,
  VirtualServices,
  type WeightedDestination,
} from '../kubernetes/route-objects.ts';
import { servedKind } from '../kubernetes/served.ts';
import { findServing } from '../kubernetes/serving.ts';
import type { Look } from './dialect.ts';
import { lookAtPolicies } from './istio-policies.ts';
import {
  describe,
  hasForeignMirror,
  httpOf,
  isHost,
  isRestored,
  journalOf,
  readRoute,
  render,
  restoreOps,
  routedOf,
  shows,
} from './istio-rules.ts';
import { createObjectRouter, type RouterDeps } from './object-router.ts';
import { sidesOf } from './sides.ts';

export function createIstioRouter(deps: RouterDeps): TrafficRouter {
  return createObjectRouter<VirtualService, IstioJournal>(deps, {
    supports: SUPPORT.istio,
    kind: (cluster) => servedKind(cluster, VirtualServices, ISTIO_VERSIONS),
    refs: (target) => [trafficOf(target).ref],
    look,
    dialect: (target, { namespace: home }) => {
      const sides = sidesOf(target.deployment);
      return {
        parse: (restore) => {
          try {
            return istioJournal.safeParse(JSON.parse(restore ?? '[]')).data ?? [];
          } catch {
            return [];
          }
        },
        isEmpty: (journal) => journal.length === 0,
        take: (object, service) => taken(target, object, service, home),
        say: (object, journal, route) => [
          test('/spec/http', httpOf(object)),
          replace('/spec/http', render(httpOf(object), journal, sides, route)),
        ],
        restore: (object, journal) => restoreOps(httpOf(object), journal, sides),
        read: (object, journal) => readRoute(httpOf(object), journal, sides),
        shows: (object, journal, route) => shows(httpOf(object), journal, sides, route),
        isRestored: (object) => isRestored(httpOf(object), sides),
        missing(object, journal) {
          const missing = journal.length - routedOf(httpOf(object), journal, sides).length;
          return missing > 0 ? `${missing} of ${journal.length} routes that this rollout routes are gone` : null;
        },
        canSay(object, journal, { mirror }) {
          const routed = routedOf(httpOf(object), journal, sides);
          return routed.length > 0 && (mirror === null || !routed.some((one) => hasForeignMirror(one, sides)));
        },
        describe: (object, journal, written) => describe(httpOf(object), journal, sides, written),
        words: {
          nothing: "no HTTP route sends to the service's Kubernetes Service alone",
          mend: 'no HTTP route is left that this rollout can route, or it copies to somewhere else already; mend its routes, or abort',
          undo: `still sends to ${sides.stable} or ${sides.canary}: put the host of before into its routes by hand`,
        },
      };
    },
  });
}

function trafficOf({ traffic }: Target): { readonly ref: Ref; readonly http: readonly string[] } {
  if (traffic.router !== 'istio') throw new Error(`router istio was given traffic of ${traffic.router}`);
  return { ref: refOf(traffic.virtualService), http: traffic.http };
}

const taken = (target: Target, object: VirtualService, service: string, home: string) =>
  journalOf(httpOf(object), (to) => isHost(to, service, target.namespace, home), trafficOf(target).http);

async function look(
  cluster: Cluster,
  target: Target,
  [object = null]: readonly (VirtualService | null)[],
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
  const isServing = ({ destination }: { destination: Parameters<typeof isHost>[0] }) =>
    isHost(destination, service, target.namespace, ref.namespace);
  const goesTo = ({ destination: { host } }: WeightedDestination) =>
    isHost({ host }, service, target.namespace, ref.namespace);
  const beside = (['tls', 'tcp'] as const).filter((kind) =>
    (object.spec[kind] ?? []).some(({ route = [] }) => route.some(goesTo)),
  );
  const shared = http.filter(
    ({ name = '', route = [] }) =>
      route.length > 1 && route.some(isServing) && (names.length === 0 || names.includes(name)),
  );
  const journal = taken(target, object, service, ref.namespace);
  const elsewhere = names.filter((name) => !journal.some((one) => one.name === name));
  const delegates = http.flatMap(({ delegate }) => (delegate?.name ? [delegate.name] : []));
  if (shared.length > 0)
    return refuse(
      `${subject}: ${service} shares these routes with other destinations, so what is stable there is unclear: ${list(shared)}.`,
    );
  if (journal.length === 0) {
    const hint = delegates.length > 0 ? ` It delegates to ${delegates.join(', ')}: name that one.` : '';
    const isSubset = http.flatMap(({ route = [] }) => route).some((to) => to.destination.subset && goesTo(to));
    const byHost = isSubset ? ` Sluice splits by hosts: let a route send to ${service} without a subset.` : '';
    return refuse(
      `${subject} has no HTTP route that sends to ${service} alone. Its routes: ${list(http)}.${byHost}${hint}`,
    );
  }
  if (elsewhere.length > 0)
    return refuse(
      `${subject}: its route ${elsewhere.join(', ')} does not send to ${service} alone, so it cannot be routed: take it out of traffic.http of service ${target.service}. Its routes: ${list(http)}.`,
    );
  const sides = sidesOf(target.deployment);
  const policies = await lookAtPolicies(cluster, target, service);
  const copying = routedOf(http, journal, sides).filter((one) => hasForeignMirror(one, sides));
  return {
    refusals: policies.refusals,
    warnings: [
      ...policies.warnings,
      ...copying.map(
        (one) =>
          `${subject}: its route ${titleOf(one)} copies requests already, so a step with a mirror will be refused.`,
      ),
      ...beside.map(
        (kind) =>
          `${subject}: its ${kind} routes send to ${service} too, and only HTTP routes are split: those requests meet the new version at the promotion, without a canary.`,
      ),
    ],
    several:
      journal.length > 1 && names.length === 0
        ? [
            `${subject}: ${journal.length} routes send to ${service}, and each gets the canary's weight: ${list(routedOf(http, journal, sides))}. Name the ones that should in traffic.http.`,
          ]
        : [],
  };
}

const titleOf = ({ name }: IstioRoute) => name ?? 'without a name';

const list = (http: readonly IstioRoute[]) =>
  http
    .map((one, index) => {
      const to = (one.route ?? []).map(({ destination }) => destination.host).join(', ');
      return `${index + 1}. ${titleOf(one)} to ${to || one.delegate?.name || 'nothing'}`;
    })
    .join('; ') || 'none';
