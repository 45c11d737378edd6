/**
 * A router whose routes are fields of Kubernetes objects: what is the same for all of them. Every write is one fenced patch on
 * one object (design section 8); which fields it writes is the dialect's.
 */
import type { TrafficRouter } from '../../app/ports/router.ts';
import type { Held } from '../kubernetes/kinds.ts';
import type { RouteObjects, RouterDeps } from './dialect.ts';
import { createDrifts } from './object-drift.ts';
import { createHandles } from './object-handles.ts';
import { createPreflight } from './object-preflight.ts';
import { createReads } from './object-reads.ts';
import { createReturns } from './object-returns.ts';
import { createWrites } from './object-writes.ts';

export function createObjectRouter<T extends Held, Journal>(
  deps: RouterDeps,
  routes: RouteObjects<T, Journal>,
): TrafficRouter {
  const handles = createHandles(deps, routes);
  const drifts = createDrifts(deps, routes, handles);
  return {
    supports: routes.supports,
    ...createPreflight(deps, routes, handles),
    ...createWrites(deps, routes, handles, drifts),
    ...createReturns(routes, handles),
    ...createReads(deps, routes, handles, drifts),
  };
}
