import { describe, expect, it } from 'vitest';
import type { Deployment, PodTemplate, Service } from '../../../src/adapters/kubernetes/objects.ts';
import {
  canaryDeployment,
  canaryLabel,
  canaryReplicas,
  newTemplate,
  sideServices,
} from '../../../src/adapters/kubernetes/twin-canary.ts';
import type { Target } from '../../../src/core/plan.ts';
import { planFor } from '../../cluster/world.ts';

const metadata = { name: 'world', namespace: 'hello', uid: 'u', resourceVersion: '1' };
const fence = { rollout: 'world-1', epoch: 3, seq: 2 };
const own = { matchLabels: { app: 'world' } };
const template: PodTemplate = {
  metadata: { labels: { app: 'world', team: 'x' }, annotations: { note: 'kept' } },
  spec: {
    containers: [
      { name: 'world', image: 'world:v1', env: [{ name: 'A', value: '1' }] },
      { name: 'side', image: 'side:v1' },
    ],
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [{ labelSelector: own, topologyKey: 'host' }],
        preferredDuringSchedulingIgnoredDuringExecution: [
          {
            weight: 1,
            podAffinityTerm: {
              labelSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['world', 'cache'] }] },
              topologyKey: 'zone',
            },
          },
        ],
      },
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { labelSelector: { matchLabels: { app: 'cache' } }, topologyKey: 'host' },
        ],
      },
      nodeAffinity: { required: 'untouched' },
    },
    topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', labelSelector: own }],
  },
};
const deployment = (matchLabels: Record<string, string> = { app: 'world' }): Deployment => ({
  metadata,
  spec: {
    replicas: 4,
    selector: { matchLabels },
    template,
    strategy: { type: 'Recreate' },
    minReadySeconds: 5,
    progressDeadlineSeconds: 60,
  },
});
const label = { key: 'app', stable: 'world', canary: 'world-canary' };

describe('the label that tells canary pods apart', () => {
  it.each<[string, Record<string, string>, string | null]>([
    ['app comes first', { name: 'n', 'app.kubernetes.io/name': 'k', app: 'a' }, 'app=a-canary'],
    ['then the recommended one', { name: 'n', 'app.kubernetes.io/name': 'k' }, 'app.kubernetes.io/name=k-canary'],
    ['then name', { name: 'n', tier: 't' }, 'name=n-canary'],
    ['another does not do', { tier: 't' }, null],
  ])('%s', (_, matchLabels, expected) => {
    const found = canaryLabel(deployment(matchLabels));
    expect(found && `${found.key}=${found.canary}`).toBe(expected);
  });

  it.each<[string, Record<string, string>, string | null]>([
    ['version comes first', { app: 'a', release: 'r', version: 'v1' }, 'version=v1-canary'],
    ['another will do', { app: 'a', tier: 't' }, 'tier=t-canary'],
    ["but not one of the Kubernetes Service's own", { app: 'a' }, null],
  ])('behind one Kubernetes Service for both sides: %s', (_, matchLabels, expected) => {
    const shared = { metadata: deployment().metadata, spec: { selector: { app: 'a' } } };
    const found = canaryLabel(deployment(matchLabels), shared);
    expect(found && `${found.key}=${found.canary}`).toBe(expected);
  });
});

it.each([
  [0, 10, 1],
  [10, 3, 1],
  [50, 3, 2],
  [34, 3, 2],
  [33, 3, 1],
  [7, 100, 7],
  [100, 3, 3],
  [100, 0, 1],
])('%i%% of %i pods takes %i', (weight, stable, pods) => {
  expect(canaryReplicas(weight, stable)).toBe(pods);
});

