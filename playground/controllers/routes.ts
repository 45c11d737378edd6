/** Writes the status of HTTPRoutes for the parents that exist, a moment after each change, as a proxy's controller does. */
import { kinds } from '../api-server/kinds.ts';
import type { HttpRoute } from '../api-server/objects.ts';
import type { Store } from '../api-server/store.ts';
import { keyOf, type Loop, splitKey, startLoop } from './loop.ts';
import { CONTROLLERS, parentsOf } from './route-conditions.ts';

export function controlRoutes(store: Store, delayMs: number): Loop {
  const loop = startLoop(store, {
    // Services and Gateways decide what a route's status says.
    wakes: ({ kind, object }) => {
      if (kind === kinds.httpRoutes) return [`look ${keyOf(object)}`];
      const isContext = kind === kinds.services || kind === kinds.gateways;
      return isContext ? store.list(kinds.httpRoutes).map((route) => `look ${keyOf(route)}`) : [];
    },
    reconcile(key) {
      const [when, route = ''] = key.split(' ');
      if (when === 'look') return loop.again(`write ${route}`, delayMs);
      writeStatus(store, store.get(kinds.httpRoutes, ...splitKey(route)));
    },
  });
  return loop;
}

function writeStatus(store: Store, route: HttpRoute | undefined): void {
  if (!route) return;
  const { name, namespace = '' } = route.metadata;
  const parents = parentsOf(store, route);
  const others = (route.status?.parents ?? []).filter(({ controllerName }) => !CONTROLLERS.includes(controllerName));
  // What was said of a parent that is no longer ours stays, as measured on Traefik.
  if (parents.length === 0) return;
  const status = { parents: [...others, ...parents] };
  store.update(kinds.httpRoutes, { ...route, metadata: { name, namespace }, status }, 'status');
}
