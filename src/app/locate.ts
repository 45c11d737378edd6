/** Names of a service's objects, where its workload gives every version names of its own (`versioned`). */
import type { Service } from '../core/config.ts';
import type { Target } from '../core/plan.ts';
import type { Located, TrafficRouter, Wanted } from './ports/router.ts';

/** As configured: for whatever asks no names of versions. */
export const targetOf = ({ target }: Pick<Service, 'target'>): Target => ({
  ...target,
  container: target.container ?? '',
});

export async function locate(
  router: Pick<TrafficRouter, 'locate'>,
  target: Target,
  wanted: Wanted,
  image?: string,
): Promise<Located> {
  if (target.workload !== 'versioned' || target.versioned) return { ok: true, target };
  if (router.locate) return router.locate(target, wanted, image);
  throw new Error(`router ${target.traffic.router} cannot tell which version of ${target.service} serves`);
}
