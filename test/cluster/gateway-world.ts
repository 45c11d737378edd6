import { createCluster } from '../../src/adapters/kubernetes/cluster.ts';
import { createGatewayApiRouter } from '../../src/adapters/traffic/gateway-api.ts';
import type { RouterWorld } from '../contracts/router.ts';
import type { Json, Kube } from './kube.ts';
import { ofVersion } from './route-worlds.ts';
import { makeWorld, named, silent, unmakeWorld } from './world.ts';

/** Owned and foreign rules in one route: what is not Sluice's must come through unchanged. */
const RULES = [
  {
    matches: [{ path: { type: 'PathPrefix', value: '/other' } }],
    backendRefs: [{ name: 'other', port: 80 }],
  },
  {
    matches: [{ path: { type: 'PathPrefix', value: '/' } }, { path: { type: 'Exact', value: '/x' }, method: 'POST' }],
    filters: [{ type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'x-from', value: 'edge' }] } }],
    timeouts: { request: '10s' },
    backendRefs: [{ name: 'world', port: 80, weight: 7 }],
  },
  {
    matches: [{ path: { type: 'PathPrefix', value: '/api' } }],
    backendRefs: [
      {
        name: 'world',
        port: 80,
        filters: [{ type: 'ResponseHeaderModifier', responseHeaderModifier: { add: [{ name: 'x-a', value: 'b' }] } }],
      },
    ],
  },
];

/** The same where each version has a name of its own. */
const VERSIONED = JSON.parse(JSON.stringify(RULES).replaceAll('"world"', '"world-v1"'));

/** A world for the router contract behind the API server of a kubeconfig. */
export async function gatewayWorld(
  kubeconfig: string,
  kube: Kube,
  workload: 'twin' | 'versioned' = 'twin',
  served: Readonly<Record<string, string>> = {},
): Promise<RouterWorld> {
  const isTwin = workload === 'twin';
  // A route that names what is not there is refused by its controller.
  const services = ['other'];
  const world = await makeWorld(
    kube,
    isTwin ? { rules: RULES, services } : { rules: VERSIONED, version: 'v1', services },
  );
  const { route } = world.paths;
  const sent: string[] = [];
  const onRequest = (verb: string) => void sent.push(verb);
  const clusters = [{ onRequest }, {}].map((more) =>
    ofVersion(createCluster({ kubeconfig, log: silent, ...more }), served),
  );
  const [router, other] = clusters.map((cluster) => createGatewayApiRouter({ cluster, log: silent }));
  if (!router || !other) throw new Error('two routers are made above');
  const edit = async (change: (rules: Json[]) => void) => {
    const { spec } = await kube.get(route);
    change(spec.rules);
    await kube.merge(route, { spec: { rules: spec.rules } });
  };
  return {
    router,
    other,
    target: isTwin
      ? world.target
      : { ...world.target, workload, deployment: 'world-v1', versioned: { base: 'world', canary: 'world-v2' } },
    sent: () => sent,
    async read() {
      const { metadata, spec } = await kube.get(route);
      const annotations = Object.entries(metadata.annotations ?? {}).filter(([key]) => !key.startsWith('sluice.dev/'));
      return { labels: metadata.labels, annotations, spec };
    },
    fields: async () => Object.fromEntries([named(await kube.get(route))]),
    async marks() {
      const { annotations = {} } = (await kube.get(route)).metadata;
      const own = Object.entries<string>(annotations).filter(([key]) => key.startsWith('sluice.dev/'));
      return Object.fromEntries(own.map(([key, value]) => [key.slice('sluice.dev/'.length), value]));
    },
    async revision() {
      // The route's controller writes its status whenever it likes: only what routers write counts.
      const { metadata, spec } = await kube.get(route);
      return JSON.stringify([metadata.generation, metadata.annotations ?? {}, spec]);
    },
    setWeight: (weight) =>
      edit((rules) => {
        for (const { backendRefs } of rules) {
          const [stable, canary] = backendRefs;
          if (canary) [stable.weight, canary.weight] = [100 - weight, weight];
        }
      }),
    editOther: () =>
      edit((rules) => {
        for (const rule of rules) if (rule.timeouts) rule.timeouts.request = '20s';
        rules[rules.length - 1].timeouts = { request: '1s' };
      }),
    async unmark() {
      const { annotations } = (await kube.get(route)).metadata;
      await kube.merge(route, {
        metadata: { annotations: Object.fromEntries(Object.keys(annotations).map((key) => [key, null])) },
      });
    },
    giveAway: () =>
      kube.merge(route, { metadata: { labels: { 'rollouts.argoproj.io/gatewayapi-canary': 'in-progress' } } }),
    remove: () => kube.call('DELETE', route),
    async end() {
      for (const cluster of clusters) await cluster.close();
      await unmakeWorld(kube, world);
    },
  };
}
