/** Looks at a Deployment that is going to be rolled out in place, before it is touched. */
import type { Preflight, WorkloadFacts } from '../../app/ports.ts';
import { versionOf } from '../../core/config.ts';
import type { Target } from '../../core/plan.ts';
import type { Cluster } from './cluster.ts';
import { achieved } from './in-place-fields.ts';
import { IN_PLACE_LIMIT } from './in-place-writes.ts';
import { highestEpoch } from './marks.ts';
import { type Deployment, Deployments, nameOf } from './objects.ts';
import { missingRolloutRights } from './rollout-rights.ts';
import { dryWarnings } from './run-dry.ts';
import { deploymentOf, findServing } from './serving.ts';
import { chooseContainer, containerRefusal, ownerRefusals } from './twin-preflight.ts';

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
  const { template, replicas, progressDeadlineSeconds } = deployment.spec;
  const image = template.spec.containers.find(({ name }) => name === container)?.image ?? '';
  return {
    ok: true,
    facts: {
      version: versionOf(imagePattern, image),
      container,
      template,
      progressDeadlineMs: progressDeadlineSeconds * 1000,
      epoch: highestEpoch([deployment]),
      achieved: (weight) => achieved(weight, replicas),
    },
    warnings: dryWarnings(deployment, 'requests fail meanwhile'),
  };
}

function shapeRefusals(target: Target, { spec }: Deployment): string[] {
  const subject = nameOf(Deployments, deploymentOf(target));
  return [
    ...(spec.replicas === 0 ? [`${subject} is scaled to 0: scale it up first, nothing serves.`] : []),
    ...(spec.paused === true ? [`${subject} is paused: kubectl rollout resume it first.`] : []),
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
