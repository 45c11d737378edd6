/** Writes the status of HTTPRoutes for the Gateways that exist, a moment after each change, as a proxy's controller does. */
import { kinds } from '../api-server/kinds.ts';
import type { BackendRef, Condition, HttpRoute, ParentRef } from '../api-server/objects.ts';
import type { Store } from '../api-server/store.ts';
import { setCondition } from './conditions.ts';
import { keyOf, type Loop, splitKey, startLoop } from './loop.ts';

const CONTROLLER = 'sluice.dev/playground';

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
  // What was said of a parent that is no longer ours stays, as measured on Traefik.
  if (parents.length === 0) return;
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
    .find((ref) => !isThere(store, ref, metadata.namespace));
  const observedGeneration = metadata.generation ?? 1;
  const resolved = missing
    ? ({
        status: 'False',
        reason: 'BackendNotFound',
        message: `Service ${missing.name} with port ${missing.port} not found`,
      } as const)
    : ({ status: 'True', reason: 'ResolvedRefs', message: '' } as const);
  const accepted = hasListener(store, parent, metadata.namespace)
    ? ({ status: 'True', reason: 'Accepted', message: '' } as const)
    : ({ status: 'False', reason: 'NoMatchingParent', message: `no listener ${parent.sectionName}` } as const);
  const all = setCondition(old?.conditions, { type: 'Accepted', ...accepted, observedGeneration });
  return setCondition(all, { type: 'ResolvedRefs', ...resolved, observedGeneration });
}

function isThere(store: Store, { name, namespace, port }: BackendRef, own: string | undefined): boolean {
  const service = store.get(kinds.services, namespace ?? own, name);
  return (service?.spec.ports ?? []).some((one) => one.port === port);
}

export function hasListener(
  store: Store,
  { name, namespace, sectionName }: ParentRef,
  own: string | undefined,
): boolean {
  const gateway = store.get(kinds.gateways, namespace ?? own, name);
  if (!gateway || sectionName === undefined) return gateway !== undefined;
  return (gateway.spec.listeners ?? []).some((listener) => listener.name === sectionName);
}
