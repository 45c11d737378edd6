/**
 * What the watched copies say of stable and canary: hardly ever a call of its own, so it may be asked at every look. A copy
 * that does not show what was written last is looked at afresh once; what is concluded is never older than the last write.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Fence } from '../../app/ports/cluster.ts';
import type { CanaryState, Workload } from '../../app/ports/workload.ts';
import type { Target } from '../../core/plan.ts';
import { subsetRule } from '../../core/traffic.ts';
import type { Cluster } from './cluster.ts';
import { nameOf, type Ref } from './kinds.ts';
import { readMarks } from './marks.ts';
import { type Deployment, Deployments, EndpointSlices, Pods, type PodTemplate } from './objects.ts';
import { deploymentOf } from './serving.ts';
import { chooseContainer } from './serving-preflight.ts';
import { canaryName, canaryOf, canaryReplicas, newTemplate, stableName } from './twin-canary.ts';
import {
  addressesOf,
  deploymentState,
  endpointState,
  hopelessReason,
  isHeldBy,
  type Progress,
  READY,
  sideEndpoints,
  strangerIn,
  unscheduledReason,
  waiting,
} from './twin-state.ts';
import { readRestore } from './twin-writes.ts';

/** Pods are watched only when a Deployment takes longer than most do. */
const PATIENCE_MS = 4_000;

type Watching = Pick<
  Workload,
  'canaryState' | 'stableState' | 'stableTemplate' | 'isPromoted' | 'canaryImage' | 'canaryAddresses'
>;

export function watchTwin(cluster: Cluster): Watching {
  /** Since when this process sees a Deployment not Ready, and failing, by uid. */
  const slow = new Map<string, number>();
  const failing = new Map<string, number>();

  /** The wish for which a Deployment was read last; from there on its copy is newer than all that was written before. */
  const readFor = new Map<string, string>();

  const deployment = (ref: Ref) => cluster.view(Deployments, ref.namespace).get(ref.name);
  const slices = ({ namespace }: Target) => cluster.view(EndpointSlices, namespace).all();

  /** `isProven`: the copy shows by itself that it includes the last write. */
  async function current(ref: Ref, fence: Fence, isProven: (copy: Deployment) => boolean): Promise<Deployment | null> {
    const copy = await deployment(ref);
    const subject = nameOf(Deployments, ref);
    const wish = JSON.stringify(fence);
    if ((copy && isProven(copy)) || readFor.get(subject) === wish) return copy;
    const fresh = await cluster.get(Deployments, ref);
    readFor.set(subject, wish);
    return fresh;
  }

  const sinceOf = (times: Map<string, number>, uid: string): number => {
    const since = times.get(uid) ?? performance.now();
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
    const isSlow = performance.now() - sinceOf(slow, uid) >= PATIENCE_MS;
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
    async canaryState(target, weight, fence) {
      const now = await deployment(deploymentOf(target));
      const needed = canaryReplicas(weight, now?.spec.replicas ?? 0);
      const isScaled = (copy: Deployment) => copy.spec.replicas >= needed;
      const canary = await current(canaryOf(target), fence, (copy) => isHeldBy(copy, fence) && isScaled(copy));
      if (!canary) return waiting(`${nameOf(Deployments, canaryOf(target))} does not exist yet`);
      const stranger = strangerIn(canary, fence);
      if (stranger) return waiting(stranger);
      const state = await stateOf(canary);
      if (state.kind !== 'ready') return state;
      if (!isScaled(canary)) {
        const { name } = canary.metadata;
        return waiting(
          `Deployment ${name} has ${canary.spec.replicas} of the ${needed} replicas that ${weight}% needs`,
        );
      }
      const serving = stableService(target, now);
      const shared = sharedName(target, now);
      const names = { serving, stable: stableName(target), canary: canaryName(target), shared };
      return endpointState(await slices(target), names, canary.spec.replicas);
    },

    async stableState(plan, fence) {
      const { target } = plan;
      const wanted = ({ spec, ...copy }: Deployment): Deployment => {
        const before = readRestore(copy)?.template ?? spec.template;
        return { ...copy, spec: { ...spec, template: newTemplate(plan, target.container, before) } };
      };
      const object = await current(
        deploymentOf(target),
        fence,
        (copy) => isHeldBy(copy, fence) && isDeepStrictEqual(copy.spec.template, wanted(copy).spec.template),
      );
      if (!object) return waiting(`${nameOf(Deployments, deploymentOf(target))} is gone`);
      const stranger = strangerIn(object, fence);
      if (stranger) return waiting(stranger);
      // The image only: admission webhooks may add to what was written.
      const image = imageOf(object, target);
      if (image !== imageOf(wanted(object), target))
        return waiting(`Deployment ${target.deployment} does not run ${plan.version}: its image is ${image}`);
      const state = await stateOf(object);
      const service = stableService(target, object);
      if (state.kind !== 'ready' || service === '') return state;
      const ready = sideEndpoints(await slices(target), service, sharedName(target, object)).length;
      if (ready >= object.spec.replicas) return READY;
      return waiting(`Kubernetes Service ${service} has ${ready} of ${object.spec.replicas} Ready endpoints`);
    },

    async stableTemplate(target) {
      const object = await deployment(deploymentOf(target));
      const image = object && imageOf(object, target);
      return object && image ? { template: object.spec.template, image } : null;
    },

    async isPromoted(target, rollout) {
      const object = await deployment(deploymentOf(target));
      const restore = object && readRestore(object);
      if (!restore || readMarks(object)?.rollout !== rollout) return false;
      return !isDeepStrictEqual(object.spec.template, restore.template);
    },

    async canaryImage(target) {
      const object = await deployment(canaryOf(target));
      return object && imageOf(object, target);
    },

    canaryAddresses: async (target, port) => addressesOf(await slices(target), canaryName(target), { port }),
  };
}

/**
 * The Kubernetes Service whose endpoints are stable's pods: the one that is rolled out, unless it is what is switched, or has
 * the canary's pods too.
 */
const stableService = (target: Target, stable: Deployment | null): string =>
  (target.workload === 'twin' && target.traffic.router === 'kubernetes') || subsetRule(target) !== null
    ? stableName(target)
    : ((stable && readRestore(stable)?.service) ?? '');

/** The Kubernetes Service that carries the traffic of both sides; undefined: each has its own. */
export const sharedName = (target: Target, stable: Deployment | null): string | undefined =>
  subsetRule(target) === null || !stable ? undefined : readRestore(stable)?.service;

function imageOf(object: Deployment, target: Target): string | null {
  return imageIn(object.spec.template, target);
}

export function imageIn(template: PodTemplate, target: Target): string | null {
  const name = chooseContainer({ spec: { template } }, target);
  return template.spec.containers.find((one) => one.name === name)?.image ?? null;
}
