/**
 * The workload `in-place`: the Deployment itself is rolled out, and the share follows its pods. Weights below 100 are a paused
 * rollout with a first batch of new pods; 100 is the rolling update as the Deployment's owners have it.
 * https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
 */
import type { Fence, Written } from '../../app/ports/cluster.ts';
import type { Log } from '../../app/ports/log.ts';
import type { Workload } from '../../app/ports/workload.ts';
import type { Plan, Target } from '../../core/plan.ts';
import type { Cluster } from './cluster.ts';
import { asStored } from './dry-template.ts';
import { DONE, type Intent, type Result, refused, write } from './fence.ts';
import { podsFor, readJournal } from './in-place-fields.ts';
import { lookInPlace } from './in-place-preflight.ts';
import { watchInPlace } from './in-place-watch.ts';
import { claimInPlace, growTo, noteNext, reapply, releaseInPlace, settle, undo } from './in-place-writes.ts';
import { readMarks } from './marks.ts';
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

  const storedOf = (plan: Plan, before: PodTemplate) =>
    asStored(cluster, deploymentOf(plan.target), wantedOf(plan)(before));

  /** What was noted when this rollout claimed it. */
  async function journalled({ target }: Plan, { rollout }: Fence): Promise<PodTemplate | null> {
    const ref = deploymentOf(target);
    const copy = cluster.peek(Deployments, ref);
    const found = copy && readMarks(copy)?.rollout === rollout ? copy : await cluster.get(Deployments, ref);
    return (found && readJournal(found)?.template) ?? null;
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
      const before = await journalled(plan, fence);
      if (!before) return send(plan.target, (object) => noteNext(object, fence, wantedOf(plan)));
      const stored = await storedOf(plan, before);
      if (!stored.ok) return refused(stored.refusal);
      return send(plan.target, (object) => noteNext(object, fence, () => stored.template));
    },

    async scaleCanary(target, weight, fence) {
      if (weight === 0) return DONE;
      return send(target, (object) => growTo(object, fence, podsFor(weight, object.spec.replicas)));
    },

    promote: (plan, fence, overwrite) =>
      send(plan.target, (object) => settle(object, fence, wantedOf(plan), overwrite)),

    async reapply(plan, fence, noted, weight) {
      const { target } = plan;
      const known = await cluster.get(Deployments, deploymentOf(target));
      const put = (lost: Parameters<typeof reapply>[3]) =>
        send(target, (object) => reapply(object, fence, podsFor(weight, object.spec.replicas), lost));
      if (!known || readJournal(known)) return put(null);
      const serving = await findServing(cluster, target);
      if (!serving.ok) return refused(serving.refusal);
      const before = noted ? parseTemplate(noted) : known.spec.template;
      const stored = await storedOf(plan, before);
      if (!stored.ok) return refused(stored.refusal);
      return put({ service: serving.service.metadata.name, template: before, next: stored.template });
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
