/** What routes to `world` at rest, by traffic system, and how its users reach it. */

import type { JsonObject } from './api-server/json.ts';
import { type Kind, kinds } from './api-server/kinds.ts';

/**
 * `gateway-api/service`: HTTPRoutes whose parent is the Kubernetes Service, as a mesh takes them; `istio/subsets`: the versions
 * stand behind one Kubernetes Service, told apart by the subsets of a DestinationRule.
 */
export type WorldTraffic =
  | 'gateway-api'
  | 'gateway-api/service'
  | 'smi'
  | 'istio'
  | 'istio/subsets'
  | 'ingress-nginx'
  | 'kubernetes';

/** Where users send their requests. */
export type Entry = { readonly through: 'proxy' | 'mesh'; readonly host: string };

type Names = {
  readonly name: string;
  readonly namespace: string;
  readonly host: string;
  /** The Kubernetes Service that requests for `name` go to; default: itself. */
  readonly to?: string;
};

export function entryOf(traffic: WorldTraffic, { name, namespace, host }: Names): Entry {
  const isOutside = traffic === 'gateway-api' || traffic === 'ingress-nginx';
  return isOutside ? { through: 'proxy', host } : { through: 'mesh', host: `${name}.${namespace}` };
}

/** What its pods are told apart by behind the Kubernetes Service. */
export const labelsOf = (traffic: WorldTraffic): Readonly<Record<string, string>> =>
  traffic === 'istio/subsets' ? { version: 'one' } : {};

type Routing = { readonly kind: Kind; readonly spec: JsonObject };

/** Nothing where there is nothing but the Kubernetes Service. */
export function routesOf(traffic: WorldTraffic, { name, host, to = name }: Names): readonly Routing[] {
  const rules = [{ backendRefs: [{ name: to, port: 80 }] }];
  switch (traffic) {
    case 'gateway-api': {
      const parentRefs = [{ name: 'public', namespace: 'default' }];
      return [{ kind: kinds.httpRoutes, spec: { parentRefs, hostnames: [host], rules } }];
    }
    case 'gateway-api/service': {
      const parentRefs = [{ group: '', kind: 'Service', name, port: 80 }];
      return [{ kind: kinds.httpRoutes, spec: { parentRefs, rules } }];
    }
    case 'istio':
      return [virtualService(name, to, {})];
    case 'istio/subsets': {
      const subsets = [{ name: 'one', labels: labelsOf(traffic) }];
      return [
        { kind: kinds.destinationRules, spec: { host: name, subsets } },
        virtualService(name, name, { subset: 'one' }),
      ];
    }
    case 'ingress-nginx': {
      const backend = { service: { name, port: { number: 80 } } };
      const paths = [{ path: '/', pathType: 'Prefix', backend }];
      return [{ kind: kinds.ingresses, spec: { ingressClassName: 'nginx', rules: [{ host, http: { paths } }] } }];
    }
    case 'smi':
    case 'kubernetes':
      return [];
    default:
      return traffic satisfies never;
  }
}

function virtualService(name: string, to: string, more: { readonly subset?: string }): Routing {
  const route = [{ destination: { host: to, ...more, port: { number: 80 } } }];
  return { kind: kinds.virtualServices, spec: { hosts: [name], http: [{ name: 'main', route }] } };
}
