/**
 * Where a request of a meshed client goes, first found first taken: a VirtualService of the host, overrides of its
 * ServiceProfile, HTTPRoutes whose parent is the Kubernetes Service (a ServiceProfile makes them mute), a TrafficSplit, and
 * else the pods that the Service selects.
 */
import type { HttpRoute, ParentRef } from '../api-server/objects.ts';
import { answered, type Decision } from './decision.ts';
import { followVirtualServices } from './istio.ts';
import type { HttpRequest } from './matching.ts';
import { type MeshService, serviceOf } from './mesh-host.ts';
import { followRoutes } from './routes.ts';
import { followProfile, followSplits, hasProfile } from './splits.ts';
import type { Table } from './table.ts';

/** `request.host` names a Kubernetes Service: `world.hello`, `world.hello:8080`; alone it is one of `default`. */
export function followMesh(table: Table, request: HttpRequest): Decision {
  const [host = '', port] = request.host.split(':');
  const { namespace, name } = serviceOf(host, 'default');
  const service = table.service(namespace, name);
  const first = service?.spec.ports?.[0]?.port;
  if (!service || first === undefined) return answered(503, `no Kubernetes Service ${host}`);
  const apex = { namespace, name, port: port === undefined ? first : Number(port) };
  return (
    followVirtualServices(table, apex, request) ??
    followProfile(table, apex) ??
    followServiceRoutes(table, apex, request) ??
    followSplits(table, apex) ?? {
      kind: 'shared',
      by: service,
      backends: [{ ...apex, label: name, weight: 1 }],
      mirrors: [],
    }
  );
}

/** A route that attaches to the Service takes all of its requests: what no rule matches is a 404. */
function followServiceRoutes(table: Table, apex: MeshService, request: HttpRequest): Decision | null {
  const routes = table.routes.filter((route) => route.spec.parentRefs?.some((parent) => isParent(parent, route, apex)));
  if (routes.length === 0 || hasProfile(table, apex)) return null;
  // Hostnames mean nothing where the parent is a Service.
  const hostless = routes.map((route) => ({ ...route, spec: { ...route.spec, hostnames: [] } }));
  return followRoutes(hostless, request) ?? answered(404, 'no rule matches');
}

/** Routes of the Service's own namespace only: those of its clients' namespaces hold for those clients. */
function isParent(
  { group, kind, name, namespace, port }: ParentRef,
  { metadata }: HttpRoute,
  apex: MeshService,
): boolean {
  return (
    kind === 'Service' &&
    (group === '' || group === 'core') &&
    name === apex.name &&
    metadata.namespace === apex.namespace &&
    (namespace ?? metadata.namespace) === apex.namespace &&
    (port === undefined || port === apex.port)
  );
}
