/** A sample of `npm run chaos`: places from all over an approved and an aborted rollout, every other one frozen, not killed; and all of a few. */
import { expect, test } from 'vitest';
import { listPoints, MODES, type Mode, PATHS, type Point, type Tried, tryPoint } from '../chaos/matrix.ts';
import { choose, inParallel, nameOf, table } from '../chaos/report.ts';
import { findPair } from '../scenarios/support/pairs.ts';

const PAIR = findPair({ router: 'gateway-api', workload: 'twin', strategy: 'brisk' });
const BY_SUBSETS = findPair({ router: 'istio, by subsets', workload: 'twin', strategy: 'brisk' });
const COUNT = 28;
const MISSED = 3;
/** Another one tries other places. */
const SEED = Number(process.env.SLUICE_CHAOS_SEED ?? 1);

test('whoever is killed or frozen anywhere, the rollout comes to its end and every invariant holds', async () => {
  const points = (await Promise.all(PATHS.map((path) => listPoints(PAIR, path)))).flat();
  const tries = choose(points, COUNT, SEED).map((point, index): [Point, Mode] => [
    point,
    MODES[index % 2] ?? 'SIGKILL',
  ]);
  const tried = await tryAll(tries);
  // How often a place is reached depends on the time: a few may not be, this time.
  expect(tried.filter(({ reached }) => reached).length).toBeGreaterThanOrEqual(COUNT - MISSED);
}, 300_000);

test('whoever is killed or frozen around a write to a DestinationRule leaves no subset behind, and none missing', async () => {
  const points = (await Promise.all(PATHS.map((path) => listPoints(BY_SUBSETS, path)))).flat();
  const written = points.filter(({ place }) => place.endsWith(' DestinationRule'));
  const modes = ['SIGKILL', 'SIGSTOP'] as const;
  const tried = await tryAll(written.flatMap((point) => modes.map((mode): [Point, Mode] => [point, mode])));
  // Claim and release of the approved one, and the release of the aborted one.
  expect(tried.filter(({ reached }) => reached).length).toBe(2 * modes.length * 3);
}, 300_000);

async function tryAll(tries: readonly [Point, Mode][]): Promise<readonly Tried[]> {
  const tried = await inParallel(tries, 4, ([point, mode]) => tryPoint(point, mode));
  process.stdout.write(`${table(tried)}\n`);
  const bad = tried.filter(({ violations }) => violations.length > 0);
  for (const { seen } of bad) process.stderr.write(`${seen}\n`);
  expect(bad.map((one) => `${nameOf(one)} ${one.mode}: ${one.violations.join('; ')}`)).toEqual([]);
  return tried;
}
