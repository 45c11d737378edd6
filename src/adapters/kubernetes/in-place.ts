/**
 * The workload `in-place`: the Deployment itself is rolled out, and the share follows its pods. Weights below 100 are a paused
 * rollout with a first batch of new pods; 100 is the rolling update as the Deployment's owners have it.
 * https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
 */
import type { Fence, Log, Workload, Written } from '../../app/ports.ts';
import type { Plan, Target } from '../../core/plan.ts';
import type { Cluster } from './cluster.ts';
import { DONE, type Intent, type Result, refused, write } from './fence.ts';
import { podsFor, readJournal } from './in-place-fields.ts';
import { lookInPlace } from './in-place-preflight.ts';
import { watchInPlace } from './in-place-watch.ts';
import { claimInPlace, growTo, noteNext, reapply, releaseInPlace, settle, undo } from './in-place-writes.ts';
import { readMarks, replace } from './marks.ts';
import { type Deployment, Deployments, type PodTemplate, parseTemplate } from './objects.ts';
import { rollingBack } from './rolling-back.ts';
import { deploymentOf, findServing } from './serving.ts';
import { newTemplate } from './twin-canary.ts';
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

  const wantedOf = (plan: Plan) => (before: PodTemplate) => newTemplate(plan, plan.target.container, before);

  /**
   * What the API server makes of the new template: webhooks of the cluster may pin its images or add to it, and by the noted
   * template Sluice knows its own again. null: it does not say, so its answer to the write itself counts.
   */
  async function asStored(plan: Plan, { rollout }: Fence): Promise<((before: PodTemplate) => PodTemplate) | null> {
    const ref = deploymentOf(plan.target);
    const copy = cluster.peek(Deployments, ref);
    const found = copy && readMarks(copy)?.rollout === rollout ? copy : await cluster.get(Deployments, ref);
    const before = found && readJournal(found)?.template;
    if (!before) return null;
    const tried = await cluster.tryOut(Deployments, ref, [replace('/spec/template', wantedOf(plan)(before))]);
    return tried.ok ? () => tried.object.spec.template : null;
  }

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
    async createCanary(plan, fence) {
      const stored = await asStored(plan, fence);
      return send(plan.target, (object) => noteNext(object, fence, stored ?? wantedOf(plan)));
    },

    async scaleCanary(target, weight, fence) {
      if (weight === 0) return DONE;
      return send(target, (object) => growTo(object, fence, podsFor(weight, object.spec.replicas)));
    },

    promote: (plan, fence, overwrite) =>
      send(plan.target, (object) => settle(object, fence, wantedOf(plan), overwrite)),

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
      if (written.kind !== 'done') return written;
      const rolling = object && rollingBack(object);
      return { ...DONE, mayRoute: true, ...(rolling && { rolling }) };
    },

    raise: (target, fence) => send(target, (object) => intendRaise(object, fence), DONE),

    cleanUp: (target, fence) => send(target, (object) => releaseInPlace(object, fence), DONE),
  };
}
