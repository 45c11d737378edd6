/**
 * An observer of one route that shares no code with Sluice: it sees each revision that the API server publishes, and
 * checks the invariants that hold whatever happens in between. I1 to I8 are the numbers that the design gives them.
 */
import type { Routed, Shares } from './systems.ts';
import { until } from './wait.ts';
import { marksOf, type World } from './world.ts';

export type Revision = Shares & {
  readonly at: number;
  readonly version: string;
  readonly marks: Readonly<Record<string, string>>;
};

export type History = Awaited<ReturnType<typeof watchHistory>>;

export async function watchHistory({ name, system, watchRoute }: World) {
  const revisions: Revision[] = [];
  const watching = watchRoute((object) => {
    const seen = revision(object, system.shares(object, name));
    if (revisions.at(-1)?.version !== seen.version) revisions.push(seen);
  });
  await watching.started;
  const last = () => revisions.at(-1);
  return {
    revisions,
    last,
    /** Revisions since then, after the one that was current. */
    since: (from: number) =>
      revisions.slice(
        Math.max(
          0,
          revisions.findLastIndex(({ at }) => at < from),
        ),
      ),
    /** Weights in the order in which they were seen, each once per change. */
    weights: (from = 0) => changes(revisions.filter(({ at }) => at >= from)),
    /** Waits for the weight; answers with the first revision that has it, not before `from`. */
    reaches: (weight: number, { from = 0, withinMs = 20_000 } = {}) =>
      until(`the canary gets ${weight}%`, () => revisions.find(({ at, canary }) => at >= from && canary === weight), {
        withinMs,
        seen: () => table(revisions),
      }),
    show: () => table(revisions),
    stop: watching.stop,
  };
}

/**
 * What is wrong with these revisions: weights add up, rise step by step as planned and approved, fall to 0 only and stay there,
 * and epochs rise. `plan`: the weights of the steps; `approvals`: when each gate was approved, in order.
 */
export function complaints(
  revisions: readonly Revision[],
  plan: readonly number[],
  approvals: readonly number[],
): string[] {
  const found: string[] = [];
  const beforeFirst = plan[0] === 0 ? 0 : -1;
  let step = beforeFirst;
  /** Rollouts that gave the traffic back, or had their epoch raised: only an abort and the end of a promotion do that. */
  const over = new Set<string | undefined>();
  let before: Revision | undefined;
  for (const now of revisions) {
    const { rollout } = now.marks;
    const check = (rule: string, holds: boolean) => {
      if (!holds)
        found.push(`${rule}: revision ${now.version} has ${now.stable}/${now.canary} ${JSON.stringify(now.marks)}`);
    };
    check('I1 weights add up to 100', now.canary >= 0 && now.stable >= 0 && now.canary + now.stable === 100);
    if (before) {
      const isNew = rollout !== before.marks.rollout;
      const [epoch, earlier] = [Number(now.marks.epoch ?? 0), Number(before.marks.epoch ?? 0)];
      check('I8 epochs rise', isNew && before.marks.epoch !== undefined ? epoch > earlier : epoch >= earlier);
      if (isNew) step = beforeFirst;
      else if (epoch > earlier) over.add(rollout);
      if (now.canary > before.canary) {
        step += 1;
        check('I3 no step is skipped', now.canary === plan[step]);
        check('I5 each step was approved before', approvals.filter((at) => at <= now.at).length >= step);
        check('I2 no rise after the traffic was given back', !over.has(rollout));
      } else if (now.canary < before.canary) {
        check('I3 weights fall to 0 only', now.canary === 0);
        over.add(rollout);
      }
    }
    before = now;
  }
  return found;
}

function revision(object: Routed, shares: Shares): Revision {
  const { metadata } = object;
  return {
    at: Date.now(),
    version: metadata.resourceVersion,
    ...shares,
    marks: Object.fromEntries(Object.entries(marksOf(metadata)).filter(([key]) => key !== 'restore')),
  };
}

const changes = (revisions: readonly Revision[]) =>
  revisions.map(({ canary }) => canary).filter((weight, i, all) => i === 0 || weight !== all[i - 1]);

const table = (revisions: readonly Revision[]) =>
  revisions
    .map(
      ({ at, version, canary, preview, marks }) =>
        `${new Date(at).toISOString()} #${version} ${canary}%${preview ? ' preview' : ''} ${JSON.stringify(marks)}`,
    )
    .join('\n');
