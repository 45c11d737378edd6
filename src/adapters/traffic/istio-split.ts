/** How a destination of a VirtualService names stable and canary: by Kubernetes Services of their own, or by subsets of one. */
import type { Target } from '../../core/plan.ts';
import { isForRollout, type Sides, sidesOf } from '../../core/sides.ts';
import { subsetRule } from '../../core/traffic.ts';
import type { Destination, IstioJournal } from '../kubernetes/route-objects.ts';

export type Split = {
  /** Sluice's own, for people. */
  readonly names: string;
  /** Whether it can be what a route sent to before, where its host is the Kubernetes Service that is rolled out. */
  readonly isApex: (to: Destination) => boolean;
  /** Of the same host as the canary `beside` it, where both have one. */
  readonly isStable: (to: Destination, beside: Destination) => boolean;
  readonly isCanary: (to: Destination) => boolean;
  /** Of a rollout: nothing at rest sends there. */
  readonly isSide: (to: Destination) => boolean;
  /** The journalled destination, for each side. */
  readonly stable: (was: Destination) => Destination;
  readonly canary: (was: Destination) => Destination;
  /** Stable instead of this canary, with no journal left; null: nobody knows. */
  readonly instead: (canary: Destination, others: readonly Destination[]) => Destination | null;
};

/** `home`: namespace of the VirtualService; `journal`: which hosts it routes, empty: not known. */
export const splitOf = (target: Target, home: string, journal: IstioJournal): Split =>
  subsetRule(target) === null ? byHosts(sidesOf(target)) : bySubsets(sidesOf(target), home, journal);

/** `world`, `world.hello` and `world.hello.svc.cluster.local` are one host to a VirtualService in `hello`. */
export function wholeHost({ host }: Pick<Destination, 'host'>, home: string): string {
  const [name, where = home, svc = 'svc'] = host.split('.');
  return `${name}.${where}.${svc}`;
}

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

/** Stable keeps its own subset; the canary's is called `world-canary`, as that of another host may be, too. */
function bySubsets({ canary }: Sides, home: string, journal: IstioJournal): Split {
  const hosts = journal.flatMap(({ route }) => route.map(({ destination }) => wholeHost(destination, home)));
  const isOurs = (to: Destination) => hosts.length === 0 || hosts.includes(wholeHost(to, home));
  const isApex = ({ subset }: Destination) => subset !== undefined && subset !== canary;
  const isCanary = (to: Destination) => to.subset === canary && isOurs(to);
  const isStable = (to: Destination, beside: Destination) =>
    isApex(to) && wholeHost(to, home) === wholeHost(beside, home);
  return {
    names: `subset ${canary}`,
    isApex,
    isStable,
    isCanary,
    isSide: isCanary,
    stable: (was) => was,
    canary: (was) => ({ ...was, subset: canary }),
    instead: (to, others) => others.find((one) => isStable(one, to)) ?? null,
  };
}
