/** What people and other tools did to the objects of a rollout since Sluice left them, as the watched copies show. */
import type { Fence } from '../../app/ports/cluster.ts';
import type { Workload } from '../../app/ports/workload.ts';
import type { Target } from '../../core/plan.ts';
import type { Drift } from '../../core/rollout.ts';
import type { Cluster } from './cluster.ts';
import { convict } from './convict.ts';
import { marksLost } from './fence.ts';
import { type Kind, nameOf, type Ref } from './kinds.ts';
import { lostSubset } from './lost-subset.ts';
import { readMarks } from './marks.ts';
import { type Deployment, Deployments, Services } from './objects.ts';
import { deploymentOf, selectsPods } from './serving.ts';
import { canaryOf, newTemplate, sideOf } from './twin-canary.ts';
import { strangerIn } from './twin-state.ts';
import { imageIn, sharedName } from './twin-watch.ts';
import { readRestore } from './twin-writes.ts';

export function watchOutside(cluster: Cluster): Pick<Workload, 'lost' | 'drift'> {
  const gone = (kind: Kind, ref: Ref) => `${nameOf(kind, ref)} is gone`;

  return {
    async lost(plan, fence) {
      const { target } = plan;
      const stable = await cluster.view(Deployments, target.namespace).get(target.deployment);
      const before = stable && readRestore(stable)?.template;
      // Without stable's own journal nobody can say what the canary should be: that is `drift`.
      if (!before) return null;
      const canary = canaryOf(target);
      const image = imageIn(newTemplate(plan, target.container, before), target);
      const changed = await convict(cluster, Deployments, canary, (object) => {
        if (!object) return gone(Deployments, canary);
        const stranger = strangerIn(object, fence);
        if (stranger) return `somebody else changed ${nameOf(Deployments, canary)}: ${stranger}`;
        const found = imageIn(object.spec.template, target);
        if (found === image) return null;
        return `somebody else changed ${nameOf(Deployments, canary)}: its image is ${found}, not ${image}`;
      });
      if (changed) return changed;
      const live = await cluster.view(Deployments, target.namespace).get(canary.name);
      const labels = { stable: labelsOf(stable), canary: labelsOf(live) };
      const side =
        (await lostSubset(cluster, target)) ??
        (await misled(canary, labels.canary, labels.stable)) ??
        (await misled(sideOf(target), labels.stable, labels.canary));
      const shared = sharedName(target, stable);
      return side ?? (shared === undefined ? null : misled({ ...canary, name: shared }, labels.canary, null));
    },

    drift: ({ target }, fence) =>
      convict(cluster, Deployments, deploymentOf(target), (object) => driftOf(object, target, fence)),
  };

  /** Why a Kubernetes Service of this rollout does not lead to a side's pods, or not to them alone; null: it does. */
  function misled(ref: Ref, own: Labels, other: Labels | null): Promise<string | null> {
    return convict(cluster, Services, ref, (object) => {
      if (!object) return gone(Services, ref);
      if (selectsPods(object, own) && !(other && selectsPods(object, other))) return null;
      return `somebody else changed ${nameOf(Services, ref)}: its selector is ${JSON.stringify(object.spec.selector ?? {})}`;
    });
  }
}

type Labels = Readonly<Record<string, string>>;
const labelsOf = (object: Deployment | null): Labels => object?.spec.template.metadata?.labels ?? {};

function driftOf(object: Deployment | null, target: Target, fence: Fence): Drift | null {
  const subject = nameOf(Deployments, deploymentOf(target));
  const found = (difference: string): Drift => ({ object: subject, difference, weight: null });
  if (!object) return found('it is gone');
  const marks = readMarks(object);
  const restore = readRestore(object);
  // Another holder's: for the writes to find out.
  if (marks && (marks.rollout !== fence.rollout || marks.epoch > fence.epoch)) return null;
  if (!marks || !restore || marks.epoch < fence.epoch) return marksLost(subject);
  const image = imageIn(object.spec.template, target);
  if (image !== imageIn(restore.template, target)) return found(`its image was changed to ${image}`);
  return object.spec.replicas === 0 ? found('it was scaled to 0') : null;
}
