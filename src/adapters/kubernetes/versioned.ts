/**
 * The workload `versioned`: each version has a Deployment and a Kubernetes Service of its own, and the routes say which one
 * serves (design section 6). Nothing is copied at the promotion; the version before stays, scaled to 0, for the way back.
 */
import type { Fence, Written } from '../../app/ports/cluster.ts';
import type { Log } from '../../app/ports/log.ts';
import type { Workload } from '../../app/ports/workload.ts';
import type { Target } from '../../core/plan.ts';
import type { Cluster } from './cluster.ts';
import { all, DONE, type Intent, refused, write } from './fence.ts';
import { type Held, type Kind, nameOf, type Ref } from './kinds.ts';
import { createMaker, type Made, stoppedBy } from './made.ts';
import { isOurs, readMarks, readReplicas } from './marks.ts';
import { type Deployment, Deployments, type Service, Services } from './objects.ts';
import { deploymentOf, findServing } from './serving.ts';
import { createTwin } from './twin.ts';
import { canaryOf } from './twin-canary.ts';
import { deploymentState, isHeldBy } from './twin-state.ts';
import { adoptService, intendClaim, intendRaise, readRestore } from './twin-writes.ts';
import { leadsTo, noVersionLabel, type VersionDrafts, versionDrafts, versionLabel } from './versioned-canary.ts';
import { isEndedOf, isOfAnother, isRetired, versionsIn } from './versioned-names.ts';
import { lookAtVersions } from './versioned-preflight.ts';
import {
  adoptVersion,
  inTheWay,
  intendRest,
  intendRetire,
  intendReturn,
  isEndedBy,
  isRetiredBy,
} from './versioned-writes.ts';

