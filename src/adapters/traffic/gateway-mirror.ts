/**
 * Whether those who carry HTTPRoutes can copy requests. A controller may confirm a filter that it cannot carry out and then
 * fail every request of the rule (Traefik 3.7 does), so only its GatewayClass is believed: `status.supportedFeatures`,
 * https://gateway-api.sigs.k8s.io/api-types/gatewayclass/
 */
import type { Cluster } from '../kubernetes/cluster.ts';
import { ApiFault } from '../kubernetes/errors.ts';
import { GatewayClasses, Gateways, type HTTPRoute, HTTPRoutes, type ParentRef } from '../kubernetes/gateway-objects.ts';
import { type Held, type Kind, nameOf, type Ref } from '../kubernetes/kinds.ts';

const COPIES = 'HTTPRouteRequestMirror';
const SHARE = 'HTTPRouteRequestPercentageMirror';
const SEVERAL = 'HTTPRouteRequestMultipleMirrors';

/** `isCopied`: its requests go to somebody already; `shared`: less than all requests are to be copied. */
export async function mirrorRefusals(
  cluster: Cluster,
  routes: readonly { readonly route: HTTPRoute; readonly isCopied: boolean }[],
  shared: boolean,
): Promise<readonly string[]> {
  const parents = routes.flatMap(({ route: { metadata, spec }, isCopied }) =>
    (spec.parentRefs ?? []).map((parent) => ({
      parent,
      subject: `${nameOf(HTTPRoutes, metadata)}${isCopied ? ', which copies requests already' : ''}`,
      home: metadata.namespace,
      needed: [COPIES, ...(shared ? [SHARE] : []), ...(isCopied ? [SEVERAL] : [])],
    })),
  );
  const found = await Promise.all(
    parents.map(async ({ parent, subject, home, needed }) => {
      const why = await whyNot(cluster, parent, home, needed);
      return why === null ? [] : [`Mirroring through ${subject}: ${why}`];
    }),
  );
  return [...new Set(found.flat())];
}

async function whyNot(
  cluster: Cluster,
  { kind = 'Gateway', name, namespace }: ParentRef,
  home: string,
  needed: readonly string[],
): Promise<string | null> {
  if (kind !== 'Gateway')
    return `its parent is a ${kind === 'Service' ? 'Kubernetes Service' : kind}, and no mesh says whether it copies requests; leave mirror out.`;
  const gateway = await read(cluster, Gateways, { namespace: namespace ?? home, name });
  if (typeof gateway === 'string') return gateway;
  const ref = { namespace: '', name: gateway.spec.gatewayClassName };
  const found = await read(cluster, GatewayClasses, ref);
  if (typeof found === 'string') return found;
  const features = found.status?.supportedFeatures ?? [];
  const missing = needed.filter((feature) => !features.includes(feature));
  if (missing.length === 0) return null;
  return `${nameOf(GatewayClasses, ref)} does not list ${missing.join(' and ')} in status.supportedFeatures, so its controller may fail the requests; leave mirror out.`;
}

/** The object, or why it cannot be looked at. */
async function read<T extends Held>(cluster: Cluster, kind: Kind<T>, ref: Ref): Promise<T | string> {
  try {
    return (await cluster.get(kind, ref)) ?? `${nameOf(kind, ref)} does not exist: correct the name.`;
  } catch (error) {
    if (!(error instanceof ApiFault) || error.status !== 403) throw error;
    return `the bot may not get ${nameOf(kind, ref)}, which says whether requests can be copied: apply manifests/routers/gateway-api-mirror, or leave mirror out.`;
  }
}
