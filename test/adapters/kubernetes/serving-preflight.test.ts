import { describe, expect, it } from 'vitest';
import { read } from '../../../src/adapters/kubernetes/kinds.ts';
import { type Deployment, Deployments, NetworkPolicies } from '../../../src/adapters/kubernetes/objects.ts';
import { coverWarnings, keptWarnings } from '../../../src/adapters/kubernetes/serving-preflight.ts';

const metadata = { name: 'world', namespace: 'hello', uid: 'u', resourceVersion: '1' };
const deploymentOf = (spec: object): Deployment =>
  read(Deployments, {
    metadata,
    spec: {
      selector: { matchLabels: { app: 'world' } },
      template: { metadata: { labels: { app: 'world', team: 'x' } }, spec },
    },
  });
const container = (name: string, image: string) => ({ name, image });
const world = container('world', 'team/world:v1');

describe('network policies', () => {
  const label = { key: 'app', stable: 'world', canary: 'world-canary' };
  const pods = (app: string) => ({ podSelector: { matchLabels: { app } } });
  const team = { podSelector: { matchLabels: { team: 'x' } } };
  const inNamespace = (name: string) => ({
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } },
  });
  const IN = 'NetworkPolicy hello/db lets stable pods in, but not the canary: let in app: world-canary too.';
  const OUT =
    'NetworkPolicy hello/db lets requests out to stable pods, but not to the canary: let them out to app: world-canary too.';

  it.each<[string, object, string[]]>([
    ['a database that is open to stable alone', { ingress: [{ from: [pods('world')] }] }, [IN]],
    ['one that sends to stable alone', { egress: [{ to: [pods('world')] }] }, [OUT]],
    ['both, said once each', { ingress: [{ from: [pods('world')] }], egress: [{ to: [pods('world')] }] }, [IN, OUT]],
    ['one that names both', { ingress: [{ from: [pods('world'), pods('world-canary')] }] }, []],
    [
      'one that names both, a rule each',
      { ingress: [{ from: [pods('world')] }, { from: [pods('world-canary')] }] },
      [],
    ],
    ['one that is open to stable and to all', { ingress: [{ from: [pods('world')] }, {}] }, []],
    ['one that names a label of both', { ingress: [{ from: [team] }] }, []],
    ['one that names others', { ingress: [{ from: [pods('moon')] }] }, []],
    ['one that is open to all', { ingress: [{}], egress: [{ to: [] }] }, []],
    ['one with addresses', { ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }] }, []],
    [
      'one for a namespace that is ours',
      { ingress: [{ from: [{ ...inNamespace('hello'), ...pods('world') }] }] },
      [IN],
    ],
    ['all pods of a namespace that is ours', { ingress: [{ from: [inNamespace('hello')] }] }, []],
    ['one for every namespace', { ingress: [{ from: [{ namespaceSelector: {}, ...pods('world') }] }] }, [IN]],
    ['one for another namespace', { ingress: [{ from: [{ ...inNamespace('edge'), ...pods('world') }] }] }, []],
    ['one without rules', {}, []],
    [
      'one that is for requests out only, whatever else it says',
      { policyTypes: ['Egress'], ingress: [{ from: [pods('world')] }] },
      [],
    ],
    [
      'one that is for requests in only, whatever else it says',
      { policyTypes: ['Ingress'], egress: [{ to: [pods('world')] }] },
      [],
    ],
    [
      'one that says that it is for both',
      {
        policyTypes: ['Ingress', 'Egress'],
        ingress: [{ from: [pods('world')] }],
        egress: [{ to: [pods('world')] }],
      },
      [IN, OUT],
    ],
    ['one whose types are left to Kubernetes', { policyTypes: [], ingress: [{ from: [pods('world')] }] }, [IN]],
  ])('%s', (_, rules, said) => {
    const policy = read(NetworkPolicies, {
      metadata: { ...metadata, name: 'db' },
      spec: { podSelector: { matchLabels: { app: 'db' } }, ...rules },
    });
    const around = { policies: [policy], budgets: [] };
    expect(coverWarnings(deploymentOf({ containers: [world] }), label, around, 'the canary')).toEqual(said);
  });
});

it('policies of the same pods add up', () => {
  const policy = (name: string, app: string) =>
    read(NetworkPolicies, {
      metadata: { ...metadata, name },
      spec: {
        podSelector: { matchLabels: { app: 'db' } },
        ingress: [{ from: [{ podSelector: { matchLabels: { app } } }] }],
      },
    });
  const around = { policies: [policy('db', 'world'), policy('db-canary', 'world-canary')], budgets: [] };
  const label = { key: 'app', stable: 'world', canary: 'world-canary' };
  expect(coverWarnings(deploymentOf({ containers: [world] }), label, around, 'the canary')).toEqual([]);
});

it('a policy of the other type lets nobody in', () => {
  const policy = (name: string, spec: object) =>
    read(NetworkPolicies, {
      metadata: { ...metadata, name },
      spec: { podSelector: { matchLabels: { app: 'db' } }, ...spec },
    });
  const from = [{ podSelector: { matchLabels: { app: 'world' } } }];
  const policies = [policy('db', { ingress: [{ from }] }), policy('out', { policyTypes: ['Egress'], ingress: [{}] })];
  const label = { key: 'app', stable: 'world', canary: 'world-canary' };
  expect(coverWarnings(deploymentOf({ containers: [world] }), label, { policies, budgets: [] }, 'the canary')).toEqual([
    expect.stringMatching(/NetworkPolicy hello\/db lets stable pods in, but not the canary/),
  ]);
});

describe('images of the same pattern beside the one that is rolled out', () => {
  const kept = (who: string, image: string) =>
    `A deploy changes the image of container world only: ${who} of Deployment hello/world keeps ${image}.`;

  it.each<[string, object, string[]]>([
    ['none', { containers: [world, container('proxy', 'else/proxy:v1')] }, []],
    [
      'a migration',
      { containers: [world], initContainers: [container('migrate', 'team/world:v1')] },
      [kept('initContainer migrate', 'team/world:v1')],
    ],
    [
      'a second container',
      { containers: [world, container('worker', 'team/world:v1')] },
      [kept('container worker', 'team/world:v1')],
    ],
    [
      'one pinned by its digest',
      { containers: [world, container('worker', 'team/world:v0@sha256:0')] },
      [kept('container worker', 'team/world:v0@sha256:0')],
    ],
  ])('%s', (_, spec, said) => {
    expect(keptWarnings(deploymentOf(spec), 'world', 'team/world:{version}')).toEqual(said);
  });
});
