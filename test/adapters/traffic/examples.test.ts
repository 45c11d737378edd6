/** manifests/examples/<router>, loaded and applied: nothing speaks against a rollout of it, and its rights are enough. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { createPlayground } from '../../../playground/playground.ts';
import { type Cluster, createCluster } from '../../../src/adapters/kubernetes/cluster.ts';
import { missingRights } from '../../../src/adapters/kubernetes/rights.ts';
import { missingRolloutRights } from '../../../src/adapters/kubernetes/rollout-rights.ts';
import { createWorkloads } from '../../../src/adapters/kubernetes/workloads.ts';
import { createRouter, routerNameOf } from '../../../src/adapters/traffic/index.ts';
import { locate, targetOf } from '../../../src/app/locate.ts';
import { diagnose } from '../../../src/cli/doctor.ts';
import { stepsOf } from '../../../src/core/config.ts';
import { parseConfig } from '../../../src/core/parse-config.ts';
import { refusals } from '../../../src/core/support.ts';
import { type Kube, openKube } from '../../cluster/kube.ts';
import { silent } from '../../cluster/world.ts';

const PATHS: Readonly<Record<string, string>> = {
  Service: '/api/v1/namespaces/hello/services',
  Deployment: '/apis/apps/v1/namespaces/hello/deployments',
  VirtualService: '/apis/networking.istio.io/v1/namespaces/hello/virtualservices',
  DestinationRule: '/apis/networking.istio.io/v1/namespaces/hello/destinationrules',
  Ingress: '/apis/networking.k8s.io/v1/namespaces/hello/ingresses',
  HTTPRoute: '/apis/gateway.networking.k8s.io/v1/namespaces/hello/httproutes',
};

type Example = {
  /** Of the object that has the name of the service and says where its requests go, and doctor's words when that is gone. */
  readonly route: string;
  readonly lost: readonly string[];
  readonly warnings?: readonly RegExp[];
};
const absent = (object: string, key: string, service = 'world') =>
  `${object} does not exist: name an existing one in traffic.${key} of service ${service}.`;
const unserved = (name: string) =>
  `No Kubernetes Service in namespace hello selects the pods of Deployment hello/${name}: make one, and route to it.`;
const bySubsets = { warnings: [/no VirtualService directs/] };

describe.each<[folder: string, service: string, Example]>([
  // Its TrafficSplit is made when it is missing.
  ['smi', 'world', { route: 'Service', lost: [unserved('world')] }],
  ['istio', 'world', { route: 'VirtualService', lost: [absent('VirtualService hello/world', 'virtualService')] }],
  [
    'istio-subsets',
    'world',
    { route: 'VirtualService', lost: [absent('VirtualService hello/world', 'virtualService')], ...bySubsets },
  ],
  [
    'istio-subsets',
    'world',
    { route: 'DestinationRule', lost: [absent('DestinationRule hello/world', 'destinationRule')], ...bySubsets },
  ],
  ['ingress-nginx', 'world', { route: 'Ingress', lost: [absent('Ingress hello/world', 'ingress')] }],
  ['kubernetes', 'world', { route: 'Service', lost: [unserved('world'), absent('Service hello/world', 'service')] }],
  [
    'kubernetes',
    'hello',
    { route: 'Service', lost: [unserved('hello'), absent('Service hello/hello', 'service', 'hello')] },
  ],
  ['versioned', 'world', { route: 'HTTPRoute', lost: [absent('HTTPRoute hello/world', 'route')] }],
])('the example of %s, service %s', (router, name, { route, lost, warnings = [] }) => {
  const folder = join('manifests/examples', router);
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  const parsed = parseConfig(parse(read('sluice.yaml')));
  const config = parsed.ok ? parsed.config : null;
  const service = config?.services[name];
  const configured = service && targetOf(service);

  let playground: Awaited<ReturnType<typeof createPlayground>>;
  let cluster: Cluster;
  let kube: Kube;
  beforeAll(async () => {
    playground = await createPlayground({ readyAfterMs: 20, drainMs: 20, world: false });
    cluster = createCluster({ kubeconfig: playground.kubeconfig, log: silent });
    kube = openKube(playground.kubeconfig);
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'hello' } };
    await kube.call('POST', '/api/v1/namespaces', namespace);
    for (const manifest of parseAllDocuments(read('world.yaml')).map((one) => one.toJS()))
      await kube.call('POST', PATHS[manifest.kind] ?? '', manifest);
  });
  afterAll(async () => {
    await kube.close();
    await cluster.close();
    await playground.stop();
  });

  it('is valid, and each of its strategies can be carried out', () => {
    expect(parsed).toMatchObject({ ok: true });
    if (!config || !service) return;
    for (const strategy of service.strategies) {
      expect(refusals(strategy, stepsOf(config, service, strategy).steps, service.target), strategy).toEqual([]);
    }
  });

  it('can be rolled out', async () => {
    if (!configured || !service) throw new Error('the example does not roll it out');
    const router = createRouter(routerNameOf(configured), { cluster, log: silent });
    const located = await locate(router, configured, { version: '0.1.7' });
    if (!located.ok) throw new Error(located.refusal);
    const { target } = located;
    const looked = await router.preflight(target);
    const warned = warnings.map((words) => expect.stringMatching(words));
    expect(looked).toMatchObject({ ok: true, warnings: warned, facts: { epoch: 0, several: [] } });
    const workload = createWorkloads({ cluster, log: silent })[target.workload];
    expect(await workload.preflight(target, service.image)).toMatchObject({
      ok: true,
      facts: { version: '0.1.6', container: name },
    });
  });

  it('doctor finds it well, and says what is to be done when what routes it is gone', async () => {
    const environment = { KUBECONFIG: playground.kubeconfig, SLUICE_CONFIG: join(folder, 'sluice.yaml') };
    const look = async () => (await diagnose(environment)).filter(({ subject }) => subject === `service ${name}`);
    const [first, ...others] = await look();
    expect(first).toMatchObject({ level: 'ok', text: expect.stringMatching(/ serves 0\.1\.6, routed by /) });
    expect(others).toMatchObject(warnings.map((words) => ({ level: 'warn', text: expect.stringMatching(words) })));
    const path = `${PATHS[route]}/${name}`;
    const { metadata: _, status: __, ...object } = await kube.get(path);
    await kube.call('DELETE', path);
    expect(await look()).toEqual(lost.map((text) => ({ level: 'fail', subject: `service ${name}`, text })));
    await kube.call('POST', PATHS[route] ?? '', { ...object, metadata: { name } });
  });

  it('gives the bot the rights that a rollout needs', async () => {
    if (!configured) throw new Error('the example does not roll it out');
    const { resources, components } = parse(read('kustomization.yaml'));
    const folders: string[] = [...resources, ...components].map((path: string) => join(folder, path));
    expect(folders.filter((path) => !existsSync(join(path, 'kustomization.yaml')))).toEqual([]);
    const resourceRules = folders.flatMap((path) =>
      parse(readFileSync(join(path, 'kustomization.yaml'), 'utf8')).resources.flatMap((file: string) =>
        parseAllDocuments(readFileSync(join(path, file), 'utf8')).flatMap((one) => one.toJS().rules ?? []),
      ),
    );
    const bound = {
      ...cluster,
      missingRights: async (namespace: string, needs: Parameters<typeof missingRights>[1]) =>
        missingRights({ status: { resourceRules } }, needs, namespace),
    };
    expect(await missingRolloutRights(bound, configured)).toEqual([]);
  });
});
