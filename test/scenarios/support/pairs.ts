/** Every strategy on every system: what can be played, with which weights, and why the rest is refused. */
import { parseConfig } from '../../../src/core/parse-config.ts';
import { BUILT_IN } from '../../../src/core/strategies.ts';
import { fitted, refusals, supportOf } from '../../../src/core/support.ts';
import type { Ground } from './grounds.ts';
import { SYSTEMS, type System } from './systems.ts';

/** The built-in strategies as somebody would write them, with bakes that last no minute. */
export const QUICK = Object.fromEntries(
  Object.entries(BUILT_IN).map(([name, steps]) => [
    name,
    steps.map(({ bake, gate, ...step }) => ({ ...step, ...(bake && { bake: '300ms' }), ...(gate && { gate: true }) })),
  ]),
);
const STRATEGIES = {
  ...QUICK,
  /** Enough to come to every place of the code. */
  brisk: [
    { weight: 50, gate: true },
    { weight: 100, gate: true },
  ],
};

export type Pair = {
  readonly system: System;
  readonly strategy: string;
  /** `istio x ab` */
  readonly name: string;
  /** What an observer sees of each step. */
  readonly weights: readonly number[];
  /** Why it cannot be; empty: it can. */
  readonly refusals: readonly string[];
};

function pairOf(system: System, strategy: string): Pair {
  const parsed = parseConfig({
    slack: { channel: 'deploys' },
    services: {
      world: {
        namespace: 'hello',
        deployment: 'world',
        image: 'world:{version}',
        access: { deploy: ['S_DEVS'], approve: ['S_APPROVERS'] },
        ...system.service,
      },
    },
    strategies: STRATEGIES,
  });
  if (!parsed.ok) throw new Error(parsed.errors.join('\n'));
  const { services, strategies } = parsed.config;
  const [target, steps] = [services.world?.target, strategies[strategy]];
  if (!target || !steps)
    throw new Error(`unknown strategy "${strategy}"; known: ${Object.keys(strategies).join(', ')}`);
  const fitting = fitted(steps, supportOf(target));
  return {
    system,
    strategy,
    name: `${system.title} x ${strategy}`,
    weights: fitting.map(({ route }) => system.seen(route.weight)),
    refusals: refusals(strategy, fitting, target),
  };
}

/** Each built-in strategy on each system. */
export const PAIRS: readonly Pair[] = SYSTEMS.flatMap((system) =>
  Object.keys(BUILT_IN).map((strategy) => pairOf(system, strategy)),
);
const SUPPORTED = PAIRS.filter(({ refusals: why }) => why.length === 0);

/** The one with the most steps. */
const longest = (pairs: readonly Pair[]): Pair | undefined =>
  pairs.toSorted((a, b) => b.weights.length - a.weights.length)[0];

/** What can be had; of a variant only the longest strategy, unless SLUICE_PAIRS=all asks for the rest. */
export const PLAYED = SUPPORTED.filter(
  (pair) =>
    !pair.system.isVariant ||
    process.env.SLUICE_PAIRS === 'all' ||
    pair === longest(SUPPORTED.filter(({ system }) => system === pair.system)),
);
/** For what is counted: the longest one of each system. */
export const LONGEST = SYSTEMS.flatMap((system) => longest(SUPPORTED.filter((pair) => pair.system === system)) ?? []);

/** By what `sluice.yaml` calls them, or by the system's title. Throws where the two do not go together. */
export function findPair({ router, workload, strategy }: Record<'router' | 'workload' | 'strategy', string>): Pair {
  const system = SYSTEMS.find((one) => one.workload === workload && [one.router, one.title].includes(router));
  const known = SYSTEMS.map(({ title, workload: its }) => `${title} (${its})`).join('; ');
  if (!system) throw new Error(`nothing is "${router}" with workload "${workload}"; known: ${known}`);
  const pair = pairOf(system, strategy);
  if (pair.refusals.length > 0) throw new Error(`${pair.name}: ${pair.refusals.join('; ')}`);
  return pair;
}

/** What a stage is set with: the service of the system, with all built-in strategies or those named. */
export const optionsFor = ({ options: { world, service } }: Ground, more: object = {}) => ({
  world,
  service: { strategies: undefined, ...service, ...more },
  config: { strategies: STRATEGIES },
});
