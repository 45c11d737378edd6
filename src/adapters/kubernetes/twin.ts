/**
 * The workload `twin`: the stable Deployment stays, the canary is a second one beside it, and two Kubernetes Services give
 * each a name to route to (design section 6).
 */
import type { Written } from '../../app/ports/cluster.ts';
import type { Log } from '../../app/ports/log.ts';
import type { Workload } from '../../app/ports/workload.ts';
import type { Target } from '../../core/plan.ts';
import { sidesOf } from '../../core/sides.ts';
import { createAutoscaling } from './autoscaler.ts';
import type { Cluster } from './cluster.ts';
import { DONE, type Intent, type Result, refused, summed, write } from './fence.ts';
import { type Held, nameOf, type Ref } from './kinds.ts';
import { createMaker, type Made, stoppedBy } from './made.ts';
import { type Deployment, Deployments, parseTemplate, Services } from './objects.ts';
import { rollingBack } from './rolling-back.ts';
import { deploymentOf, findServing } from './serving.ts';
import {
  canaryDeployment,
  canaryLabel,
  canaryOf,
  canaryReplicas,
  newTemplate,
  noLabel,
  sharedService,
  sideOf,
  sideServices,
} from './twin-canary.ts';
import { watchOutside } from './twin-outside.ts';
import { lookAtWorkload } from './twin-preflight.ts';
import { isHeldBy } from './twin-state.ts';
import { watchTwin } from './twin-watch.ts';
import {
  adoptDeployment,
  adoptService,
  intendClaim,
  intendDemotion,
  intendRaise,
  intendReapply,
  intendRelease,
  intendScale,
  intendTemplate,
  isUntouched,
  readRestore,
} from './twin-writes.ts';