describe('the canary Deployment', () => {
  const { spec, labels, annotations } = canaryDeployment(deployment(), template, label, 50, fence);

  it('is a copy with its own labels, also where its pods mean each other', () => {
    const canary = { matchLabels: { app: 'world-canary' } };
    expect(spec).toEqual({
      replicas: 2,
      strategy: { type: 'Recreate' },
      minReadySeconds: 5,
      progressDeadlineSeconds: 60,
      selector: canary,
      template: {
        metadata: { labels: { app: 'world-canary', team: 'x' }, annotations: { note: 'kept' } },
        spec: {
          ...template.spec,
          affinity: {
            podAntiAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: [{ labelSelector: canary, topologyKey: 'host' }],
              preferredDuringSchedulingIgnoredDuringExecution: [
                {
                  weight: 1,
                  podAffinityTerm: {
                    labelSelector: {
                      matchExpressions: [{ key: 'app', operator: 'In', values: ['world-canary', 'cache'] }],
                    },
                    topologyKey: 'zone',
                  },
                },
              ],
            },
            podAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: [
                { labelSelector: { matchLabels: { app: 'cache' } }, topologyKey: 'host' },
              ],
            },
            nodeAffinity: { required: 'untouched' },
          },
          topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', labelSelector: canary }],
        },
      },
    });
  });

  it('carries what its owners find it by, and no label by which a tool would take it for its own', () => {
    const owned = {
      app: 'world',
      team: 'x',
      version: 'v1',
      'app.kubernetes.io/part-of': 'shop',
      'app.kubernetes.io/instance': 'world',
      'app.kubernetes.io/managed-by': 'Helm',
      'helm.sh/chart': 'world-1.0.0',
      'kustomize.toolkit.fluxcd.io/name': 'shop',
    };
    const stable = { ...deployment(), metadata: { ...metadata, labels: owned } };
    expect(canaryDeployment(stable, template, label, 50, fence).labels).toEqual({
      app: 'world-canary',
      team: 'x',
      'app.kubernetes.io/part-of': 'shop',
      'app.kubernetes.io/managed-by': 'sluice',
    });
  });

  it('is marked from birth', () => {
    expect(labels).toEqual({ app: 'world-canary', 'app.kubernetes.io/managed-by': 'sluice' });
    expect(annotations).toEqual({
      'sluice.dev/rollout': 'world-1',
      'sluice.dev/epoch': '3',
      'sluice.dev/seq': '2',
      'sluice.dev/phase': 'active',
    });
  });
});

describe('the new template', () => {
  const target: Target = {
    service: 'world',
    namespace: 'hello',
    deployment: 'world',
    container: 'world',
    workload: 'twin',
    traffic: { router: 'gateway-api', routes: ['hello/world'] },
  };

  it('is the live one with the image of one container', () => {
    const made = newTemplate(planFor(target, 'v2'), 'world', template);
    expect(made.spec.containers).toEqual([
      { ...template.spec.containers[0], image: 'buoyantio/world:v2' },
      template.spec.containers[1],
    ]);
    expect({ ...made, spec: { ...made.spec, containers: [] } }).toEqual({
      ...template,
      spec: { ...template.spec, containers: [] },
    });
  });

  it('is the journalled one in a rollback', () => {
    const journalled = { spec: { containers: [{ name: 'world', image: 'world:v0' }] } };
    expect(newTemplate(planFor(target, 'v0', { template: journalled }), 'world', template)).toEqual(journalled);
  });
});

describe('the two Kubernetes Services', () => {
  const service: Service = {
    metadata,
    spec: {
      selector: { app: 'world', tier: 'web' },
      type: 'NodePort',
      clusterIP: '10.0.0.1',
      sessionAffinity: 'ClientIP',
      ports: [{ name: 'http', port: 80, targetPort: 7778, nodePort: 30001 }],
    },
  };

  it('select one side each and leave addresses and node ports to the original', () => {
    const { stable, canary } = sideServices(service, label, fence);
    const ports = [{ name: 'http', port: 80, targetPort: 7778 }];
    expect(stable.spec).toEqual({ selector: { app: 'world', tier: 'web' }, ports, sessionAffinity: 'ClientIP' });
    expect(canary.spec).toEqual({ selector: { app: 'world-canary', tier: 'web' }, ports, sessionAffinity: 'ClientIP' });
  });

  it('are headless where the original is', () => {
    const headless = { ...service, spec: { ...service.spec, clusterIP: 'None' } };
    expect(sideServices(headless, label, fence).canary.spec).toMatchObject({ clusterIP: 'None' });
  });
});
