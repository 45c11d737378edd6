/** Versions that served, kept with their whole template so that a rollback can bring them back. */
import type { Plan } from '../core/plan.ts';
import type { Rollout } from '../core/rollout.ts';
import { promoted } from '../core/versions.ts';
import type { EffectDeps } from './outcome.ts';
import type { Release } from './ports/store.ts';

/** What served before: kept so that a rollback can bring the whole template back. */
export async function releaseBefore(deps: EffectDeps, rollout: Rollout, now: number): Promise<readonly Release[]> {
  const { plan } = rollout;
  if (plan.from === null) return [];
  const [newest] = await deps.store.releases(plan.target.service);
  const [serving] = await release(deps, rollout, plan.from, '', now);
  // Somebody may have changed its resources or environment since it was promoted: the rollback brings back what served.
  const known = newest?.version === plan.from && JSON.stringify(newest.template) === JSON.stringify(serving?.template);
  return known || !serving ? [] : [serving];
}

/** What stable ran when the rollout claimed it; null: nobody knows. */
export async function templateBefore(
  { store }: Pick<EffectDeps, 'store'>,
  { plan }: Rollout,
): Promise<Release['template'] | null> {
  const releases = await store.releases(plan.target.service);
  return releases.find(({ version }) => version === plan.from)?.template ?? null;
}

export async function releaseNow(deps: EffectDeps, rollout: Rollout, now: number): Promise<readonly Release[]> {
  const { kind, version, requester: by, target } = rollout.plan;
  const releases = await release(deps, rollout, version, rollout.id, now, promoted(target));
  return releases.map((one) => ({ ...one, by, ...(kind === 'rollback' && { rolledBack: true }) }));
}

async function release(
  deps: EffectDeps,
  rollout: Rollout,
  version: Plan['version'],
  id: string,
  at: number,
  target = rollout.plan.target,
): Promise<readonly Release[]> {
  const serving = await deps.workload(rollout).stableTemplate(target);
  return serving ? [{ version, image: serving.image, template: serving.template, rollout: id, at }] : [];
}
