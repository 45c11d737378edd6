/** Looks at a Deployment that is going to be rolled out in place, before it is touched. */
import type { Preflight } from '../../app/ports/cluster.ts';
import type { WorkloadFacts } from '../../app/ports/workload.ts';
import type { Target } from '../../core/plan.ts';
import type { Cluster } from './cluster.ts';
import { asStored } from './dry-template.ts';
import { achieved } from './in-place-fields.ts';
import { IN_PLACE_LIMIT } from './in-place-writes.ts';
import { nameOf } from './kinds.ts';
import { highestEpoch } from './marks.ts';
import { type Deployment, Deployments } from './objects.ts';
import { revertWarnings } from './owners.ts';
import { missingRolloutRights } from './rollout-rights.ts';
import { dryWarnings } from './run-dry.ts';
import { deploymentOf, findServing } from './serving.ts';
import {
  chooseContainer,
  containerRefusal,
  keptWarnings,
  ownerRefusals,
  restRefusals,
  servingFacts,
} from './serving-preflight.ts';

export async function lookInPlace(
  cluster: Cluster,
  target: Target,
  imagePattern: string,
): Promise<Preflight<WorkloadFacts>> {
  const missing = await missingRolloutRights(cluster, target);
  if (missing.length > 0) return { ok: false, refusals: missing };
  const serving = await findServing(cluster, target);
  if (!serving.ok) return { ok: false, refusals: [serving.refusal] };
  const { deployment, service } = serving;
  const container = chooseContainer(deployment, target);
  const refusals = [
    ...ownerRefusals(target, deployment, service),
    ...(container === null ? [containerRefusal(deployment, target)] : []),
    ...shapeRefusals(target, deployment),
  ];
  if (refusals.length > 0 || container === null) return { ok: false, refusals };
  const stored = await asStored(cluster, deploymentOf(target), deployment.spec.template);
  if (!stored.ok) return { ok: false, refusals: [stored.refusal] };
  const { replicas } = deployment.spec;
  return {
    ok: true,
    facts: {
      ...servingFacts(deployment, container, imagePattern),
      epoch: highestEpoch([deployment]),
      achieved: (weight) => achieved(weight, replicas),
    },
    warnings: [
      ...revertWarnings(Deployments, deployment),
      ...keptWarnings(deployment, container, imagePattern),
      ...dryWarnings(deployment, 'requests fail meanwhile'),
    ],
  };
}

function shapeRefusals(target: Target, deployment: Deployment): string[] {
  const { spec } = deployment;
  const subject = nameOf(Deployments, deploymentOf(target));
  return [
    ...restRefusals(target, deployment),
    ...(spec.strategy?.type === 'Recreate'
      ? [
          `${subject} has the strategy Recreate, which stops all pods before it starts new ones: give it RollingUpdate, or use workload twin.`,
        ]
      : []),
    ...(JSON.stringify(spec.template).length > IN_PLACE_LIMIT
      ? [
          `${subject}: its pod template takes more than ${IN_PLACE_LIMIT} characters, too many to note for the way back.`,
        ]
      : []),
  ];
}
