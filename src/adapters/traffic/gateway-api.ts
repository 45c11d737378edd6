/** Gateway API HTTPRoutes: weights, header previews and mirrors on the rules that send to the rolled-out Kubernetes Service. */
import type { TrafficRouter } from '../../app/ports/router.ts';
import { sidesOf } from '../../core/sides.ts';
import { SUPPORT } from '../../core/support.ts';
import { HTTP_ROUTE_VERSIONS, type HTTPRoute, HTTPRoutes, type JournalEntry } from '../kubernetes/gateway-objects.ts';
import { replace, test } from '../kubernetes/marks.ts';
import { parseJournal, routesOf } from '../kubernetes/routed-services.ts';
import { servedKind } from '../kubernetes/served.ts';
import type { Dialect, RouterDeps } from './dialect.ts';
import { lookAtRoutes, servingTest } from './gateway-preflight.ts';
import {
  countRouted,
  describe,
  isRestored,
  type Journal,
  journalOf,
  readRoute,
  render,
  restoreOps,
  rulesOf,
  shows,
  stableOps,
} from './gateway-rules.ts';
import { routeStatus } from './gateway-status.ts';
import { createObjectRouter } from './object-router.ts';

export function createGatewayApiRouter(deps: RouterDeps): TrafficRouter {
  return createObjectRouter<HTTPRoute, Journal>(deps, {
    supports: SUPPORT['gateway-api'],
    kind: (cluster) => servedKind(cluster, HTTPRoutes, HTTP_ROUTE_VERSIONS),
    refs: routesOf,
    look: lookAtRoutes,
    dialect: (target, ref) => {
      const sides = sidesOf(target);
      const dialect: Dialect<HTTPRoute, readonly JournalEntry[]> = {
        parse: parseJournal,
        isEmpty: (journal) => journal.length === 0,
        take: (object, service) => journalOf(rulesOf(object), servingTest(target, service, ref.namespace)),
        say: (object, journal, route) => [
          test('/spec/rules', rulesOf(object)),
          replace('/spec/rules', render(rulesOf(object), journal, sides, route)),
        ],
        restore: (object, journal) =>
          journal.length > 0 ? restoreOps(rulesOf(object), journal, sides) : stableOps(rulesOf(object), sides),
        succeed: (journal) =>
          journal.map(({ backendRefs, ...entry }) => ({
            ...entry,
            backendRefs: backendRefs.map((ref) => ({ ...ref, name: sides.canary })),
          })),
        sendsToStable: (object) =>
          rulesOf(object)
            .flatMap(({ backendRefs = [] }) => backendRefs)
            .some(servingTest(target, sides.stable, ref.namespace)),
        read: (object, journal) => readRoute(rulesOf(object), journal, sides),
        shows: (object, journal, route) => shows(rulesOf(object), journal, sides, route),
        isRestored: (object) => isRestored(rulesOf(object), sides),
        missing(object, journal) {
          const missing = journal.length - countRouted(rulesOf(object), journal, sides);
          return missing > 0 ? `${missing} of ${journal.length} rules that this rollout routes are gone` : null;
        },
        canSay: (object, journal) => countRouted(rulesOf(object), journal, sides) > 0,
        describe: (object, journal, written) => describe(rulesOf(object), journal, sides, written),
        status: routeStatus,
        words: {
          nothing: "no rule sends to the service's Kubernetes Service alone",
          mend: 'no rule is left that this rollout routes; put its backendRefs back, or abort',
          undo: `still sends to ${sides.stable} or ${sides.canary}: put the Kubernetes Service of before into its backendRefs by hand`,
        },
      };
      return dialect;
    },
  });
}
