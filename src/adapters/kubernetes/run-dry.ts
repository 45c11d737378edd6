/** Whether a Deployment may have no pod at all while it replaces its own: what a rollout promises holds only where it may not. */
import { z } from 'zod';
import { nameOf } from './kinds.ts';
import { type Deployment, Deployments } from './objects.ts';

const share = z.union([z.number(), z.string().regex(/^\d+%$/)]).catch('25%');
const rolling = z.object({ maxSurge: share, maxUnavailable: share }).catch({ maxSurge: '25%', maxUnavailable: '25%' });

/** `effect`: what becomes of the requests meanwhile. A strategy Recreate is for others to refuse. */
export function dryWarnings({ metadata, spec }: Deployment, effect: string): readonly string[] {
  const { replicas, strategy } = spec;
  const { maxSurge, maxUnavailable } = rolling.parse(strategy?.rollingUpdate ?? {});
  const pods = (amount: number | string, round: (n: number) => number) =>
    typeof amount === 'number' ? amount : round((Number.parseInt(amount, 10) * replicas) / 100);
  // As Kubernetes has it: one of the two is never 0.
  const missing = pods(maxUnavailable, Math.floor) || (pods(maxSurge, Math.ceil) === 0 ? 1 : 0);
  if (strategy?.type === 'Recreate' || missing < replicas) return [];
  return [
    `${nameOf(Deployments, metadata)} may be without a pod while its own are replaced (replicas ${replicas}, maxUnavailable ${maxUnavailable}), and ${effect}: give it maxUnavailable 0, or more pods.`,
  ];
}
