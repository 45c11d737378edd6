/** How a destination of a VirtualService names stable and canary: by Kubernetes Services of their own, or by subsets of one. */
import type { Target } from '../../core/plan.ts';
import { isForRollout, type Sides, sidesOf } from '../../core/sides.ts';
import { subsetRule } from '../../core/traffic.ts';
import type { Destination } from '../kubernetes/route-objects.ts';

export type Split = {
  /** Sluice's own, for people. */
  readonly names: string;
  /** Whether it can be what a route sent to before, where its host is the Kubernetes Service that is rolled out. */
  readonly isApex: (to: Destination) => boolean;
  readonly isStable: (to: Destination) => boolean;
  readonly isCanary: (to: Destination) => boolean;
  /** Of a rollout: nothing at rest sends there. */
  readonly isSide: (to: Destination) => boolean;
  /** The journalled destination, for each side. */
  readonly stable: (was: Destination) => Destination;
  readonly canary: (was: Destination) => Destination;
  /** Stable instead of this canary, with no journal left; null: nobody knows. */
  readonly instead: (canary: Destination, others: readonly Destination[]) => Destination | null;
};

export const splitOf = (target: Target): Split =>
  subsetRule(target) === null ? byHosts(sidesOf(target)) : bySubsets(sidesOf(target));

const nameOfHost = ({ host }: Destination) => host.split('.')[0] ?? host;

export function byHosts(sides: Sides): Split {
  /** Written as the host was: `world.hello` becomes `world-canary.hello`. */
  const named = (was: Destination, name: string): Destination => ({
    ...was,
    host: [name, ...was.host.split('.').slice(1)].join('.'),
  });
  const isApex = ({ subset }: Destination) => subset === undefined;
  const isStable = (to: Destination) => isApex(to) && nameOfHost(to) === sides.stable;
  const isCanary = (to: Destination) => isApex(to) && nameOfHost(to) === sides.canary;
  return {
    names: `${sides.stable} or ${sides.canary}`,
    isApex,
    isStable,
    isCanary,
    isSide: (to) => isApex(to) && isForRollout(nameOfHost(to), sides),
    stable: (was) => named(was, sides.stable),
    canary: (was) => named(was, sides.canary),
    instead: (canary) => named(canary, sides.stable),
  };
}

/** Stable keeps its own subset; the canary's is called `world-canary`. */
function bySubsets({ canary }: Sides): Split {
  const isCanary = ({ subset }: Destination) => subset === canary;
  const isStable = (to: Destination) => to.subset !== undefined && !isCanary(to);
  return {
    names: `subset ${canary}`,
    isApex: isStable,
    isStable,
    isCanary,
    isSide: isCanary,
    stable: (was) => was,
    canary: (was) => ({ ...was, subset: canary }),
    instead: (to, others) => others.find((one) => one.host === to.host && isStable(one)) ?? null,
  };
}
