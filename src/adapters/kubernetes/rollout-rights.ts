/** What a rollout may not do in the namespaces of its target. */
import type { Target } from '../../core/plan.ts';
import { routePlaces, subsetRule } from '../../core/traffic.ts';
import type { Cluster } from './cluster.ts';
import { refOf } from './kinds.ts';
import { GRANTS, ROUTES, SUBSETS, WORKLOADS } from './needs.ts';

/**
 * What is missing, as sentences. Workload and router both read what the other one writes, so both ask for all of it, and
 * neither stumbles over what the other would have said.
 */
export async function missingRolloutRights(cluster: Cluster, target: Target): Promise<readonly string[]> {
  const { router } = target.traffic;
  const routes = ROUTES[router].length > 0 ? routePlaces(target) : [];
  const isAbroad = router === 'gateway-api' && routes.some((one) => one !== target.namespace);
  const rule = subsetRule(target);
  const needs = [
    ...[...WORKLOADS[target.workload], ...(isAbroad ? GRANTS : [])].map((need) => ({
      need,
      namespace: target.namespace,
    })),
    ...routes.flatMap((namespace) => ROUTES[router].map((need) => ({ need, namespace }))),
    ...(rule === null ? [] : SUBSETS.map((need) => ({ need, namespace: refOf(rule).namespace }))),
  ];
  const asked = [...Map.groupBy(needs, ({ namespace }) => namespace)].map(([namespace, some]) =>
    cluster.missingRights(
      namespace,
      some.map(({ need }) => need),
    ),
  );
  return (await Promise.all(asked)).flat();
}
