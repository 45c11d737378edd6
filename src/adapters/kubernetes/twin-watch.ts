/** What the watched copies say of stable and canary: no call of its own, so it may be asked at every look. */
import type { CanaryState, Workload } from '../../app/ports.ts';
import type { Target } from '../../core/plan.ts';
import type { Cluster } from './cluster.ts';
import { type Deployment, Deployments, EndpointSlices, nameOf, Pods, type Ref } from './objects.ts';
import { deploymentOf } from './serving.ts';
import { canaryName, canaryOf, stableName } from './twin-canary.ts';
import { chooseContainer } from './twin-preflight.ts';
import {
  deploymentState,
  endpointState,
  hopelessReason,
  type Progress,
  READY,
  readyEndpoints,
  unscheduledReason,
  waiting,
} from './twin-state.ts';
import { readRestore } from './twin-writes.ts';

/** Pods are watched only when a Deployment takes longer than most do. */
const PATIENCE_MS = 4_000;

type Watching = Pick<Workload, 'canaryState' | 'stableState' | 'stableTemplate' | 'canaryImage' | 'canaryAddresses'>;

export function watchTwin(cluster: Cluster): Watching {
  /** Since when this process sees a Deployment not Ready, and failing, by uid. */
  const slow = new Map<string, number>();
  const failing = new Map<string, number>();

  const deployment = (ref: Ref) => cluster.view(Deployments, ref.namespace).get(ref.name);
  const slices = ({ namespace }: Target) => cluster.view(EndpointSlices, namespace).all();

  const sinceOf = (times: Map<string, number>, uid: string): number => {
    const since = times.get(uid) ?? Date.now();
    times.set(uid, since);
    return since;
  };

  async function stateOf(object: Deployment): Promise<CanaryState> {
    const { uid } = object.metadata;
    const state = deploymentState(object);
    if (state.kind === 'ready') {
      slow.delete(uid);
      failing.delete(uid);
      return state;
    }
    const isSlow = Date.now() - sinceOf(slow, uid) >= PATIENCE_MS;
    const seen = isSlow ? await askPods(object, state) : state;
    if (seen.kind === 'stuck') return { kind: 'failing', reason: seen.reason, since: sinceOf(failing, uid) };
    failing.delete(uid);
    return seen;
  }

  async function askPods({ metadata, spec }: Deployment, state: Exclude<Progress, { kind: 'ready' }>) {
    const labels = Object.entries(spec.selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
    const pods = await cluster.view(Pods, metadata.namespace, labels.join(',')).all();
    const reason = hopelessReason(pods);
    if (reason !== null) return { kind: 'stuck', reason } as const;
    const unscheduled = unscheduledReason(pods);
    return state.kind === 'waiting' && unscheduled ? waiting(unscheduled) : state;
  }

  return {
    async canaryState(target) {
      const [canary, now] = await Promise.all([deployment(canaryOf(target)), deployment(deploymentOf(target))]);
      if (!canary) return waiting(`${nameOf(Deployments, canaryOf(target))} does not exist yet`);
      const state = await stateOf(canary);
      if (state.kind !== 'ready') return state;
      const serving = (now && readRestore(now)?.service) ?? '';
      const names = { serving, stable: stableName(target), canary: canaryName(target) };
      return endpointState(await slices(target), names, canary.spec.replicas);
    },

    async stableState(target) {
      const object = await deployment(deploymentOf(target));
      if (!object) return waiting(`${nameOf(Deployments, deploymentOf(target))} is gone`);
      const state = await stateOf(object);
      const service = readRestore(object)?.service;
      if (state.kind !== 'ready' || !service) return state;
      const ready = readyEndpoints(await slices(target), service).length;
      if (ready >= object.spec.replicas) return READY;
      return waiting(`Kubernetes Service ${service} has ${ready} of ${object.spec.replicas} Ready endpoints`);
    },

    async stableTemplate(target) {
      const object = await deployment(deploymentOf(target));
      const image = object && imageOf(object, target);
      return object && image ? { template: object.spec.template, image } : null;
    },

    async canaryImage(target) {
      const object = await deployment(canaryOf(target));
      return object && imageOf(object, target);
    },

    async canaryAddresses(target) {
      const host = (address: string) => (address.includes(':') ? `[${address}]` : address);
      return readyEndpoints(await slices(target), canaryName(target)).map(
        ({ address, port }) => `http://${host(address)}:${port}`,
      );
    },
  };
}

function imageOf(object: Deployment, target: Target): string | null {
  const name = chooseContainer(object, target);
  return object.spec.template.spec.containers.find((one) => one.name === name)?.image ?? null;
}
