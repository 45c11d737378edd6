/** What is rolled out: Deployment, Kubernetes Service and what routes it, of one name in a namespace of their own. */
import { randomBytes } from 'node:crypto';
import { createKube, type Kube, type Meta, type Watching } from './kube.ts';
import { createUsers } from './load.ts';
import { GATEWAY, type Routed, type System } from './systems.ts';
import { until } from './wait.ts';

type Deployment = {
  readonly metadata: Meta;
  readonly spec: {
    readonly replicas: number;
    readonly template: { readonly spec: { readonly containers: readonly { readonly image: string }[] } };
  };
  readonly status: {
    readonly availableReplicas?: number;
    readonly updatedReplicas?: number;
    readonly replicas?: number;
  };
};
type Named = { readonly metadata: Meta };

export type World = Awaited<ReturnType<typeof createWorld>>;

export async function createWorld(kube: Kube = createKube(), name = 'world', system: System = GATEWAY) {
  const entry = system.entry instanceof URL ? system.entry.origin : process.env[system.entry];
  if (!entry) throw new Error(`${system.entry} is not set; it names the proxy that the requests go through`);
  const namespace = `e2e-${randomBytes(4).toString('hex')}`;
  const host = system.host(name, namespace);
  const paths = {
    deployment: `/apis/apps/v1/namespaces/${namespace}/deployments`,
    service: `/api/v1/namespaces/${namespace}/services`,
    route: system.path(namespace),
    pod: `/api/v1/namespaces/${namespace}/pods`,
  };
  const own = system.version === undefined ? name : `${name}-${system.version}`;
  const users = createUsers(entry, host);
  await kube.create('/api/v1/namespaces', { metadata: { name: namespace } });
  await kube.create(paths.deployment, deployment(name, own, system));
  await kube.create(paths.service, {
    metadata: { name: own },
    spec: { selector: own === name ? { app: name } : labelsOf(name, system), ports: [{ port: 80, targetPort: 8080 }] },
  });
  const given = system.given(name, host);
  if (given) await kube.create(paths.route, given);
  const beside = system.beside?.(name, namespace);
  if (beside) await kube.create(beside.path, beside.object);
  const outside = await system.outside?.({ kube, name, own, namespace });
  /** As it is; undefined: nothing is there besides. */
  const getBeside = async () => beside && (await kube.get<Routed>(`${beside.path}/${name}`));
  const getWatched = (named: string) => outside?.get() ?? kube.get<Routed>(`${paths.route}/${named}`);
  const getRoute = () => getWatched(name);
  const getDeployment = (named = own) => kube.get<Deployment>(`${paths.deployment}/${named}`);
  await until(`both pods of ${name} are available`, async () => (await getDeployment()).status.availableReplicas === 2);
  await until(`${host} answers`, async () => (await users.send(1)).byVersion.v1 === 1);
  const before = {
    route: (await getRoute()).spec,
    beside: (await getBeside())?.spec,
    template: (await getDeployment()).spec.template,
  };

  return {
    name,
    namespace,
    system,
    kube,
    paths,
    users,
    before,
    getRoute,
    /** Calls back with each revision of the route that Sluice writes. */
    watchRoute(on: (route: Routed) => void): Watching {
      if (outside) return outside.watch(on);
      // All of the namespace: what Sluice makes is not there yet.
      return kube.watch<Routed>(paths.route, ({ type, object }) => {
        if (type !== 'DELETED' && object.metadata.name === system.watched(name)) on(object);
      });
    },
    getBeside,
    getDeployment,
    /** Pods of the Deployment as it was made, not of its canary. */
    pods: () => kube.list<Named>(`${paths.pod}?labelSelector=${encodeURIComponent(selectorOf(name, system))}`),
    /** Everything in the namespace that Sluice made or would have made. */
    async leftovers(): Promise<readonly string[]> {
      const found = await Promise.all(
        [paths.deployment, paths.service].map(async (path) => {
          const all = await kube.list<Named>(path);
          return all.filter(
            ({ metadata }) => metadata.name !== own || metadata.labels?.['app.kubernetes.io/managed-by'] === 'sluice',
          );
        }),
      );
      return found.flat().map(({ metadata }) => metadata.name);
    },
    /** What Sluice left on the route and on the Deployment, by object. */
    async marks() {
      const route = await getWatched(system.watched(name));
      const beside = await getBeside();
      const objects = { route, deployment: await getDeployment(), ...(beside && { beside }) };
      return Object.fromEntries(Object.entries(objects).map(([kind, { metadata }]) => [kind, marksOf(metadata)]));
    },
    /** Makes one pod of the Deployment unready, as a failing readiness probe does. */
    async unreadyOne() {
      const [pod] = await this.pods();
      if (!pod) throw new Error(`${name} has no pod`);
      const value = [{ type: 'Ready', status: 'False', reason: 'ProbeFailed' }];
      await kube.jsonPatch(`${paths.pod}/${pod.metadata.name}/status`, [
        { op: 'replace', path: '/status/conditions', value },
      ]);
    },
    /** New pods in place of all, as after a repair. */
    async replacePods() {
      for (const { metadata } of await this.pods()) await kube.delete(`${paths.pod}/${metadata.name}`);
      await until(
        `both pods of ${name} are available`,
        async () => (await getDeployment()).status.availableReplicas === 2,
      );
    },
    async remove() {
      await users.close();
      await outside?.close();
      await kube.delete(`/api/v1/namespaces/${namespace}`);
    },
  };
}

/** Sluice's annotations without their prefix. */
export const marksOf = ({ annotations = {} }: Meta): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(annotations)
      .filter(([key]) => key.startsWith('sluice.dev/'))
      .map(([key, value]) => [key.slice('sluice.dev/'.length), value]),
  );

const labelsOf = (name: string, { labels }: System) => ({ app: name, ...labels });
const selectorOf = (name: string, system: System) =>
  Object.entries(labelsOf(name, system))
    .map((pair) => pair.join('='))
    .join();

function deployment(name: string, own: string, system: System) {
  const labels = labelsOf(name, system);
  const container = { name, image: 'buoyantio/world:v1', ports: [{ containerPort: 8080 }] };
  return {
    metadata: { name: own, labels },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: { metadata: { labels }, spec: { containers: [container] } },
    },
  };
}
