/** A sample of `npm run chaos`: places from all over an approved and an aborted rollout, every other one frozen, not killed. */
import { expect, test } from 'vitest';
import { listPoints, MODES, type Mode, PATHS, type Point, tryPoint } from '../chaos/matrix.ts';
import { choose, inParallel, nameOf, table } from '../chaos/report.ts';
import { findPair } from '../scenarios/support/pairs.ts';

const PAIR = findPair({ router: 'gateway-api', workload: 'twin', strategy: 'brisk' });
const COUNT = 28;
/** Another one tries other places. */
const SEED = Number(process.env.SLUICE_CHAOS_SEED ?? 1);

test('whoever is killed or frozen anywhere, the rollout comes to its end and every invariant holds', async () => {
  const points = (await Promise.all(PATHS.map((path) => listPoints(PAIR, path)))).flat();
  const tries = choose(points, COUNT, SEED).map((point, index): [Point, Mode] => [
    point,
    MODES[index % 2] ?? 'SIGKILL',
  ]);
  const tried = await inParallel(tries, 4, ([point, mode]) => tryPoint(point, mode));
  process.stdout.write(`${table(tried)}\n`);
  const bad = tried.filter(({ violations }) => violations.length > 0);
  for (const { seen } of bad) process.stderr.write(`${seen}\n`);
  expect(bad.map((one) => `${nameOf(one)} ${one.mode}: ${one.violations.join('; ')}`)).toEqual([]);
  // How often a place is reached depends on the time: a few are not, this time.
  expect(tried.filter(({ reached }) => reached).length).toBeGreaterThan(COUNT / 2);
}, 300_000);
