/** What the controllers of Gateways and of a mesh say of an HTTPRoute, parent by parent. */
import { kinds } from '../api-server/kinds.ts';
import type { BackendRef, Condition, HttpRoute, ParentRef } from '../api-server/objects.ts';
import type { Store } from '../api-server/store.ts';
import { setCondition } from './conditions.ts';

type Parents = NonNullable<HttpRoute['status']>['parents'];
type Said = Pick<Condition, 'status' | 'reason' | 'message'>;

const GATEWAY = 'sluice.dev/playground';
const MESH = 'linkerd.io/policy-controller';
export const CONTROLLERS: readonly string[] = [GATEWAY, MESH];

/** A parent that no controller knows gets no entry. */
export function parentsOf(store: Store, route: HttpRoute): Parents {
  const { namespace = '' } = route.metadata;
  return (route.spec.parentRefs ?? []).flatMap((parentRef) => {
    if (parentRef.kind === 'Service') return [ofMesh(store, route, parentRef)];
    const gateway = store.get(kinds.gateways, parentRef.namespace ?? namespace, parentRef.name);
    return parentRef.kind === 'Gateway' && gateway ? [ofGateway(store, route, parentRef)] : [];
  });
}

function ofGateway(store: Store, route: HttpRoute, parentRef: ParentRef): Parents[number] {
  const observedGeneration = route.metadata.generation ?? 1;
  const accepted: Said = hasListener(store, parentRef, route.metadata.namespace)
    ? { status: 'True', reason: 'Accepted', message: '' }
    : { status: 'False', reason: 'NoMatchingParent', message: `no listener ${parentRef.sectionName}` };
  const old = oldConditions(route, GATEWAY, parentRef);
  const first = setCondition(old, { type: 'Accepted', ...accepted, observedGeneration });
  const conditions = setCondition(first, { type: 'ResolvedRefs', ...resolved(store, route), observedGeneration });
  return { parentRef, controllerName: GATEWAY, conditions };
}

/** As Linkerd writes it: group `core`, the namespace filled in, and no observedGeneration. */
function ofMesh(store: Store, route: HttpRoute, { name, namespace, port }: ParentRef): Parents[number] {
  const own = namespace ?? route.metadata.namespace ?? '';
  const parentRef = { group: 'core', kind: 'Service', name, namespace: own, ...(port !== undefined && { port }) };
  const service = store.get(kinds.services, own, name);
  const accepted: Said =
    service && service.spec.clusterIP !== 'None'
      ? { status: 'True', reason: 'Accepted', message: '' }
      : { status: 'False', reason: 'NoMatchingParent', message: '' };
  const first = setCondition(oldConditions(route, MESH, parentRef), { type: 'Accepted', ...accepted });
  const conditions = setCondition(first, { type: 'ResolvedRefs', ...resolved(store, route), message: '' });
  return { parentRef, controllerName: MESH, conditions };
}

function oldConditions({ status }: HttpRoute, controller: string, { name }: ParentRef) {
  return status?.parents.find((one) => one.controllerName === controller && one.parentRef.name === name)?.conditions;
}

function resolved(store: Store, { metadata, spec }: HttpRoute): Said {
  const missing = spec.rules
    .flatMap(({ backendRefs = [] }) => backendRefs)
    .find((ref) => !isThere(store, ref, metadata.namespace));
  if (!missing) return { status: 'True', reason: 'ResolvedRefs', message: '' };
  const message = `Service ${missing.name} with port ${missing.port} not found`;
  return { status: 'False', reason: 'BackendNotFound', message };
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
