/**
 * Ingresses beside the stable one that send to the service. ingress-nginx hangs a canary on what it makes of a Kubernetes Service
 * and a port, not on host and path: all Ingresses that name both alike share it (`mergeAlternativeBackend` in
 * internal/ingress/controller/controller.go of kubernetes/ingress-nginx).
 */
import { isDeepStrictEqual } from 'node:util';
import { nameOf } from '../kubernetes/kinds.ts';
import { type Ingress, type IngressBackend, Ingresses } from '../kubernetes/route-objects.ts';

/** By which an older controller finds the Ingresses that are its own. */
export const CLASS = 'kubernetes.io/ingress.class';

/** Kubernetes Services with their ports, of all paths and the default. */
export function backendsOf({
  spec: { rules = [], defaultBackend },
}: Ingress): NonNullable<IngressBackend['service']>[] {
  const paths = rules.flatMap(({ http }) => http?.paths ?? []);
  return [...paths.map(({ backend }) => backend), ...(defaultBackend ? [defaultBackend] : [])].flatMap(
    ({ service }) => service ?? [],
  );
}

/** `others`: without the stable Ingress and its canary. */
export function warnOfOthers(stable: Ingress, others: readonly Ingress[], service: string): readonly string[] {
  const portsOf = (one: Ingress) =>
    backendsOf(one)
      .filter(({ name }) => name === service)
      .map(({ port }) => port);
  const own = portsOf(stable);
  const shares = (one: Ingress) =>
    classOf(one) === classOf(stable) && portsOf(one).some((port) => own.some((mine) => isDeepStrictEqual(mine, port)));
  const sending = others.filter((one) => portsOf(one).length > 0);
  return [
    ...sentence(
      sending.filter(shares),
      service,
      'ingress-nginx keeps a canary by Kubernetes Service and port, so they share its weight and its previews.',
    ),
    ...sentence(
      sending.filter((one) => !shares(one)),
      service,
      'past this rollout, since by another port or class: those requests meet the new version at the promotion, without a canary.',
    ),
  ];
}

const classOf = ({ metadata, spec }: Ingress) => metadata.annotations?.[CLASS] ?? spec.ingressClassName;

function sentence(some: readonly Ingress[], service: string, effect: string): readonly string[] {
  const names = some.map(({ metadata }) => nameOf(Ingresses, metadata)).join(', ');
  return some.length === 0 ? [] : [`${names} ${some.length > 1 ? 'send' : 'sends'} to ${service} too: ${effect}`];
}
