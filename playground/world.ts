/** The objects of the demo: a service `world` in namespace `hello`, with two pods of v1 behind Gateway `public`. */
import { kinds } from './api-server/kinds.ts';
import type { Store } from './api-server/store.ts';

export const HOST = 'world.example';
export const NAMESPACE = 'hello';

export type WorldOptions = { readonly version?: string; readonly replicas?: number };

export function createWorld(store: Store, { version = 'v1', replicas = 2 }: WorldOptions = {}): void {
  const gateway = 'gateway.networking.k8s.io/v1';
  const metadata = { name: 'world', namespace: NAMESPACE };
  const labels = { app: 'world' };
  for (const name of ['default', NAMESPACE]) {
    store.create(kinds.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }
  store.create(kinds.gateways, {
    apiVersion: gateway,
    kind: 'Gateway',
    metadata: { name: 'public', namespace: 'default' },
    spec: { gatewayClassName: 'proxy', listeners: [{ name: 'web', protocol: 'HTTP', port: 80 }] },
  });
  store.create(kinds.deployments, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { ...metadata, labels },
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
  store.create(kinds.services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: { selector: labels, ports: [{ name: 'http', port: 80, targetPort: 7778 }] },
  });
  store.create(kinds.httpRoutes, {
    apiVersion: gateway,
    kind: 'HTTPRoute',
    metadata,
    spec: {
      parentRefs: [{ name: 'public', namespace: 'default' }],
      hostnames: [HOST],
      rules: [{ backendRefs: [{ name: 'world', port: 80 }] }],
    },
  });
}
