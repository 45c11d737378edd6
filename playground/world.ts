/** The objects of the demo: a service `world` in namespace `hello`, with two pods of v1 behind Gateway `public`. */
import { apiVersionOf, kinds } from './api-server/kinds.ts';
import type { Store } from './api-server/store.ts';
import { type Entry, entryOf, labelsOf, routesOf, type WorldTraffic } from './world-traffic.ts';

export const HOST = 'world.example';
export const NAMESPACE = 'hello';

export type WorldOptions = {
  readonly version?: string;
  readonly replicas?: number;
  /** What routes to it; default: an HTTPRoute of Gateway `public`. */
  readonly traffic?: WorldTraffic;
  /** Its Deployment and the Kubernetes Service behind it are called after the version: `world-v1`. */
  readonly versioned?: boolean;
};

const names = { name: 'world', namespace: NAMESPACE, host: HOST };

/** Where the users of `world` send their requests. */
export const worldEntry = ({ traffic = 'gateway-api' }: WorldOptions): Entry => entryOf(traffic, names);

export function createWorld(store: Store, options: WorldOptions = {}): void {
  const { version = 'v1', replicas = 2, traffic = 'gateway-api', versioned = false } = options;
  const gateway = 'gateway.networking.k8s.io/v1';
  const metadata = { name: 'world', namespace: NAMESPACE };
  const apex = { app: 'world' };
  const labels = { ...apex, ...labelsOf(traffic), ...(versioned && { version }) };
  const own = { ...metadata, name: versioned ? `world-${version}` : 'world' };
  for (const name of ['default', NAMESPACE]) {
    store.create(kinds.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }
  const gatewayClass = store.create(kinds.gatewayClasses, {
    apiVersion: gateway,
    kind: 'GatewayClass',
    metadata: { name: 'proxy' },
    spec: { controllerName: 'playground/proxy' },
  });
  const supportedFeatures = [{ name: 'HTTPRouteRequestMirror' }, { name: 'HTTPRouteRequestPercentageMirror' }];
  store.update(kinds.gatewayClasses, { ...gatewayClass, status: { supportedFeatures } }, 'status');
  store.create(kinds.gateways, {
    apiVersion: gateway,
    kind: 'Gateway',
    metadata: { name: 'public', namespace: 'default' },
    spec: { gatewayClassName: 'proxy', listeners: [{ name: 'web', protocol: 'HTTP', port: 80 }] },
  });
  store.create(kinds.ingressClasses, {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IngressClass',
    metadata: { name: 'nginx' },
    spec: { controller: 'k8s.io/ingress-nginx' },
  });
  store.create(kinds.deployments, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { ...own, labels },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: { labels },
        spec: {
          containers: [{ name: 'world', image: `buoyantio/world:${version}`, ports: [{ containerPort: 7778 }] }],
        },
      },
    },
  });
  const service = (name: string, selector: Record<string, string>) =>
    store.create(kinds.services, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { ...metadata, name },
      spec: { selector, ports: [{ name: 'http', port: 80, targetPort: 7778 }] },
    });
  service('world', traffic === 'kubernetes' ? labels : apex);
  if (versioned) service(own.name, labels);
  for (const { kind, spec } of routesOf(traffic, { ...names, to: own.name }))
    store.create(kind, { apiVersion: apiVersionOf(kind), kind: kind.kind, metadata, spec });
}
