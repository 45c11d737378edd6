/**
 * What Linkerd follows besides the object that is routed. Of one Kubernetes Service it follows a ServiceProfile before any
 * HTTPRoute, and linkerd-smi makes a ServiceProfile of every TrafficSplit.
 */
import type { Cluster } from '../kubernetes/cluster.ts';
import { HTTP_ROUTE_VERSIONS, type HTTPRoute, HTTPRoutes } from '../kubernetes/gateway-objects.ts';
import { ServiceProfiles } from '../kubernetes/route-objects.ts';
import { readable } from './readable.ts';

/** ServiceProfiles of the Kubernetes Service; those of another namespace's Service may stand beside them, for its clients here. */
export const profilesOf = (cluster: Cluster, namespace: string, service: string) =>
  readable(cluster, ServiceProfiles, [ServiceProfiles.version], namespace, ({ metadata }) =>
    metadata.name.startsWith(`${service}.${namespace}.svc.`),
  );

/** HTTPRoutes in the namespace of the Kubernetes Service that have it as a parent. */
export const routesOfParent = (cluster: Cluster, namespace: string, service: string) =>
  readable(cluster, HTTPRoutes, HTTP_ROUTE_VERSIONS, namespace, ({ spec }: HTTPRoute) =>
    (spec.parentRefs ?? []).some(
      (parent) => parent.kind === 'Service' && parent.name === service && (parent.namespace ?? namespace) === namespace,
    ),
  );
