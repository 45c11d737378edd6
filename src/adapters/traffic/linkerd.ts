/**
 * What Linkerd follows besides the object that is routed. Of one Kubernetes Service it follows a ServiceProfile before any
 * HTTPRoute, and linkerd-smi makes a ServiceProfile of every TrafficSplit.
 */
import type { Cluster } from '../kubernetes/cluster.ts';
import { ApiFault } from '../kubernetes/errors.ts';
import { HTTP_ROUTE_VERSIONS, type HTTPRoute, HTTPRoutes } from '../kubernetes/gateway-objects.ts';
import type { Held, Kind } from '../kubernetes/kinds.ts';
import { ServiceProfiles } from '../kubernetes/route-objects.ts';

export type Looked<T> = {
  readonly found: readonly T[];
  /** How to have it looked at, where the bot may not. */
  readonly remedy?: string;
};

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

/** None where the API server has no such kind. */
async function readable<T extends Held>(
  cluster: Cluster,
  kind: Kind<T>,
  versions: readonly string[],
  namespace: string,
  isMeant: (object: T) => boolean,
): Promise<Looked<T>> {
  const version = versions.length === 1 ? versions[0] : await servedVersion(cluster, kind, versions);
  if (version === undefined) return { found: [] };
  try {
    return { found: (await cluster.list({ ...kind, version }, namespace)).filter(isMeant) };
  } catch (error) {
    const status = error instanceof ApiFault ? error.status : null;
    if (status === 404) return { found: [] };
    if (status !== 403) throw error;
    return { found: [], remedy: `allow list on ${kind.plural} of ${kind.group} to have it looked at` };
  }
}

async function servedVersion(cluster: Cluster, { group }: Kind, versions: readonly string[]) {
  const served = await cluster.versions(group);
  return versions.find((one) => served.includes(one));
}
