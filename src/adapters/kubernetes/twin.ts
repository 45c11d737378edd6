/**
 * The workload `twin`: the stable Deployment stays, the canary is a second one beside it, and two Kubernetes Services give
 * each a name to route to (design section 6).
 */
import type { Fence, Log, Workload, Written } from '../../app/ports.ts';
import type { Target } from '../../core/plan.ts';
import type { Draft } from './api.ts';
import type { Cluster } from './cluster.ts';
import { barrier, DONE, type Intent, type Result, refused, write } from './fence.ts';
import { isOurs, readMarks } from './marks.ts';
import {
  type Deployment,
  Deployments,
  type Held,
  type Kind,
  nameOf,
  parseTemplate,
  type Ref,
  Services,
} from './objects.ts';
import { deploymentOf, findServing } from './serving.ts';
import {
  canaryDeployment,
  canaryLabel,
  canaryOf,
  canaryReplicas,
  newTemplate,
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

/** Told from `DONE`, which is also the answer when all was there. */
const CREATED: Written = { kind: 'done' };

export function createTwin({ cluster, log }: { cluster: Cluster; log: Log }): Workload {
  const deployment = (ref: Ref) => cluster.view(Deployments, ref.namespace).get(ref.name);
  const stable = (
    target: Target,
    intend: (object: Deployment) => Intent,
    gone?: Written,
  ): Promise<Result<Deployment>> => write(cluster, Deployments, deploymentOf(target), intend, gone);

  /** Everything that Sluice made for a rollout of the target. */
  const made = (target: Target): readonly { kind: Kind; ref: Ref }[] => [
    { kind: Deployments, ref: canaryOf(target) },
    { kind: Services, ref: canaryOf(target) },
    { kind: Services, ref: sideOf(target) },
  ];

  async function ensure<T extends Held>(
    kind: Kind<T>,
    ref: Ref,
    draft: Draft,
    intend: (object: T) => Intent,
  ): Promise<Written> {
    if (!(await cluster.view(kind, ref.namespace).get(ref.name))) {
      const outcome = await cluster.create(kind, ref, draft);
      if (outcome.ok) return CREATED;
      if (outcome.error.kind !== 'conflict') return refused(outcome.error.message);
    }
    return write(cluster, kind, ref, (object) => {
      // Its name is free again in a moment; the next try makes it.
      if (object.metadata.deletionTimestamp !== undefined)
        throw new Error(`${nameOf(kind, ref)} is still being deleted`);
      return intend(object);
    });
  }

  /**
   * Nothing fences a creation: whoever finds afterwards that it came too late, after the abort or the end, takes it away
   * again. A rollout that only went on may be using it by now.
   */
  async function lateFor(target: Target, fence: Fence, created: ReturnType<typeof made>): Promise<Written | null> {
    const now = await cluster.get(Deployments, deploymentOf(target));
    const stopped = stoppedBy(now, fence);
    if (stopped) for (const one of created) await takeAway(one, fence);
    return stopped;
  }

  async function takeAway({ kind, ref }: { kind: Kind; ref: Ref }, fence: Fence): Promise<Written> {
    let object = cluster.peek(kind, ref) ?? (await cluster.get(kind, ref));
    for (let tries = 0; object && tries < 5; tries++) {
      const marks = readMarks(object);
      // Somebody else's, or on its way out.
      if (!isOurs(object) || marks?.rollout !== fence.rollout || object.metadata.deletionTimestamp) return DONE;
      const stopped = barrier(marks, fence);
      if (stopped) return stopped;
      const outcome = await cluster.remove(kind, object);
      if (outcome.ok || outcome.error.kind === 'not found') return DONE;
      if (outcome.error.kind !== 'conflict') return refused(outcome.error.message);
      object = await cluster.get(kind, ref);
    }
    if (!object) return DONE;
    throw new Error(`${nameOf(kind, ref)} changed during each attempt to delete it`);
  }

  return {
    ...watchTwin(cluster),
    ...watchOutside(cluster),

    preflight: (target, imagePattern) => lookAtWorkload(cluster, target, imagePattern),

    async claim(target, fence) {
      const serving = await findServing(cluster, target);
      if (!serving.ok) return refused(serving.refusal);
      const restore = { service: serving.service.metadata.name, template: serving.deployment.spec.template };
      return plain(await stable(target, (object) => intendClaim(object, fence, target, restore)));
    },

    async createCanary(plan, fence) {
      const { target } = plan;
      const known = await deployment(deploymentOf(target));
      // A copy without the claim may be older than it.
      const object = known && isHeldBy(known, fence) ? known : await cluster.get(Deployments, deploymentOf(target));
      const stopped = stoppedBy(object, fence);
      if (stopped) return stopped;
      const label = object && canaryLabel(object);
      const restore = object && readRestore(object);
      if (!object || !label || !restore)
        return refused(`${nameOf(Deployments, deploymentOf(target))} is gone or lost its claim`);
      const service = await cluster.view(Services, target.namespace).get(restore.service);
      if (!service) return refused(`${nameOf(Services, { ...target, name: restore.service })} is gone`);
      const template = newTemplate(plan, target.container, restore.template);
      const draft = canaryDeployment(object, template, label, plan.steps[0]?.route.weight ?? 0, fence);
      const sides = sideServices(service, label, fence);
      const [canary, side] = [canaryOf(target), sideOf(target)];
      const results = await Promise.all([
        ensure(Deployments, canary, draft, (found) => adoptDeployment(found, fence, draft)),
        ensure(Services, canary, sides.canary, (found) => adoptService(Services, found, fence, sides.canary)),
        ensure(Services, side, sides.stable, (found) => adoptService(Services, found, fence, sides.stable)),
      ]);
      const created = made(target).filter((_, n) => results[n] === CREATED);
      const late = created.length > 0 ? await lateFor(target, fence, created) : null;
      return late ?? plain(results.find(({ kind }) => kind !== 'done') ?? DONE);
    },

    async scaleCanary(target, weight, fence) {
      const object = await deployment(deploymentOf(target));
      if (!object) return refused(`${nameOf(Deployments, deploymentOf(target))} is gone`);
      const replicas = canaryReplicas(weight, object.spec.replicas);
      return plain(
        await write(cluster, Deployments, canaryOf(target), (canary) => intendScale(canary, fence, replicas)),
      );
    },

    async promote(plan, fence, overwrite) {
      const wanted = (before: Deployment['spec']['template']) => newTemplate(plan, plan.target.container, before);
      return plain(await stable(plan.target, (object) => intendTemplate(object, fence, wanted, overwrite)));
    },

    async reapply(target, fence, before) {
      const known = await deployment(deploymentOf(target));
      const serving = known && readRestore(known) ? null : await findServing(cluster, target);
      if (serving && !serving.ok) return refused(serving.refusal);
      const service = serving?.service.metadata.name ?? null;
      return plain(
        await stable(target, (object) => intendReapply(object, fence, service, before && parseTemplate(before))),
      );
    },

    async demote(target, fence, before = null) {
      let untouched = false;
      const { object, ...written } = await stable(target, (found) => {
        untouched = isUntouched(found, fence);
        return intendDemotion(found, fence, before && parseTemplate(before));
      });
      if (written.kind !== 'done' || !object) return written;
      return { ...DONE, mayRoute: untouched || hasOldPods(object) };
    },

    async raise(target, fence) {
      const all = [{ kind: Deployments, ref: deploymentOf(target) }, ...made(target)];
      const results = await Promise.all(
        all.map(({ kind, ref }) => write<Held>(cluster, kind, ref, (object) => intendRaise(object, fence), DONE)),
      );
      return plain(results.find(({ kind }) => kind !== 'done') ?? DONE);
    },

    async cleanUp(target, fence) {
      // Released first: a creation on its way either is there by now, or finds the end and takes itself away.
      const released = await stable(target, (object) => intendRelease(object, fence), DONE);
      if (released.kind === 'fenced' && released.by.rollout === fence.rollout) return plain(released);
      const results = await Promise.all(made(target).map((one) => takeAway(one, fence)));
      log.debug({ deployment: target.deployment, kind: released.kind }, 'canary taken away');
      return results.find(({ kind }) => kind !== 'done') ?? plain(released);
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

/** Why nothing is created beside this Deployment any more; null: go on. */
function stoppedBy(object: Deployment | null, fence: Fence): Written | null {
  const marks = object && readMarks(object);
  const stopped = barrier(marks, fence);
  return stopped ?? (marks?.rollout === fence.rollout && marks.phase === 'done' ? { kind: 'fenced', by: marks } : null);
}

/** Without the object, which is no part of the answer. */
function plain<T>({ object: _, ...written }: Result<T>): Written {
  return written;
}
