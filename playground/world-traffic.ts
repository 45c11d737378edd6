/** What routes to `world` at rest, by traffic system, and how its users reach it. */

import type { JsonObject } from './api-server/json.ts';
import { type Kind, kinds } from './api-server/kinds.ts';

/** `gateway-api/service`: HTTPRoutes whose parent is the Kubernetes Service, as a mesh takes them. */
export type WorldTraffic = 'gateway-api' | 'gateway-api/service' | 'smi' | 'istio' | 'ingress-nginx' | 'kubernetes';

/** Where users send their requests. */
export type Entry = { readonly through: 'proxy' | 'mesh'; readonly host: string };

type Names = { readonly name: string; readonly namespace: string; readonly host: string };

export function entryOf(traffic: WorldTraffic, { name, namespace, host }: Names): Entry {
  const isOutside = traffic === 'gateway-api' || traffic === 'ingress-nginx';
  return isOutside ? { through: 'proxy', host } : { through: 'mesh', host: `${name}.${namespace}` };
}

/** null: nothing but the Kubernetes Service. */
export function routeOf(traffic: WorldTraffic, { name, host }: Names): { kind: Kind; spec: JsonObject } | null {
  const rules = [{ backendRefs: [{ name, port: 80 }] }];
  switch (traffic) {
    case 'gateway-api': {
      const parentRefs = [{ name: 'public', namespace: 'default' }];
      return { kind: kinds.httpRoutes, spec: { parentRefs, hostnames: [host], rules } };
    }
    case 'gateway-api/service': {
      const parentRefs = [{ group: '', kind: 'Service', name, port: 80 }];
      return { kind: kinds.httpRoutes, spec: { parentRefs, rules } };
    }
    case 'istio': {
      const route = [{ destination: { host: name, port: { number: 80 } } }];
      return { kind: kinds.virtualServices, spec: { hosts: [name], http: [{ name: 'main', route }] } };
    }
    case 'ingress-nginx': {
      const backend = { service: { name, port: { number: 80 } } };
      const paths = [{ path: '/', pathType: 'Prefix', backend }];
      return { kind: kinds.ingresses, spec: { ingressClassName: 'nginx', rules: [{ host, http: { paths } }] } };
    }
    case 'smi':
    case 'kubernetes':
      return null;
    default:
      return traffic satisfies never;
  }
}
