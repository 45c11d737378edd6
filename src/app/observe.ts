/** Looks at what a rollout left in the cluster: somebody else may have changed it. Costs nothing where the watched copies show that all is well. */
import { isAbortable, type Rollout } from '../core/rollout.ts';
import { type EffectDeps, happened, type Outcome, PENDING } from './outcome.ts';

export async function observe(deps: EffectDeps, rollout: Rollout): Promise<Outcome> {
  const { phase, plan, seq, id, epoch } = rollout;
  if (rollout.routeSeq === 0 || !isAbortable(rollout)) return PENDING;
  const workload = deps.workload(rollout);
  const fence = { rollout: id, epoch, seq };
  // It takes its share of the traffic down with it: before anything that people would be asked about.
  const message = phase.kind === 'drifted' || phase.kind === 'halted' ? null : await workload.lost(plan, fence);
  if (message !== null) return happened({ type: 'lost', seq, message });
  // In the promotion stable changes by our own hand, and the write that ends the route meets a change of that.
  if (phase.kind === 'waiting' || (phase.kind === 'stepping' && phase.stage !== 'route')) {
    const router = deps.router(rollout);
    const drift =
      (await router.drift(plan.target, rollout.route, { ...fence, seq: rollout.routeSeq })) ??
      (await workload.drift(plan, fence));
    if (drift) return happened({ type: 'drifted', seq, drift });
  }
  if (rollout.route.weight === 0) return PENDING;
  // Stable may have grown since, or somebody has scaled the canary down: it follows, upwards only.
  const scaled = await workload.scaleCanary(plan.target, rollout.route.weight, fence);
  return scaled.kind === 'fenced' ? { kind: 'fenced', by: scaled.by } : PENDING;
}
