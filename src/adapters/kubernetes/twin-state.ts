/** How far Deployments, pods and endpoints are, in the cluster's own words. Pure. */
import type { Fence } from '../../app/ports/cluster.ts';
import type { CanaryState } from '../../app/ports/workload.ts';
import { readMarks } from './marks.ts';
import type { Deployment, EndpointSlice, Pod } from './objects.ts';

/** A pod with one of these does not become Ready by waiting. */
const HOPELESS = new Set([
  'ImagePullBackOff',
  'ErrImagePull',
  'InvalidImageName',
  'CrashLoopBackOff',
  'CreateContainerConfigError',
]);

type Waiting = Extract<CanaryState, { kind: 'waiting' }>;
/** `stuck`: it will not become Ready by itself, as far as its controller knows. */
export type Progress = { readonly kind: 'ready' } | Waiting | { readonly kind: 'stuck'; readonly reason: string };

export const READY = { kind: 'ready' } as const;
export const waiting = (reason: string): Waiting => ({ kind: 'waiting', reason });

/** Whether a copy is of this holding: older ones show what another rollout, or an epoch before, has left. */
export const isHeldBy = (object: Deployment, fence: Fence) => strangerIn(object, fence) === null;

/** Why a Deployment is not this holder's, in words; null: it is. */
export function strangerIn(object: Deployment, { rollout, epoch }: Fence): string | null {
  const marks = readMarks(object);
  const of = `Deployment ${object.metadata.name}`;
  if (!marks) return `${of} does not carry Sluice's marks`;
  const isOwn = marks.rollout === rollout && marks.epoch === epoch;
  if (isOwn && marks.phase === 'active') return null;
  return `${of} is marked by rollout ${marks.rollout} (epoch ${marks.epoch})${isOwn ? ' as ended' : ''}`;
}

export function deploymentState({ metadata, spec, status = {} }: Deployment): Progress {
  const { observedGeneration = 0, replicas = 0, updatedReplicas = 0, availableReplicas = 0, conditions = [] } = status;
  const of = `Deployment ${metadata.name}`;
  if (observedGeneration < (metadata.generation ?? 0)) return waiting(`${of} is not yet taken up by its controller`);
  // Why no pod is made says more than that none has come for so long.
  const failed =
    conditions.find(({ type, status: value }) => type === 'ReplicaFailure' && value === 'True') ??
    conditions.find(({ type, reason }) => type === 'Progressing' && reason === 'ProgressDeadlineExceeded');
  const done = updatedReplicas >= spec.replicas && replicas <= updatedReplicas && availableReplicas >= spec.replicas;
  if (done) return READY;
  if (failed) return { kind: 'stuck', reason: `${failed.reason ?? failed.type}: ${failed.message ?? ''}` };
  return waiting(`${of}: ${Math.min(updatedReplicas, availableReplicas)} of ${spec.replicas} pods are Ready`);
}

/** Why these pods will not become Ready by themselves, in the container's words; null: they may. */
export function hopelessReason(pods: readonly Pod[]): string | null {
  for (const { metadata, status } of pods) {
    const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
    const stuck = containers.find(({ state }) => HOPELESS.has(state?.waiting?.reason ?? ''));
    const said = stuck?.state?.waiting;
    if (said) return `${said.reason}: ${said.message ?? 'no message'} (pod ${metadata.name})`;
  }
  return null;
}

/** Why a pod found no node, when that is what it waits for. */
export function unscheduledReason(pods: readonly Pod[]): string | null {
  const conditions = pods.flatMap(({ status }) => status?.conditions ?? []);
  return conditions.find(({ type, status }) => type === 'PodScheduled' && status === 'False')?.message ?? null;
}

export type Endpoint = { readonly address: string; readonly port: number };

type Wanted = {
  /** By the pod's name; left out: all. */
  readonly isMeant?: (pod: string) => boolean;
  /** A number is the pods' own; a name is that of the Kubernetes Service's port; left out: the one named `http`, else the first. */
  readonly port?: number | string | undefined;
};

/** Ready endpoints of a Kubernetes Service, one for each address; none where no port has the name that is wanted. */
export function readyEndpoints(
  slices: readonly EndpointSlice[],
  service: string,
  { isMeant = () => true, port: wanted }: Wanted = {},
): readonly Endpoint[] {
  const own = slices.filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === service);
  const found = new Map<string, Endpoint>();
  for (const { endpoints, ports } of own) {
    const port = typeof wanted === 'number' ? wanted : portNamed(ports ?? [], wanted);
    for (const { addresses, conditions, targetRef } of endpoints ?? []) {
      // Absent means "unknown", which the API defines as ready.
      if (conditions?.ready === false || port === null || port === undefined) continue;
      if (!isMeant(targetRef?.name ?? '')) continue;
      for (const address of addresses) found.set(address, { address, port });
    }
  }
  return [...found.values()];
}

function portNamed(ports: NonNullable<EndpointSlice['ports']>, wanted: string | undefined) {
  const named = ports.find(({ name }) => name === (wanted ?? 'http'));
  return (wanted === undefined ? (named ?? ports[0]) : named)?.port;
}

/** `http://address:port` of each of them. */
export const addressesOf = (...given: Parameters<typeof readyEndpoints>): readonly string[] =>
  readyEndpoints(...given).map(
    ({ address, port }) => `http://${address.includes(':') ? `[${address}]` : address}:${port}`,
  );

/** Of one side, as far as the Kubernetes Service that carries the traffic has them too. */
export function sideEndpoints(
  slices: readonly EndpointSlice[],
  side: string,
  shared: string | undefined,
): readonly Endpoint[] {
  const own = readyEndpoints(slices, side);
  if (shared === undefined) return own;
  const carried = new Set(readyEndpoints(slices, shared).map(({ address }) => address));
  return own.filter(({ address }) => carried.has(address));
}

/**
 * Sluice's Kubernetes Services carry traffic only when both have the endpoints that they stand for. `shared`: the one that
 * carries it instead, for both sides.
 */
export function endpointState(
  slices: readonly EndpointSlice[],
  { serving, stable, canary, shared }: { serving: string; stable: string; canary: string; shared?: string | undefined },
  replicas: number,
): CanaryState {
  const canaries = sideEndpoints(slices, canary, shared).length;
  if (canaries < replicas)
    return waiting(
      `Kubernetes Service ${shared ?? canary} has ${canaries} of ${replicas} Ready endpoints${shared === undefined ? '' : ' of the canary'}`,
    );
  const covered = new Set(readyEndpoints(slices, stable).map(({ address }) => address));
  const expected = readyEndpoints(slices, serving);
  if (expected.length === 0) return waiting(`Kubernetes Service ${serving} has no Ready endpoint`);
  const missing = expected.filter(({ address }) => !covered.has(address)).length;
  if (missing > 0)
    return waiting(
      `Kubernetes Service ${stable} lacks ${missing} of the ${expected.length} Ready endpoints of ${serving}`,
    );
  return READY;
}
