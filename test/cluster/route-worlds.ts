/** Worlds for the router contract, each with the route object of one traffic system, behind the API server of a kubeconfig. */
import { type Cluster, createCluster } from '../../src/adapters/kubernetes/cluster.ts';
import { createRouter, routerNameOf } from '../../src/adapters/traffic/index.ts';
import type { Target, Traffic } from '../../src/core/plan.ts';
import type { RouterWorld } from '../contracts/router.ts';
import type { Json, Kube } from './kube.ts';
import { makeWorld, named, silent, unmakeWorld } from './world.ts';

type System = {
  readonly traffic: (namespace: string) => Traffic;
  /** Left out: a twin. */
  readonly workload?: Target['workload'];
  /** What its owners made. */
  readonly given: (namespace: string) => Record<string, Json>;
  /** … and what says no share: the contract is about the rest. */
  readonly beside?: (namespace: string) => Record<string, Json>;
  /** What its Deployment selects by besides `app`. */
  readonly labels?: Json;
  /** Path of the object that Sluice claims. */
  readonly claimed: (namespace: string) => string;
  /** What of the claimed object is Sluice's own from birth, or undefined to compare all of it. */
  readonly isAtRest?: (object: Json) => boolean;
  /** Path of what the claimed object was made for, by Sluice. */
  readonly owner?: (namespace: string) => string;
  /** What of the owner the claimed object repeats. */
  readonly moved?: (owner: Json) => Json;
  /** Left out: the object says no weight. */
  readonly setWeight?: (object: Json, weight: number) => Json;
  readonly editOther: (object: Json) => Json;
};

const istio = (namespace: string) => `/apis/networking.istio.io/v1/namespaces/${namespace}/virtualservices`;
const smi = (namespace: string) => `/apis/split.smi-spec.io/v1alpha2/namespaces/${namespace}/trafficsplits`;
const rules = (namespace: string) => `/apis/networking.istio.io/v1/namespaces/${namespace}/destinationrules`;
const ingresses = (namespace: string) => `/apis/networking.k8s.io/v1/namespaces/${namespace}/ingresses`;

const withWeight = ({ spec }: Json, weight: number) => ({
  spec: {
    http: spec.http.map((one: Json) => {
      const [stable, canary] = one.route;
      if (!canary) return one;
      return {
        ...one,
        route: [
          { ...stable, weight: 100 - weight },
          { ...canary, weight },
        ],
      };
    }),
  },
});
const withTimeout = ({ spec }: Json) => ({
  spec: { http: spec.http.map((one: Json) => (one.timeout ? { ...one, timeout: '20s' } : one)) },
});

/** `prefix`: of its annotations. */
const nginx = (prefix: string) =>
  ({
    traffic: (namespace) => ({ router: 'ingress-nginx', ingress: `${namespace}/world`, annotations: prefix }),
    given: (namespace) => ({
      [ingresses(namespace)]: {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'Ingress',
        metadata: { name: 'world', annotations: { [`${prefix}/rewrite-target`]: '/' } },
        spec: {
          ingressClassName: 'nginx',
          rules: [
            {
              host: `${namespace}.example.com`,
              http: {
                paths: [
                  { path: '/', pathType: 'Prefix', backend: { service: { name: 'world', port: { name: 'http' } } } },
                  { path: '/other', pathType: 'Prefix', backend: { service: { name: 'other', port: { number: 80 } } } },
                ],
              },
            },
          ],
        },
      },
    }),
    claimed: (namespace) => `${ingresses(namespace)}/world-canary`,
    isAtRest: ({ metadata: { annotations } }) =>
      annotations[`${prefix}/canary`] === 'true' &&
      annotations[`${prefix}/canary-weight`] === '0' &&
      !annotations[`${prefix}/canary-by-header`],
    owner: (namespace) => `${ingresses(namespace)}/world`,
    moved: ({ spec }) => ({
      spec: { rules: spec.rules.map((rule: Json) => ({ ...rule, host: 'moved.example.com' })) },
    }),
    setWeight: (_, weight) => ({ metadata: { annotations: { [`${prefix}/canary-weight`]: `${weight}` } } }),
    editOther: () => ({ metadata: { annotations: { [`${prefix}/affinity-canary-behavior`]: 'sticky' } } }),
  }) satisfies System;

