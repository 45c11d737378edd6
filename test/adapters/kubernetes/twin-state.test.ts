import { describe, expect, it } from 'vitest';
import type { Deployment, EndpointSlice, Pod } from '../../../src/adapters/kubernetes/objects.ts';
import {
  deploymentState,
  endpointState,
  hopelessReason,
  readyEndpoints,
  unscheduledReason,
} from '../../../src/adapters/kubernetes/twin-state.ts';

const metadata = { name: 'world', namespace: 'hello', uid: 'u', resourceVersion: '1', generation: 4 };

describe('a Deployment', () => {
  const done = { observedGeneration: 4, replicas: 3, updatedReplicas: 3, availableReplicas: 3 };
  it.each<[string, Deployment['status'], string]>([
    ['that runs what it should', done, 'ready'],
    ['that its controller has not seen', { ...done, observedGeneration: 3 }, 'waiting'],
    ['without a status', undefined, 'waiting'],
    ['with old pods left', { ...done, replicas: 4 }, 'waiting'],
    ['with new pods missing', { ...done, updatedReplicas: 2 }, 'waiting'],
    ['with pods that are not available', { ...done, availableReplicas: 2 }, 'waiting'],
    [
      'that may not make pods',
      {
        ...done,
        availableReplicas: 2,
        conditions: [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'quota' }],
      },
      'stuck',
    ],
    [
      'that took too long',
      {
        ...done,
        availableReplicas: 2,
        conditions: [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }],
      },
      'stuck',
    ],
  ])('%s', (_, status, kind) => {
    const spec = { replicas: 3, selector: {}, template: { spec: { containers: [] } }, progressDeadlineSeconds: 60 };
    expect(deploymentState({ metadata, spec, ...(status && { status }) }).kind).toBe(kind);
  });

  it('that may not make pods says why, though it took too long as well', () => {
    const spec = { replicas: 3, selector: {}, template: { spec: { containers: [] } }, progressDeadlineSeconds: 60 };
    const conditions = [
      { type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' },
      { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'quota' },
    ];
    const status = { ...done, availableReplicas: 2, conditions };
    expect(deploymentState({ metadata, spec, status })).toEqual({ kind: 'stuck', reason: 'FailedCreate: quota' });
  });
});

describe('pods', () => {
  const pod = (
    reason: string | null,
    list: 'containerStatuses' | 'initContainerStatuses' = 'containerStatuses',
  ): Pod => ({
    metadata: { ...metadata, name: 'world-x' },
    status: { [list]: [{ name: 'c', state: reason ? { waiting: { reason, message: 'in words' } } : {} }] },
  });
  it.each<[string, Pod[], string | null]>([
    ['that start', [pod('ContainerCreating'), pod('PodInitializing')], null],
    ['that run', [pod(null)], null],
    ['of which one has no image', [pod(null), pod('ErrImagePull')], 'ErrImagePull: in words (pod world-x)'],
    ['that crash', [pod('CrashLoopBackOff')], 'CrashLoopBackOff: in words (pod world-x)'],
    ['that lack a Secret', [pod('CreateContainerConfigError')], 'CreateContainerConfigError: in words (pod world-x)'],
    [
      'whose init container crashes',
      [pod('CrashLoopBackOff', 'initContainerStatuses')],
      'CrashLoopBackOff: in words (pod world-x)',
    ],
  ])('%s', (_, pods, reason) => {
    expect(hopelessReason(pods)).toBe(reason);
  });

  it('that find no node say why', () => {
    const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes' }];
    expect(unscheduledReason([{ metadata, status: { conditions } }])).toBe('0/3 nodes');
  });
});

describe('endpoints', () => {
  const slice = (service: string, addresses: string[], ready: boolean | undefined = true): EndpointSlice => ({
    metadata: { ...metadata, labels: { 'kubernetes.io/service-name': service } },
    endpoints: [{ addresses, ...(ready !== undefined && { conditions: { ready } }) }],
    ports: [{ port: 7778 }],
  });
  const names = { serving: 'world', stable: 'world-stable', canary: 'world-canary' };
  const all = (stable: string[], canary: string[]) => [
    slice('world', ['10.0.0.1', '10.0.0.2']),
    slice('world-stable', stable),
    slice('world-canary', canary),
  ];

  it.each<[string, EndpointSlice[], string | null]>([
    ['all there', all(['10.0.0.1', '10.0.0.2'], ['10.0.0.9']), null],
    [
      'the canary has none',
      all(['10.0.0.1', '10.0.0.2'], []),
      'Kubernetes Service world-canary has 0 of 1 Ready endpoints',
    ],
    [
      'stable lacks one',
      all(['10.0.0.1'], ['10.0.0.9']),
      'Kubernetes Service world-stable lacks 1 of the 2 Ready endpoints of world',
    ],
    ['nothing serves', [slice('world-canary', ['10.0.0.9'])], 'Kubernetes Service world has no Ready endpoint'],
  ])('%s', (_, slices, reason) => {
    expect(endpointState(slices, names, 1)).toEqual(reason === null ? { kind: 'ready' } : { kind: 'waiting', reason });
  });

  it.each<[string, string[], string | null]>([
    ['it has both', ['10.0.0.1', '10.0.0.9'], null],
    [
      'it has not heard of the canary',
      ['10.0.0.1'],
      'Kubernetes Service world has 0 of 1 Ready endpoints of the canary',
    ],
  ])('of a Kubernetes Service for both sides: %s', (_, addresses, reason) => {
    const slices = [
      slice('world', addresses),
      slice('world-stable', ['10.0.0.1']),
      slice('world-canary', ['10.0.0.9']),
    ];
    const both = { ...names, serving: 'world-stable', shared: 'world' };
    expect(endpointState(slices, both, 1)).toEqual(reason === null ? { kind: 'ready' } : { kind: 'waiting', reason });
  });

  it('count once over slices, without those that are not ready', () => {
    const slices = [
      slice('world', ['10.0.0.1']),
      slice('world', ['10.0.0.1'], undefined),
      slice('world', ['10.0.0.3'], false),
      slice('other', ['10.0.0.4']),
    ];
    expect(readyEndpoints(slices, 'world')).toEqual([{ address: '10.0.0.1', port: 7778 }]);
  });

  const [metrics, http, admin] = [
    { name: 'metrics', port: 9090 },
    { name: 'http', port: 8080 },
    { name: 'admin', port: 8081 },
  ];
  it.each<[string, NonNullable<EndpointSlice['ports']>, number | string | undefined, number[]]>([
    ['the one named http', [metrics, http], undefined, [8080]],
    ['the first, where none is named so', [admin, metrics], undefined, [8081]],
    ['the one that is named', [metrics, http, admin], 'admin', [8081]],
    ['the number that is given, though the Kubernetes Service leads to another', [http], 8081, [8081]],
    ['none, where none has the name', [metrics, http], 'admin', []],
  ])('are asked at %s', (_, ports, port, asked) => {
    const slices = [{ ...slice('world', ['10.0.0.1']), ports }];
    expect(readyEndpoints(slices, 'world', { port }).map((one) => one.port)).toEqual(asked);
  });
});