export function createTwin({ cluster, log }: { cluster: Cluster; log: Log }): Workload {
  const autoscaling = createAutoscaling(cluster);
  const { ensure, makeAll, takeAway } = createMaker(cluster);
  const deployment = (ref: Ref) => cluster.view(Deployments, ref.namespace).get(ref.name);
  const stable = (
    target: Target,
    intend: (object: Deployment) => Intent,
    gone?: Written,
  ): Promise<Result<Deployment>> => write(cluster, Deployments, deploymentOf(target), intend, gone);

  /** Everything that Sluice made for a rollout of the target. */
  const made = (target: Target): readonly Made[] => [
    { kind: Deployments, ref: canaryOf(target) },
    { kind: Services, ref: canaryOf(target) },
    ...(sidesOf(target).keepsStable ? [] : [{ kind: Services, ref: sideOf(target) }]),
  ];

  return {
    ...watchTwin(cluster),
    ...watchOutside(cluster),

    preflight: (target, imagePattern) => lookAtWorkload(cluster, autoscaling, target, imagePattern),

    async foresee(target) {
      const object = await deployment(deploymentOf(target));
      return object ? autoscaling.foresee(target, object.spec.replicas) : [];
    },

    async claim(target, fence) {
      const [serving, scaling] = await Promise.all([findServing(cluster, target), autoscaling.find(target)]);
      if (!serving.ok) return refused(serving.refusal);
      if (!scaling.ok) return refused(scaling.refusal);
      const restore = {
        service: serving.service.metadata.name,
        autoscaler: scaling.autoscaler?.metadata.name,
        template: serving.deployment.spec.template,
      };
      const claimed = await stable(target, (object) => intendClaim(object, fence, target, restore));
      if (claimed.kind !== 'done' || !claimed.object) return plain(claimed);
      return autoscaling.claim(target, fence, claimed.object);
    },

    async createCanary(plan, fence) {
      const { target } = plan;
      const known = await deployment(deploymentOf(target));
      // A copy without the claim may be older than it.
      const object = known && isHeldBy(known, fence) ? known : await cluster.get(Deployments, deploymentOf(target));
      const stopped = stoppedBy(object, fence);
      if (stopped) return stopped;
      const restore = object && readRestore(object);
      if (!object || !restore) return refused(`${nameOf(Deployments, deploymentOf(target))} is gone or lost its claim`);
      const service = await cluster.view(Services, target.namespace).get(restore.service);
      if (!service) return refused(`${nameOf(Services, { ...target, name: restore.service })} is gone`);
      const shared = sharedService(target, service);
      const label = canaryLabel(object, shared);
      if (!label) return refused(noLabel(target, shared));
      const template = newTemplate(plan, target.container, restore.template);
      const draft = canaryDeployment(object, template, label, plan.steps[0]?.route.weight ?? 0, fence);
      const sides = sideServices(service, label, fence);
      const [canary, side] = [canaryOf(target), sideOf(target)];
      return makeAll(target, fence, [
        {
          made: { kind: Deployments, ref: canary },
          result: ensure(Deployments, canary, draft, (found) => adoptDeployment(found, fence, draft)),
        },
        {
          made: { kind: Services, ref: canary },
          result: ensure(Services, canary, sides.canary, (found) => adoptService(Services, found, fence, sides.canary)),
        },
        {
          made: { kind: Services, ref: side },
          result: ensure(Services, side, sides.stable, (found) => adoptService(Services, found, fence, sides.stable)),
        },
      ]);
    },

    async scaleCanary(target, weight, fence) {
      const object = await deployment(deploymentOf(target));
      if (!object) return refused(`${nameOf(Deployments, deploymentOf(target))} is gone`);
      const followed = await autoscaling.follow(fence, object);
      if (followed.kind === 'fenced') return followed;
      // The way back may find fewer pods of stable then; that is no reason to leave the canary too small.
      if (followed.kind !== 'done') log.warn({ deployment: target.deployment, followed }, 'autoscaler not raised');
      const replicas = canaryReplicas(weight, object.spec.replicas);
      return plain(
        await write(cluster, Deployments, canaryOf(target), (canary) => intendScale(canary, fence, replicas)),
      );
    },

    async promote(plan, fence, overwrite) {
      const wanted = (before: Deployment['spec']['template']) => newTemplate(plan, plan.target.container, before);
      return plain(await stable(plan.target, (object) => intendTemplate(object, fence, wanted, overwrite)));
    },

    async reapply({ target }, fence, before) {
      const known = await deployment(deploymentOf(target));
      const serving = known && readRestore(known) ? null : await findServing(cluster, target);
      if (serving && !serving.ok) return refused(serving.refusal);
      const found = serving && {
        service: serving.service.metadata.name,
        autoscaler: (await autoscaling.held(target, fence, null))?.name,
      };
      return plain(
        await stable(target, (object) => intendReapply(object, fence, found, before && parseTemplate(before))),
      );
    },

    async demote(target, fence, before = null) {
      let untouched = false;
      const { object, ...written } = await stable(target, (found) => {
        untouched = isUntouched(found, fence);
        return intendDemotion(found, fence, before && parseTemplate(before));
      });
      if (written.kind !== 'done' || !object) return written;
      if (untouched) return { ...DONE, mayRoute: true };
      const rolling = rollingBack(object);
      return { ...DONE, mayRoute: hasOldPods(object), ...(rolling && { rolling }) };
    },

    async raise(target, fence) {
      const raise = (object: Held) => intendRaise(object, fence);
      const [held, ...others] = await Promise.all([
        stable(target, raise, DONE),
        ...made(target).map(({ kind, ref }) => write<Held>(cluster, kind, ref, raise, DONE)),
      ]);
      const failed = [held, ...others].find(({ kind }) => kind !== 'done');
      return failed ? plain(failed) : autoscaling.raise(target, fence, held.object ?? null);
    },

    async cleanUp(target, fence) {
      const ref = deploymentOf(target);
      // While stable's journal still names it.
      const known = cluster.peek(Deployments, ref) ?? (await cluster.get(Deployments, ref));
      const freed = await autoscaling.giveBack(target, fence, known);
      if (freed.kind === 'fenced') return freed;
      // Released first: a creation on its way either is there by now, or finds the end and takes itself away.
      const released = await stable(target, (object) => intendRelease(object, fence), DONE);
      if (released.kind === 'fenced' && released.by.rollout === fence.rollout) return plain(released);
      const results = await Promise.all(made(target).map((one) => takeAway(one, fence)));
      log.debug({ deployment: target.deployment, kind: released.kind }, 'canary taken away');
      return summed([...results, freed, plain(released)]);
    },
  };
}

/**
 * Whether an answer can come from stable now: while the old template comes back by a rolling update some pod is always
 * there; with Recreate there is none before the first old one is.
 */
function hasOldPods({ metadata, spec, status = {} }: Deployment): boolean {
  const { observedGeneration = 0, replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = status;
  const settled =
    observedGeneration >= (metadata.generation ?? 0) && updatedReplicas > 0 && replicas === updatedReplicas;
  return availableReplicas > 0 && (settled || spec.strategy?.type !== 'Recreate');
}

/** Without the object, which is no part of the answer. */
function plain<T>({ object: _, ...written }: Result<T>): Written {
  return written;
}
