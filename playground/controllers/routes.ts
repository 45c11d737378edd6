/** Writes the status of HTTPRoutes for the Gateways that exist, a moment after each change, as a proxy's controller does. */
import { kinds } from '../api-server/kinds.ts';
import type { Condition, HttpRoute, ParentRef } from '../api-server/objects.ts';
import type { Store } from '../api-server/store.ts';
import { setCondition } from './conditions.ts';
import { keyOf, type Loop, splitKey, startLoop } from './loop.ts';

export const CONTROLLER = 'sluice.dev/playground';

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
  const parents = (route.spec.parentRefs ?? [])
    .filter((ref) => isOurs(store, ref, namespace))
    .map((parentRef) => ({
      parentRef,
      controllerName: CONTROLLER,
      conditions: conditionsFor(store, route, parentRef),
    }));
  const others = (route.status?.parents ?? []).filter(({ controllerName }) => controllerName !== CONTROLLER);
  if (parents.length === 0 && route.status === undefined) return;
  const status = { parents: [...others, ...parents] };
  store.update(kinds.httpRoutes, { ...route, metadata: { name, namespace }, status }, 'status');
}

/** A parent that no controller knows gets no status. */
function isOurs(store: Store, { kind, name, namespace }: ParentRef, own: string): boolean {
  return kind === 'Gateway' && store.get(kinds.gateways, namespace ?? own, name) !== undefined;
}

function conditionsFor(store: Store, { metadata, spec, status }: HttpRoute, parent: ParentRef): readonly Condition[] {
  const old = status?.parents.find(
    ({ controllerName, parentRef }) => controllerName === CONTROLLER && parentRef.name === parent.name,
  );
  const missing = spec.rules
    .flatMap(({ backendRefs = [] }) => backendRefs)
    .find(({ name, namespace }) => !store.get(kinds.services, namespace ?? metadata.namespace, name));
  const observedGeneration = metadata.generation ?? 1;
  const resolved = missing
    ? ({ status: 'False', reason: 'BackendNotFound', message: `Service ${missing.name} not found` } as const)
    : ({ status: 'True', reason: 'ResolvedRefs', message: '' } as const);
  const accepted = { type: 'Accepted', status: 'True', reason: 'Accepted', message: '', observedGeneration } as const;
  const all = setCondition(old?.conditions, accepted);
  return setCondition(all, { type: 'ResolvedRefs', ...resolved, observedGeneration });
}