export const SYSTEMS = {
  smi: {
    traffic: (namespace) => ({ router: 'smi', split: `${namespace}/world` }),
    given: (namespace) => ({
      [smi(namespace)]: {
        apiVersion: 'split.smi-spec.io/v1alpha2',
        kind: 'TrafficSplit',
        metadata: { name: 'world', labels: { team: 'hello' } },
        spec: { service: `world.${namespace}`, backends: [{ service: 'world', weight: 7 }] },
      },
    }),
    claimed: (namespace) => `${smi(namespace)}/world`,
    setWeight: ({ spec }, weight) => {
      const [canary, stable] = spec.backends;
      return {
        spec: {
          backends: [
            { ...canary, weight },
            { ...stable, weight: 100 - weight },
          ],
        },
      };
    },
    editOther: () => ({ metadata: { labels: { team: 'goodbye' } } }),
  },
  'smi, made when missing': {
    traffic: (namespace) => ({ router: 'smi', split: `${namespace}/world` }),
    given: () => ({}),
    claimed: (namespace) => `${smi(namespace)}/world`,
    isAtRest: ({ spec }) => JSON.stringify(spec.backends) === '[{"service":"world","weight":100}]',
    owner: (namespace) => `/api/v1/namespaces/${namespace}/services/world`,
    setWeight: ({ spec }, weight) => {
      const [canary, stable] = spec.backends;
      return {
        spec: {
          backends: [
            { ...canary, weight },
            { ...stable, weight: 100 - weight },
          ],
        },
      };
    },
    editOther: () => ({ metadata: { labels: { team: 'goodbye' } } }),
  },
  istio: {
    traffic: (namespace) => ({ router: 'istio', virtualService: `${namespace}/world`, http: [] }),
    given: (namespace) => ({
      [istio(namespace)]: {
        apiVersion: 'networking.istio.io/v1',
        kind: 'VirtualService',
        metadata: { name: 'world', labels: { team: 'hello' } },
        spec: {
          hosts: ['world'],
          http: [
            { name: 'other', match: [{ uri: { prefix: '/other' } }], route: [{ destination: { host: 'other' } }] },
            {
              name: 'api',
              match: [{ uri: { prefix: '/api' } }, { headers: { 'x-api': { exact: 'yes' } } }],
              retries: { attempts: 2, perTryTimeout: '1s' },
              route: [{ destination: { host: `world.${namespace}.svc.cluster.local`, port: { number: 80 } } }],
            },
            {
              timeout: '10s',
              route: [{ destination: { host: 'world' }, weight: 100, headers: { response: { add: { 'x-a': 'b' } } } }],
            },
          ],
        },
      },
    }),
    claimed: (namespace) => `${istio(namespace)}/world`,
    setWeight: withWeight,
    editOther: withTimeout,
  },
  'istio, by subsets': {
    traffic: (namespace) => ({
      router: 'istio',
      virtualService: `${namespace}/world`,
      http: [],
      destinationRule: `${namespace}/world`,
    }),
    labels: { version: 'v1' },
    given: (namespace) => ({
      [istio(namespace)]: {
        apiVersion: 'networking.istio.io/v1',
        kind: 'VirtualService',
        metadata: { name: 'world', labels: { team: 'hello' } },
        spec: {
          hosts: ['world'],
          http: [
            { name: 'other', match: [{ uri: { prefix: '/other' } }], route: [{ destination: { host: 'other' } }] },
            {
              name: 'api',
              match: [{ uri: { prefix: '/api' } }, { headers: { 'x-api': { exact: 'yes' } } }],
              retries: { attempts: 2, perTryTimeout: '1s' },
              route: [
                { destination: { host: `world.${namespace}.svc.cluster.local`, subset: 'one', port: { number: 80 } } },
              ],
            },
            {
              timeout: '10s',
              route: [
                {
                  destination: { host: 'world', subset: 'one' },
                  weight: 100,
                  headers: { response: { add: { 'x-a': 'b' } } },
                },
              ],
            },
          ],
        },
      },
    }),
    beside: (namespace) => ({
      [rules(namespace)]: {
        apiVersion: 'networking.istio.io/v1',
        kind: 'DestinationRule',
        metadata: { name: 'world' },
        spec: {
          host: 'world',
          trafficPolicy: { loadBalancer: { simple: 'LEAST_REQUEST' } },
          subsets: [
            {
              name: 'one',
              labels: { version: 'v1' },
              trafficPolicy: { connectionPool: { http: { maxRetries: 1 } } },
            },
            { name: 'none', labels: { version: 'v0' } },
          ],
        },
      },
    }),
    claimed: (namespace) => `${istio(namespace)}/world`,
    setWeight: withWeight,
    editOther: withTimeout,
  },
  'ingress-nginx': nginx('nginx.ingress.kubernetes.io'),
  'ingress-nginx, by another prefix': nginx('edge.example.com'),
  kubernetes: {
    traffic: (namespace) => ({ router: 'kubernetes', service: `${namespace}/world` }),
    given: () => ({}),
    claimed: (namespace) => `/api/v1/namespaces/${namespace}/services/world`,
    setWeight: (_, weight) => ({ spec: { selector: { app: weight === 0 ? 'world' : 'world-canary' } } }),
    editOther: () => ({ spec: { sessionAffinity: 'ClientIP' } }),
  },
  'kubernetes, in place': {
    traffic: (namespace) => ({ router: 'kubernetes', service: `${namespace}/world` }),
    workload: 'in-place',
    given: () => ({}),
    claimed: (namespace) => `/api/v1/namespaces/${namespace}/services/world`,
    editOther: () => ({ spec: { sessionAffinity: 'ClientIP' } }),
  },
} as const satisfies Record<string, System>;

