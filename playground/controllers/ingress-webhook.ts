/**
 * The admission webhook of ingress-nginx: of each host and path there may be one Ingress that is no canary. So a canary
 * Ingress whose mark is taken off is refused, and so is every later edit where it got through.
 */
import { badRequest } from '../api-server/errors.ts';
import { kinds } from '../api-server/kinds.ts';
import type { NewObject } from '../api-server/objects.ts';
import type { Guard, Store } from '../api-server/store.ts';
import type { Ingress } from '../api-server/traffic-objects.ts';

/** `prefix`: of the annotations of Ingresses. */
export function guardIngresses(prefix: string): Guard {
  return (store, kind, object) => {
    // Admission has seen that it is an Ingress.
    if (kind.plural === kinds.ingresses.plural)
      refuseSecond(store, prefix, object as NewObject & Pick<Ingress, 'spec'>);
  };
}

function refuseSecond(store: Store, prefix: string, given: NewObject & Pick<Ingress, 'spec'>): void {
  const { name, namespace } = given.metadata;
  const isMain = ({ metadata }: NewObject) => metadata.annotations?.[`${prefix}/canary`] !== 'true';
  if (!isMain(given)) return;
  for (const other of store.list(kinds.ingresses)) {
    const isOther = other.metadata.name !== name || other.metadata.namespace !== namespace;
    if (!isOther || !isMain(other) || other.spec.ingressClassName !== given.spec.ingressClassName) continue;
    const taken = placesOf(other.spec);
    const place = placesOf(given.spec).find(({ host, path }) =>
      taken.some((one) => one.host === host && one.path === path),
    );
    if (!place) continue;
    const where = `host "${place.host}" and path "${place.path}" is already defined in ingress`;
    const whose = `${other.metadata.namespace}/${other.metadata.name}`;
    throw badRequest(`admission webhook "validate.nginx.ingress.kubernetes.io" denied the request: ${where} ${whose}`);
  }
}

function placesOf({ rules = [] }: Ingress['spec']) {
  return rules.flatMap(({ host = '', http }) => (http?.paths ?? []).map(({ path = '/' }) => ({ host, path })));
}
