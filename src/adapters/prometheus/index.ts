/** The port `Metrics` on Prometheus. */
import type { Log } from '../../app/ports/log.ts';
import type { Metrics, Series } from '../../app/ports/metrics.ts';
import type { SideSets } from '../../app/ports/workload.ts';
import type { Measured, Reading } from '../../core/analysis.ts';
import type { Check, Target } from '../../core/plan.ts';
import { createClient } from './client.ts';
import { queriesOf, type Side } from './queries.ts';

/** For all queries of one measurement together: a guard that waits longer would come too late. */
const TIMEOUT_MS = 5000;
const MAX_AT_ONCE = 12;
const MAX_POINTS = 120;
const SIDES = ['canary', 'stable'] as const;
/** Prometheus' own: an instant query takes no older sample. */
const LOOKBACK_MS = 300_000;
/** Replicas of Redis disagree by less. */
const SET_BACK_MS = 60_000;

type Deps = {
  /** null: no Prometheus is configured, so nothing is ever measured. */
  readonly url: string | null;
  readonly log: Log;
  /** Whose pods are whose; undefined: each side has a Deployment of its own. */
  readonly replicaSets?: (target: Target) => Promise<SideSets> | undefined;
};

export function createMetrics({ url, log, replicaSets }: Deps): Metrics {
  const client = url === null ? null : createClient(url);

  /** What the cluster does not say is nobody's: without samples a check says "no data". */
  async function setsOf(target: Target): Promise<SideSets | null> {
    try {
      return (await replicaSets?.(target)) ?? null;
    } catch (error) {
      log.warn({ deployment: target.deployment, err: error }, 'nobody knows which pods are new');
      return null;
    }
  }

  return {
    async measure(target, checks, since, now) {
      if (!client) return checks.map((check) => unmeasured(check, 'no Prometheus is configured'));
      // After Redis' clock was set back nobody knows for how long there was traffic; for long enough not to go without data.
      const elapsed = since - now > SET_BACK_MS ? Number.POSITIVE_INFINITY : Math.max(1_000, now - since);
      const window = (check: Check) => Math.min(check.windowMs, elapsed);
      const sets = await setsOf(target);
      const wanted = checks.map((check) => bothSides(target, check, window(check), sets));
      const queries = wanted.flatMap(({ canary, stable }) => [canary.value, stable.value, canary.count, stable.count]);
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const ask = (query: string) => client.number(query, Math.min(elapsed, LOOKBACK_MS), signal);
      const readings = await answerEach(queries, ask);
      for (const [query, reading] of readings)
        if ('missing' in reading) log.debug({ query, reason: reading.missing }, 'query without a value');
      return checks.map((check, index) => measured(check, wanted[index], readings));
    },

    async range(target, checks, from, to) {
      const lines = checks.flatMap((check) => SIDES.map((side) => ({ check, side })));
      if (!client || to <= from) return lines.map((line) => ({ ...line, points: [] }));
      const sets = await setsOf(target);
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const asked = lines.map(({ check, side }) => {
        // Half of the time at most, so that a short bake has a line; the first window starts with the first traffic.
        const windowMs = Math.min(check.windowMs, (to - from) / 2);
        return { windowMs, query: queriesOf(target, check, side, windowMs, sets).value };
      });
      const starts = new Map(asked.map(({ query, windowMs }) => [query, from + windowMs]));
      const points = await answerEach([...starts.keys()], (query) => {
        const start = starts.get(query) ?? from;
        const stepMs = Math.max(1, Math.ceil((to - start) / 1000 / (MAX_POINTS - 1))) * 1000;
        return client.line(query, start, to, stepMs, signal);
      });
      return lines.map((line, index): Series => {
        const answer = points.get(asked[index]?.query ?? '');
        return { ...line, points: answer && 'points' in answer ? answer.points : [] };
      });
    },
  };
}

type BothSides = Readonly<Record<Side, ReturnType<typeof queriesOf>>>;
type Readings = ReadonlyMap<string, Reading>;

function bothSides(target: Target, check: Check, windowMs: number, sets: SideSets | null): BothSides {
  return {
    canary: queriesOf(target, check, 'canary', windowMs, sets),
    stable: queriesOf(target, check, 'stable', windowMs, sets),
  };
}

function measured(check: Check, queries: BothSides | undefined, readings: Readings): Measured {
  if (!queries) return unmeasured(check, 'not asked');
  const { canary, stable } = queries;
  const reading = (query: string): Reading => readings.get(query) ?? { missing: 'not asked' };
  const requests =
    canary.count === null || stable.count === null
      ? null
      : { canary: countOf(reading(canary.count)), stable: countOf(reading(stable.count)) };
  return { check: check.name, canary: reading(canary.value), stable: reading(stable.value), requests };
}

/** What cannot be counted is no request: it leads to "no data", never to a pass. */
const countOf = (reading: Reading) => ('value' in reading ? Math.round(reading.value) : 0);

function unmeasured(check: Check, reason: string): Measured {
  return { check: check.name, canary: { missing: reason }, stable: { missing: reason }, requests: null };
}

/** Asks each different query once, some at a time. */
async function answerEach<T>(
  queries: readonly (string | null)[],
  ask: (query: string) => Promise<T>,
): Promise<ReadonlyMap<string, T>> {
  const answers = new Map<string, T>();
  const left = new Set(queries.filter((query) => query !== null)).values();
  const worker = async () => {
    for (const query of left) answers.set(query, await ask(query));
  };
  await Promise.all(Array.from({ length: MAX_AT_ONCE }, worker));
  return answers;
}
