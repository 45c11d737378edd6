/**
 * Where Istio tells the canary by a subset, a share is answered with 503 as soon as nobody defines it: that is no edit to ask
 * people about, but a canary that cannot serve any more.
 */
import type { Target } from '../../core/plan.ts';
import { subsetRule } from '../../core/traffic.ts';
import type { Cluster } from './cluster.ts';
import { convict } from './convict.ts';
import { nameOf, refOf } from './kinds.ts';
import { type Deployment, Deployments, selects } from './objects.ts';
import { DestinationRules, ISTIO_VERSIONS } from './route-objects.ts';
import { servedKind } from './served.ts';
import { canaryName } from './twin-canary.ts';

/** Why the canary's subset does not mean its pods, or not them alone; null: it does, or the routes know none. */
export async function lostSubset(cluster: Cluster, target: Target): Promise<string | null> {
  const rule = subsetRule(target);
  if (rule === null) return null;
  const [kind, ref, name] = [
    await servedKind(cluster, DestinationRules, ISTIO_VERSIONS),
    refOf(rule),
    canaryName(target),
  ];
  const deployments = cluster.view(Deployments, target.namespace);
  const [stable, canary] = await Promise.all([deployments.get(target.deployment), deployments.get(name)]);
  return convict(cluster, kind, ref, (object) => {
    const subject = nameOf(kind, ref);
    if (!object) return `${subject} is gone`;
    const changed = (what: string) => `somebody else changed ${subject}: its subset ${name} ${what}`;
    const found = object.spec.subsets?.find((one) => one.name === name);
    if (!found) return changed('is gone');
    const { labels = {} } = found;
    const means = (pods: Deployment | null) =>
      selects({ matchLabels: labels }, pods?.spec.template.metadata?.labels ?? {});
    return canary === null || (means(canary) && !means(stable))
      ? null
      : changed(`has the labels ${JSON.stringify(labels)}`);
  });
}