/** A world for the router contract. */
/** `served`: which versions of which groups the routers find, of those that the API server has; left out: all. */
export async function routeWorld(
  kubeconfig: string,
  kube: Kube,
  { owner, moved, workload = 'twin', setWeight, ...system }: System,
  served: Readonly<Record<string, string>> = {},
): Promise<RouterWorld> {
  const world = await makeWorld(kube, { route: false, ...(system.labels && { labels: system.labels }) });
  const { namespace } = world.target;
  const traffic = system.traffic(namespace);
  const target: Target = { ...world.target, workload, traffic };
  const given = Object.entries(system.given(namespace));
  const beside = Object.entries(system.beside?.(namespace) ?? {});
  for (const [path, body] of [...given, ...beside]) await kube.call('POST', path, body);
  const claimed = system.claimed(namespace);
  const sent: string[] = [];
  const onRequest = (verb: string) => void sent.push(verb);
  const clusters = [{ onRequest }, {}].map((more) =>
    ofVersion(createCluster({ kubeconfig, log: silent, ...more }), served),
  );
  const [router, other] = clusters.map((cluster) => createRouter(routerNameOf(target), { cluster, log: silent }));
  if (!router || !other) throw new Error('two routers are made above');

  const { clusterIP } = (await kube.get(world.paths.service)).spec;
  const plain = ({ metadata, spec: stored }: Json) => {
    // Each world gets another address.
    const spec = JSON.parse(JSON.stringify(stored).replaceAll(clusterIP, 'its address'));
    const annotations = Object.entries(metadata.annotations ?? {}).filter(([key]) => !key.startsWith('sluice.dev/'));
    const { 'app.kubernetes.io/managed-by': _, ...labels } = metadata.labels ?? {};
    return { labels, annotations, spec };
  };
  /** Whatever was given or is claimed; what Sluice made counts only while it says something. */
  const read = async () => {
    const found = [];
    for (const path of [...given.map(([list, { metadata }]) => `${list}/${metadata.name}`), claimed]) {
      const object = await kube.get(path);
      if (object && !(path === claimed && system.isAtRest?.(object))) found.push(plain(object));
    }
    return found;
  };
  const stored = async () => {
    const object = await kube.get(claimed);
    if (!object) throw new Error(`${claimed} is gone`);
    return object;
  };
  return {
    router,
    other,
    target,
    sent: () => sent,
    read,
    async fields() {
      const paths = [...given, ...beside].map(([list, { metadata }]) => `${list}/${metadata.name}`);
      const found = await Promise.all([...new Set([...paths, claimed])].map((path) => kube.get(path)));
      return Object.fromEntries(found.filter((object) => object !== null).map(named));
    },
    async marks() {
      const { annotations = {} } = (await stored()).metadata;
      const own = Object.entries<string>(annotations).filter(([key]) => key.startsWith('sluice.dev/'));
      return Object.fromEntries(own.map(([key, value]) => [key.slice('sluice.dev/'.length), value]));
    },
    revision: async () => (await kube.get(claimed))?.metadata.resourceVersion ?? '',
    ...(setWeight && { setWeight: async (weight) => kube.merge(claimed, setWeight(await stored(), weight)) }),
    editOther: async () => {
      const [path = claimed] = system.isAtRest ? [claimed] : [];
      const object = await kube.get(path);
      if (object) await kube.merge(path, system.editOther(object));
    },
    async unmark() {
      const { annotations } = (await stored()).metadata;
      const own = Object.keys(annotations).filter((key) => key.startsWith('sluice.dev/'));
      await kube.merge(claimed, { metadata: { annotations: Object.fromEntries(own.map((key) => [key, null])) } });
    },
    async giveAway() {
      const [[list, body] = []] = given;
      const path = list ? `${list}/${body.metadata.name}` : world.paths.service;
      await kube.merge(path, { metadata: { annotations: { 'flagger.app/owner': 'world' } } });
    },
    async remove() {
      // What is made for another object goes before that: else the garbage collector may be faster.
      const paths = [claimed, ...given.map(([list, { metadata }]) => `${list}/${metadata.name}`), world.paths.service];
      for (const path of new Set(paths)) if (await kube.get(path)) await kube.call('DELETE', path);
    },
    ...(owner && {
      owner: {
        ...(moved && {
          move: async () => kube.merge(owner(namespace), moved(await kube.get(owner(namespace)))),
        }),
        remove: async () => kube.call('DELETE', owner(namespace)),
        hasLeft: async () => (await kube.get(claimed)) === null,
      },
    }),
    async end() {
      for (const cluster of clusters) await cluster.close();
      await unmakeWorld(kube, world);
    },
  };
}

/** As if the API server had, of these groups, this version only. */
export const ofVersion = (cluster: Cluster, served: Readonly<Record<string, string>>): Cluster => ({
  ...cluster,
  async versions(group) {
    const [all, only] = [await cluster.versions(group), served[group]];
    return only === undefined ? all : all.filter((version) => version === only);
  },
});