export function createVersioned({ cluster, log }: { cluster: Cluster; log: Log }): Workload {
  const twin = createTwin({ cluster, log });
  const { ensure, makeAll, takeAway } = createMaker(cluster);

  async function send<T extends Held>(kind: Kind<T>, ref: Ref, intend: (object: T) => Intent): Promise<Written> {
    const { object: _, ...written } = await write(cluster, kind, ref, intend, DONE);
    return written;
  }

  /** One that Sluice did not make is left as it is: it only has to lead where it should. */
  async function ensureService(ref: Ref, target: Target, fence: Fence, drafts: VersionDrafts, live: Deployment) {
    const found = await cluster.view(Services, ref.namespace).get(ref.name);
    if (!found || (isOurs(found) && !isOfAnother(found, target)))
      return ensure(Services, ref, drafts.service, (object: Service) =>
        adoptService(Services, object, fence, drafts.service),
      );
    const labels = ({ spec }: Pick<VersionDrafts['deployment'], 'spec'>) => spec.template.metadata?.labels ?? {};
    return leadsTo(found, labels(drafts.deployment), labels(live))
      ? DONE
      : refused(inTheWay(nameOf(Services, { ...target, ...ref })));
  }

  const made = (target: Target): readonly Made[] => [
    { kind: Deployments, ref: canaryOf(target) },
    { kind: Services, ref: canaryOf(target) },
  ];

  /** The canary stays as it is, and is nobody's. */
  const leave = (target: Target, fence: Fence) =>
    made(target).map(
      ({ kind, ref }) =>
        () =>
          send<Held>(kind, ref, (found) => intendRest(found, fence)),
    );

  const retire = (ref: Ref, fence: Fence, keepsPods = false) =>
    send(Deployments, ref, (found) => intendRetire(found, fence, keepsPods));

  /** An older version goes back to 0, or to what it was; what was made for this rollout goes. */
  async function dismiss(target: Target, fence: Fence): Promise<Written> {
    const ref = canaryOf(target);
    const object = await cluster.get(Deployments, ref);
    const slept = object !== null && readReplicas(object) !== null;
    if (slept) return inOrder([() => retire(ref, fence), ...leave(target, fence)]);
    if (object !== null && !isOurs(object)) return inOrder(leave(target, fence));
    return all(made(target).map((one) => takeAway(one, fence)));
  }

  /**
   * What Sluice made for versions that an earlier rollout retired: the one that this rollout did is the way back. Its Kubernetes
   * Service first: by the Deployment it is found again.
   */
  async function forget(target: Target, { rollout }: Fence): Promise<void> {
    const { namespace, service } = target;
    const deployments = versionsIn(await cluster.view(Deployments, namespace).all(), target);
    const services = versionsIn(await cluster.view(Services, namespace).all(), target);
    const old = deployments
      .filter((one) => isOurs(one) && isRetired(one, target) && one.spec.replicas === 0)
      .filter((one) => readMarks(one)?.rollout !== rollout);
    for (const one of old) {
      const beside = services.find(({ metadata }) => metadata.name === one.metadata.name);
      if (beside && isOurs(beside) && isEndedOf(beside, service)) await cluster.remove(Services, beside);
      const removed = await cluster.remove(Deployments, one);
      log.debug({ deployment: one.metadata.name, removed: removed.ok }, 'an older version taken away');
    }
  }

  return {
    ...twin,

    preflight: (target, imagePattern) => lookAtVersions(cluster, target, imagePattern),

    async foresee(target) {
      const ref = canaryOf(target);
      const found = await cluster.view(Deployments, ref.namespace).get(ref.name);
      const size = found?.spec.replicas === 0 ? 'scaled up from 0' : 'scaled up as it needs';
      return found
        ? [{ object: `Deployment ${ref.name}`, held: `${size}, with annotations sluice.dev/…`, back: '' }]
        : [];
    },

    async claim(target, fence) {
      const serving = await findServing(cluster, target);
      if (!serving.ok) return refused(serving.refusal);
      const { metadata } = serving.service;
      const restore = { service: metadata.name, template: serving.deployment.spec.template };
      const { object: _, ...written } = await write(cluster, Deployments, deploymentOf(target), (found) =>
        // How many pods it had for a rollback, long ago, is nothing of this rollout.
        intendClaim(found, fence, target, restore, { replicas: null }),
      );
      return written;
    },

    async createCanary(plan, fence) {
      const { target } = plan;
      const copy = await cluster.view(Deployments, target.namespace).get(target.deployment);
      // A copy without the claim may be older than it.
      const live = copy && isHeldBy(copy, fence) ? copy : await cluster.get(Deployments, deploymentOf(target));
      const stopped = stoppedBy(live, fence);
      if (stopped) return stopped;
      const restore = live && readRestore(live);
      if (!live || !restore) return refused(`${nameOf(Deployments, deploymentOf(target))} is gone or lost its claim`);
      const service = await cluster.view(Services, target.namespace).get(restore.service);
      if (!service) return refused(`${nameOf(Services, { ...target, name: restore.service })} is gone`);
      const ref = canaryOf(target);
      const existing = await cluster.view(Deployments, target.namespace).get(ref.name);
      const label = versionLabel(live, target, existing);
      if (!label) return refused(noVersionLabel(target, existing));
      const drafts = versionDrafts(plan, { live, service, existing }, label, fence);
      return makeAll(target, fence, [
        {
          made: { kind: Deployments, ref },
          result: ensure(Deployments, ref, drafts.deployment, (found: Deployment) =>
            adoptVersion(found, target, fence, drafts.deployment),
          ),
        },
        { made: { kind: Services, ref }, result: ensureService(ref, target, fence, drafts, live) },
      ]);
    },

    /** Nothing is copied: the canary only has to be as large as stable. */
    promote: (plan, fence) => twin.scaleCanary(plan.target, 100, fence),

    stableState: ({ target }, fence) => twin.canaryState(target, 100, fence),

    // That the promotion is over is told by the routes alone.
    isPromoted: async () => false,

    /** Its template was never written, and whatever it is by now stays: it only has to have pods. */
    async demote(target, fence) {
      const { object, ...written } = await write(cluster, Deployments, deploymentOf(target), (found) => {
        if (isRetiredBy(found, fence)) return intendReturn(found, fence);
        return isEndedBy(found, fence) ? DONE : intendRaise(found, fence);
      });
      if (written.kind !== 'done' || !object) return written;
      // One that comes up from 0 has all of the traffic to take.
      const slept = readReplicas(object) !== null;
      const hasPods = (object.status?.availableReplicas ?? 0) > 0;
      return { ...DONE, mayRoute: slept ? deploymentState(object).kind === 'ready' : hasPods };
    },

    async raise(target, fence) {
      const raise = (object: Held) => {
        // Whatever else has this name is nothing of the rollout.
        const isStable = object.metadata.name === target.deployment;
        const isStrange = isOfAnother(object, target) || (!isOurs(object) && !readMarks(object));
        return isStrange && !isStable ? DONE : intendRaise(object, fence);
      };
      const ref = canaryOf(target);
      return all([
        send(Deployments, deploymentOf(target), raise),
        send(Deployments, ref, raise),
        send(Services, ref, (object) => (isOurs(object) ? raise(object) : DONE)),
      ]);
    },

    async cleanUp(target, fence, ended = 'aborted') {
      const stable = deploymentOf(target);
      if (ended === 'promoted' || ended === 'recalled') {
        const written = await inOrder([...leave(target, fence), () => retire(stable, fence, ended === 'recalled')]);
        if (written.kind === 'done') await forget(target, fence);
        return written;
      }
      // Released first: a creation on its way either is there by now, or finds the end and takes itself away.
      const released = await send(Deployments, stable, (found) => intendRest(found, fence));
      if (released.kind === 'fenced' && released.by.rollout === fence.rollout) return released;
      const rest = ended === 'aborted' ? await dismiss(target, fence) : await inOrder(leave(target, fence));
      return rest.kind === 'done' ? released : rest;
    },
  };
}

/** One after the other, up to the first that is not done. */
async function inOrder(steps: readonly (() => Promise<Written>)[]): Promise<Written> {
  for (const step of steps) {
    const written = await step();
    if (written.kind !== 'done') return written;
  }
  return DONE;
}
