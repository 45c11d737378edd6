/**
 * Every strategy on every traffic system that can carry it out, approved to its end by people whose bot is killed in every
 * step, right around the write that gives the canary its share, and when the promotion ends the route.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Rollout } from '../../src/core/rollout.ts';
import { notVersioned, SUPPORT } from '../../src/core/support.ts';
import { play } from '../chaos/matrix.ts';
import { createPerson } from '../chaos/person.ts';
import { type Pair, PLAYED } from '../scenarios/support/pairs.ts';
import { SYSTEMS, type System } from '../scenarios/support/systems.ts';
import { QUIET, whole } from './support/pairs.ts';

/** A bot dies and another one starts for each step: on a busy machine this takes a while. */
const LONG = 240_000;
/** A place may lie on the way to where it is meant. */
const TRIES = 4;

test.concurrent.each(PLAYED.map((pair) => [pair.name, pair] as const))(
  '%s is killed in every step, and ends with the new version',
  (_, pair) => killedInEveryStep(pair),
  LONG,
);

test('every cell of the table in docs/strategies.md that says yes is played here, and no other', () => {
  const [, table = ''] = readFileSync('docs/strategies.md', 'utf8').split('<!-- tables -->\n\n');
  const [head = [], , ...rows] = (table.split('\n\n')[0] ?? '')
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim()));
  const columns = head.slice(2, -1).map((cell) => cell.replaceAll('`', ''));
  const cells = rows.flatMap(([, strategy = '', ...cells]) =>
    columns.map((column, n) => [`${column} x ${strategy.replaceAll('`', '')}`, cells[n]?.startsWith('yes')] as const),
  );
  const played = new Set(PLAYED.map(({ name }) => name));
  expect(cells.length).toBeGreaterThan(30);
  expect(cells.filter(([name, can]) => played.has(name) !== can)).toEqual([]);
});

test('every router of the workload versioned is played here', () => {
  const routers = Object.keys(SUPPORT).filter((router) => SYSTEMS.every((system) => !isVersioned(system, router)));
  expect(routers.filter((router) => notVersioned(router as System['router']) === null)).toEqual([]);
});
const isVersioned = (system: System, router: string) => system.workload === 'versioned' && system.router === router;

async function killedInEveryStep(pair: Pair): Promise<void> {
  const { route, settle } = pair.system.places;
  await play(
    pair,
    ({ stage, observer }) =>
      whole(stage, observer, async () => {
        const person = createPerson(stage, observer, { strategy: pair.strategy, limitMs: 100_000 });
        /** Killed there, by itself; once more where it came there on its way already. */
        const dies = async (place: string, press: () => Promise<boolean>, isIt: (rollout: Rollout) => boolean) => {
          const pressed = press();
          for (let tries = 0; tries < TRIES; tries += 1) {
            const bot = stage.launchBot({ SLUICE_FAILPOINT: `${place}:SIGKILL` });
            await bot.ready.catch(() => bot.ended);
            await bot.ended;
            const rollout = (await observer.rollouts()).at(-1);
            if (!rollout || !isIt(rollout)) continue;
            expect(await pressed).toBe(true);
            return;
          }
          throw new Error(`not killed there: ${place}`);
        };
        for (const step of pair.weights.keys()) {
          // The first write of the next bot repeats the one that nobody recorded; in place the canary's making comes there, too.
          const hit = step === 0 && pair.system.workload !== 'in-place' ? 1 : 2;
          await dies(
            `${step % 2 === 0 ? 'before' : 'after'} ${route}#${hit}`,
            () => (step === 0 ? person.deploy() : person.approve(step - 1)),
            ({ phase, step: now }) => phase.kind === 'stepping' && now === step,
          );
        }
        await dies(
          `before ${settle}`,
          () => person.approve(pair.weights.length - 1),
          ({ phase }) => phase.kind === 'promoting',
        );
        await stage.startBot();
        await person.settle();
        const { typed, problems } = person.result();
        expect([...problems, ...(await observer.violations(['approved'], typed))]).toEqual([]);
      }),
    QUIET,
  );
}
