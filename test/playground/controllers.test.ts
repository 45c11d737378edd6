import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import type { Deployment, NewObject } from '../../playground/api-server/objects.ts';
import { createStore, type Store } from '../../playground/api-server/store.ts';
import { startControllers } from '../../playground/controllers/index.ts';

const namespace = 'hello';
let store: Store;
let controllers: { stop(): void };
let lastIp = 0;
let stopped: string[];

beforeEach(() => {
  store = createStore();
  stopped = [];
  const run = async (pod: { metadata: { name: string } }) => {
    lastIp += 1;
    return { ip: `10.0.0.${lastIp}`, stop: () => stopped.push(pod.metadata.name) };
  };
  controllers = startControllers(store, { readyAfterMs: 10, drainMs: 40, routeStatusMs: 5, run });
  store.create(kinds.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
});
afterEach(() => controllers.stop());

/** Resolves at the first change after which `check` holds. */
function until(check: () => boolean): Promise<void> {
  if (check()) return Promise.resolve();
  return new Promise((resolve) => {
    const stop = store.subscribe(() => {
      if (!check()) return;
      stop();
      resolve();
    });
  });
}

function newDeployment(image: string, replicas = 2, more: Partial<Deployment['spec']> = {}): NewObject {
  const labels = { app: 'world' };
  const containers = [{ name: 'main', image, ports: [{ containerPort: 7778 }] }];
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'world', namespace },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers } },
      ...more,
    },
  };
}

const world = () => store.demand(kinds.deployments, namespace, 'world');
const pods = () => store.list(kinds.pods, namespace);
const condition = (type: string) => world().status?.conditions?.find((one) => one.type === type);

function isComplete(): boolean {
  const { metadata, spec, status } = world();
  const counts = [status?.replicas, status?.updatedReplicas, status?.availableReplicas];
  return status?.observedGeneration === metadata.generation && counts.every((count) => (count ?? 0) === spec.replicas);
}

function setImage(image: string): void {
  const { metadata, ...deployment } = world();
  const { template } = deployment.spec;
  const containers = template.spec.containers.map((container) => ({ ...container, image }));
  const spec = { ...deployment.spec, template: { ...template, spec: { ...template.spec, containers } } };
  store.update(kinds.deployments, { ...deployment, metadata, spec }, 'main');
}

describe('a Deployment', () => {
  it('gets Ready pods by way of a ReplicaSet', async () => {
    store.create(kinds.deployments, newDeployment('world:v1'));
    await until(isComplete);
    expect(pods().map(({ status }) => status?.phase)).toEqual(['Running', 'Running']);
    expect(condition('Progressing')).toMatchObject({ status: 'True', reason: 'NewReplicaSetAvailable' });
    expect(condition('Available')).toMatchObject({ status: 'True' });
  });

  it.each([
    ['none may be missing', { maxSurge: 1, maxUnavailable: 0 }, 4, 4, 5],
    ['none may be too many', { maxSurge: 0, maxUnavailable: 1 }, 4, 3, 4],
    ['quarters', { maxSurge: '25%', maxUnavailable: '25%' }, 4, 3, 5],
  ])('keeps within its limits while it rolls: %s', async (_, rollingUpdate, replicas, least, most) => {
    store.create(
      kinds.deployments,
      newDeployment('world:v1', replicas, { strategy: { type: 'RollingUpdate', rollingUpdate } }),
    );
    await until(isComplete);
    const wanted: number[] = [];
    const ready: number[] = [];
    store.subscribe(() => {
      const sets = store.list(kinds.replicaSets, namespace);
      wanted.push(sets.reduce((total, { spec }) => total + spec.replicas, 0));
      const living = pods().filter(({ metadata }) => !metadata.deletionTimestamp);
      ready.push(living.filter(({ status }) => status?.phase === 'Running').length);
    });
    setImage('world:v2');
    await until(() => isComplete() && pods().length === replicas);
    expect(Math.max(...wanted)).toBeLessThanOrEqual(most);
    expect(Math.min(...ready)).toBeGreaterThanOrEqual(least);
    expect(new Set(pods().map(({ spec }) => spec.containers[0]?.image))).toEqual(new Set(['world:v2']));
  });

  it('ends all old pods first when it is recreated', async () => {
    store.create(kinds.deployments, newDeployment('world:v1', 2, { strategy: { type: 'Recreate' } }));
    await until(isComplete);
    let mixed = false;
    store.subscribe(() => {
      mixed ||= new Set(pods().map(({ spec }) => spec.containers[0]?.image)).size > 1;
    });
    setImage('world:v2');
    await until(isComplete);
    expect(mixed).toBe(false);
  });

  it('takes the ReplicaSet of an earlier template again, as the newest revision', async () => {
    store.create(kinds.deployments, newDeployment('world:v1'));
    await until(isComplete);
    setImage('world:v2');
    await until(isComplete);
    setImage('world:v1');
    await until(isComplete);
    expect(store.list(kinds.replicaSets, namespace)).toHaveLength(2);
    expect(world().metadata.annotations).toEqual({ 'deployment.kubernetes.io/revision': '3' });
  });

  it.each([
    ['world:v2-missing', 'ImagePullBackOff'],
    ['world:v2-crash', 'CrashLoopBackOff'],
  ])('keeps its old pods when %s never becomes Ready, and can go back', async (image, reason) => {
    store.create(kinds.deployments, newDeployment('world:v1'));
    await until(isComplete);
    setImage(image);
    const failing = () => pods().find(({ status }) => status?.phase === 'Pending' && status.containerStatuses);
    await until(() => failing() !== undefined);
    expect(failing()?.status?.containerStatuses).toMatchObject([{ ready: false, state: { waiting: { reason } } }]);
    expect(world().status).toMatchObject({ availableReplicas: 2, updatedReplicas: 1 });
    setImage('world:v1');
    await until(() => isComplete() && pods().length === 2);
  });

  it('says when its progress deadline has passed', async () => {
    store.create(kinds.deployments, newDeployment('world:v1-missing', 1, { progressDeadlineSeconds: 1 }));
    await until(() => condition('Progressing')?.reason === 'ProgressDeadlineExceeded');
    expect(condition('Progressing')?.status).toBe('False');
  });

  it('says when a quota stops its pods', async () => {
    const metadata = { name: 'small', namespace };
    store.create(kinds.resourceQuotas, {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata,
      spec: { hard: { pods: '1' } },
    });
    store.create(kinds.deployments, newDeployment('world:v1', 3));
    await until(() => condition('ReplicaFailure') !== undefined);
    expect(condition('ReplicaFailure')).toMatchObject({ status: 'True', reason: 'FailedCreate' });
    expect(condition('ReplicaFailure')?.message).toContain('exceeded quota: small');
    expect(pods()).toHaveLength(1);
  });

  it('takes its ReplicaSets and pods along when it is deleted; pods drain first', async () => {
    store.create(kinds.deployments, newDeployment('world:v1'));
    await until(isComplete);
    store.remove(kinds.deployments, namespace, 'world');
    await until(() => pods().some(({ metadata }) => metadata.deletionTimestamp !== undefined));
    expect(stopped).toEqual([]);
    await until(() => pods().length === 0);
    expect(stopped).toHaveLength(2);
    expect(store.list(kinds.replicaSets, namespace)).toEqual([]);
  });
});

