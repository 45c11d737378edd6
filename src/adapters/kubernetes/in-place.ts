/**
 * The workload `in-place`: the Deployment itself is rolled out, and the share follows its pods. Weights below 100 are a paused
 * rollout with a first batch of new pods; 100 is the rolling update as the Deployment's owners have it.
 * https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
 */
import type { Log, Workload, Written } from '../../app/ports.ts';
import type { Target } from '../../core/plan.ts';
import type { Cluster } from './cluster.ts';
import { DONE, type Intent, type Result, refused, write } from './fence.ts';
import { isTakenUp, podsFor, readJournal } from './in-place-fields.ts';
import { lookInPlace } from './in-place-preflight.ts';
import { watchInPlace } from './in-place-watch.ts';
import { claimInPlace, growTo, noteNext, reapply, releaseInPlace, settle, undo } from './in-place-writes.ts';
import { type Deployment, Deployments, type PodTemplate, parseTemplate } from './objects.ts';
import { deploymentOf, findServing } from './serving.ts';
import { newTemplate } from './twin-canary.ts';
import { deploymentState } from './twin-state.ts';
import { intendRaise } from './twin-writes.ts';

export function createInPlace({ cluster, log }: { cluster: Cluster; log: Log }): Workload {
  const send = async (target: Target, intend: (object: Deployment) => Intent, gone?: Written): Promise<Written> => {
    const { object: _, ...written }: Result<Deployment> = await write(
      cluster,
      Deployments,
      deploymentOf(target),
      intend,
      gone,
    );
    return written;
  };

  return {
    ...watchInPlace(cluster),

    preflight: (target, imagePattern) => lookInPlace(cluster, target, imagePattern),

    async claim(target, fence) {
      const serving = await findServing(cluster, target);
      if (!serving.ok) return refused(serving.refusal);
      const service = serving.service.metadata.name;
      return send(target, (object) => claimInPlace(object, fence, target.service, service));
    },

    // Only noted: its first pod would have traffic at once.
    createCanary: (plan, fence) =>
      send(plan.target, (object) =>
        noteNext(object, fence, (before) => newTemplate(plan, plan.target.container, before)),
      ),

    async scaleCanary(target, weight, fence) {
      if (weight === 0) return DONE;
      return send(target, (object) => growTo(object, fence, podsFor(weight, object.spec.replicas)));
    },

    promote(plan, fence, overwrite) {
      const wanted = (before: PodTemplate) => newTemplate(plan, plan.target.container, before);
      return send(plan.target, (object) => settle(object, fence, wanted, overwrite));
    },

    async reapply(target, fence, before) {
      const known = await cluster.get(Deployments, deploymentOf(target));
      const serving = known && readJournal(known) ? null : await findServing(cluster, target);
      if (serving && !serving.ok) return refused(serving.refusal);
      const service = serving?.service.metadata.name ?? null;
      return send(target, (object) => reapply(object, fence, service, before && parseTemplate(before)));
    },

    // A rolling update back always leaves pods that answer, and there is nothing to route: the traffic goes with the pods.
    async demote(target, fence, before = null) {
      const { object, ...written } = await write(cluster, Deployments, deploymentOf(target), (found) =>
        undo(found, fence, before && parseTemplate(before)),
      );
      log.debug({ deployment: target.deployment, kind: written.kind }, 'rolling back in place');
      return written.kind === 'done' ? { ...DONE, mayRoute: true, rolling: isRollingBack(object) } : written;
    },

    raise: (target, fence) => send(target, (object) => intendRaise(object, fence), DONE),

    cleanUp: (target, fence) => send(target, (object) => releaseInPlace(object, fence), DONE),
  };
}

/** Old pods that do not start are Kubernetes' to report: all that can be written is written. */
function isRollingBack(object: Deployment | undefined): boolean {
  if (!object) return false;
  const { replicas = 0, updatedReplicas = 0 } = object.status ?? {};
  const isRolled = isTakenUp(object) && replicas <= updatedReplicas;
  return !isRolled && deploymentState(object).kind === 'waiting';
}
