/** VirtualServices beside the one that is routed: what they send to the service is in no rollout. */
import type { Target } from '../../core/plan.ts';
import { subsetRule } from '../../core/traffic.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { nameOf, refOf } from '../kubernetes/kinds.ts';
import {
  type Destination,
  ISTIO_VERSIONS,
  type IstioJournal,
  type VirtualService,
  VirtualServices,
} from '../kubernetes/route-objects.ts';
import { servedKind } from '../kubernetes/served.ts';
import { isHost } from './istio-rules.ts';

/** Of HTTP, TLS and TCP routes. */
export const destinationsOf = ({ spec: { http = [], tls = [], tcp = [] } }: VirtualService): readonly Destination[] =>
  [...http, ...tls, ...tcp].flatMap(({ route = [] }) => route).map(({ destination }) => destination);

/** `journal`: what the routed VirtualService sends to `service`. Its namespace is being watched anyway: nothing is asked. */
export async function warnOfOthers(
  cluster: Cluster,
  target: Target,
  service: string,
  journal: IstioJournal,
): Promise<readonly string[]> {
  if (target.traffic.router !== 'istio') return [];
  const routed = refOf(target.traffic.virtualService);
  const subsets = journal.flatMap(({ route }) => route.map(({ destination }) => destination.subset));
  const isBySubset = subsetRule(target) !== null;
  const isStable = (to: Destination) =>
    isHost(to, service, target.namespace, routed.namespace) && (!isBySubset || subsets.includes(to.subset));
  const kind = await servedKind(cluster, VirtualServices, ISTIO_VERSIONS);
  const others = (await cluster.view(kind, routed.namespace).all())
    .filter((one) => one.metadata.name !== routed.name && destinationsOf(one).some(isStable))
    .map(({ metadata }) => nameOf(VirtualServices, metadata));
  if (others.length === 0) return [];
  const effect = target.versioned
    ? `nobody answers those requests after the promotion, when ${service} has no pods any more.`
    : 'those requests meet the new version at the promotion, without a canary.';
  return [
    `${others.join(', ')} ${others.length > 1 ? 'send' : 'sends'} to ${service} too, past this rollout: ${effect}`,
  ];
}