describe('the endpoints of a Kubernetes Service', () => {
  const slice = () => store.list(kinds.endpointSlices, namespace)[0];
  const readiness = () => (slice()?.endpoints ?? []).map(({ conditions }) => conditions.ready);

  beforeEach(() => {
    const spec = { selector: { app: 'world' }, ports: [{ name: 'http', port: 80, targetPort: 7778 }] };
    store.create(kinds.services, { apiVersion: 'v1', kind: 'Service', metadata: { name: 'world', namespace }, spec });
  });

  it('are null without pods, then follow them', async () => {
    await until(() => slice() !== undefined);
    expect(slice()).toMatchObject({ endpoints: null, ports: null });
    store.create(kinds.deployments, newDeployment('world:v1'));
    await until(() => readiness().filter(Boolean).length === 2);
    expect(slice()?.ports).toEqual([{ name: 'http', protocol: 'TCP', port: 7778 }]);
    expect(slice()?.metadata.labels).toMatchObject({ 'kubernetes.io/service-name': 'world' });
  });

  it('are no longer ready while a pod ends, but still serve', async () => {
    store.create(kinds.deployments, newDeployment('world:v1'));
    await until(() => readiness().filter(Boolean).length === 2);
    store.remove(kinds.deployments, namespace, 'world');
    await until(() => !readiness().includes(true));
    expect(slice()?.endpoints?.[0]?.conditions).toEqual({ ready: false, serving: true, terminating: true });
    await until(() => slice()?.endpoints === null);
  });
});

describe('an HTTPRoute', () => {
  const route = () => store.demand(kinds.httpRoutes, namespace, 'world');
  const conditions = () =>
    route().status?.parents[0]?.conditions.map(({ type, status, reason }) => [type, status, reason]);

  function create(gateway: string, sectionName?: string): void {
    const parentRefs = [{ name: gateway, ...(sectionName && { sectionName }) }];
    const apiVersion = 'gateway.networking.k8s.io/v1';
    const spec = { listeners: [{ name: 'web' }] };
    store.create(kinds.gateways, { apiVersion, kind: 'Gateway', metadata: { name: 'public', namespace }, spec });
    store.create(kinds.httpRoutes, {
      apiVersion,
      kind: 'HTTPRoute',
      metadata: { name: 'world', namespace },
      spec: { parentRefs, rules: [{ backendRefs: [{ name: 'world', port: 80 }] }] },
    });
  }

  it('is confirmed at its generation, or says which Kubernetes Service is missing', async () => {
    create('public');
    await until(() => route().status !== undefined);
    expect(conditions()).toContainEqual(['ResolvedRefs', 'False', 'BackendNotFound']);
    const spec = { selector: { app: 'world' }, ports: [{ port: 80 }] };
    store.create(kinds.services, { apiVersion: 'v1', kind: 'Service', metadata: { name: 'world', namespace }, spec });
    await until(() => conditions()?.some(([type, status]) => type === 'ResolvedRefs' && status === 'True') === true);
    expect(conditions()).toContainEqual(['Accepted', 'True', 'Accepted']);
    expect(route().status?.parents[0]?.conditions[0]?.observedGeneration).toBe(1);
  });

  it('is not accepted by a listener that its Gateway does not have', async () => {
    create('public', 'unknown');
    await until(() => route().status !== undefined);
    expect(conditions()).toContainEqual(['Accepted', 'False', 'NoMatchingParent']);
  });

  it('gets no status when nobody knows its Gateway', async () => {
    create('unknown');
    const spec = { selector: { app: 'world' }, ports: [{ port: 80 }] };
    store.create(kinds.services, { apiVersion: 'v1', kind: 'Service', metadata: { name: 'world', namespace }, spec });
    store.create(kinds.deployments, newDeployment('world:v1'));
    await until(isComplete);
    expect(route().status).toBeUndefined();
  });
});
