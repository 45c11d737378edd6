/**
 * Every strategy on every traffic system that can carry it out, aborted at each step, the last time by a bot that is killed
 * while it gives the traffic back; and what cannot be carried out is refused when it is typed, with the reason.
 */
import { describe, expect, test } from 'vitest';
import { play } from '../chaos/matrix.ts';
import { createPerson } from '../chaos/person.ts';
import { PAIRS, type Pair, PLAYED } from '../scenarios/support/pairs.ts';
import { SYSTEMS } from '../scenarios/support/systems.ts';
import { QUIET, whole } from './support/pairs.ts';

describe.concurrent('aborted at each step, and killed at the end while it gives back', () => {
  test.each(PLAYED.map((pair) => [pair.name, pair] as const))('%s', (_, pair) => abortedAtEachStep(pair));
});

describe.concurrent('refused when it is typed, with the reason', () => {
  test.each(SYSTEMS.map((system) => [system.title, PAIRS.filter((pair) => pair.system === system)] as const))(
    '%s',
    (_, pairs) => refused(pairs),
  );
});

async function abortedAtEachStep(pair: Pair): Promise<void> {
  const { revert } = pair.system.places;
  const last = pair.weights.length - 1;
  await play(
    pair,
    ({ stage, observer }) =>
      whole(stage, observer, async () => {
        const bot = await stage.startBot();
        const person = createPerson(stage, observer, { strategy: pair.strategy, limitMs: 100_000 });
        for (const step of pair.weights.keys()) {
          expect(await person.deploy()).toBe(true);
          expect(await person.approveUpTo(step)).toBe(true);
          await person.gateOpens(step);
          if (step < last) await person.abort();
          else {
            await bot.kill();
            // Both are met: some strategies are long, some are short.
            const place = `${step > 1 ? 'before' : 'after'} ${revert}`;
            const dying = await stage.startBot({ SLUICE_FAILPOINT: `${place}:SIGKILL` });
            // Killed before it is acknowledged, it is pressed again.
            const aborted = person.abort();
            await dying.ended;
            await stage.startBot();
            await aborted;
          }
          await person.settle();
          const { typed, problems } = person.result();
          const paths = Array.from({ length: step + 1 }, () => 'aborted' as const);
          expect([...problems, ...(await observer.violations(paths, typed))]).toEqual([]);
        }
      }),
    QUIET,
  );
}

async function refused(pairs: readonly Pair[]): Promise<void> {
  const [any] = pairs;
  if (!any) throw new Error('a system has pairs');
  await play(
    any,
    ({ stage, observer }) =>
      whole(stage, observer, async () => {
        await stage.startBot();
        for (const { strategy, refusals } of pairs.filter((pair) => pair.refusals.length > 0)) {
          await stage.slack.command('ana', `world v2 ${strategy}`);
          for (const reason of refusals)
            await stage.slack.until(() => stage.slack.ephemerals('ana').at(-1)?.includes(reason), { what: reason });
        }
        expect(await observer.rollouts()).toEqual([]);
        expect(stage.slack.roots()).toEqual([]);
      }),
    QUIET,
  );
}
