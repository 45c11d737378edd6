/** Names of Kubernetes Services as clients and traffic systems write them. */

export type ServiceName = { readonly namespace: string; readonly name: string };

/** The Kubernetes Service that a client calls, at one of its ports. */
export type MeshService = ServiceName & { readonly port: number };

/** `world`, `world.hello`, `world.hello.svc.cluster.local`; a short name is one of its own namespace. */
export function serviceOf(host: string, own: string): ServiceName {
  const [name = '', namespace = own] = host.split('.');
  return { namespace, name };
}

export function isHostOf(host: string, own: string, { namespace, name }: ServiceName): boolean {
  const found = serviceOf(host, own);
  const rest = host.split('.').slice(2);
  return found.name === name && found.namespace === namespace && (rest.length === 0 || rest[0] === 'svc');
}
