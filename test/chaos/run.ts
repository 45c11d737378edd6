/**
 * `npm run chaos`: every place of an approved and of an aborted rollout, killed and frozen. `--sample 40` takes so many of
 * them, spread over all places; `--seed 7` makes another choice; `--only save` takes those whose name has this; `--mode SIGKILL`
 * one way, `--mode BLOCK` a third; `--at-once 4` so many side by side; `--list` only lists; `--show` shows what was seen.
 * `--router istio --strategy ab` plays another traffic system and strategy, `--workload in-place` another workload.
 */
import { parseArgs } from 'node:util';
import { findPair } from '../scenarios/support/pairs.ts';
import { listPoints, MODES, PATHS, type Tried, tryPoint } from './matrix.ts';
import { choose, inParallel, nameOf, table } from './report.ts';

const { values } = parseArgs({
  options: {
    sample: { type: 'string' },
    only: { type: 'string', default: '' },
    seed: { type: 'string', default: '1' },
    mode: { type: 'string', default: '' },
    'at-once': { type: 'string', default: '4' },
    list: { type: 'boolean', default: false },
    show: { type: 'boolean', default: false },
    router: { type: 'string', default: 'gateway-api' },
    workload: { type: 'string', default: 'twin' },
    strategy: { type: 'string', default: 'brisk' },
  },
});
const say = (text: string) => process.stdout.write(`${text}\n`);

const pair = findPair(values);
const recorded = (await Promise.all(PATHS.map((path) => listPoints(pair, path)))).flat();
const wanted = recorded.filter((point) => nameOf(point).includes(values.only));
const points = values.sample === undefined ? wanted : choose(wanted, Number(values.sample), Number(values.seed));
const modes = MODES.filter((mode) => (values.mode === '' ? mode !== 'BLOCK' : mode === values.mode));
if (modes.length === 0) throw new Error(`--mode ${values.mode}: there are ${MODES.join(', ')}`);
if (points.length === 0) throw new Error(`no place of ${recorded.length} has "${values.only}" in its name: see --list`);
say(`${pair.name}: ${recorded.length} places on the way, ${points.length} of them tried in ${modes.length} ways`);
if (values.list) for (const point of points) say(nameOf(point));
else {
  const start = performance.now();
  const tries = modes.flatMap((mode) => points.map((point) => ({ point, mode })));
  let done = 0;
  const all = await inParallel(tries, Number(values['at-once']), async ({ point, mode }): Promise<Tried> => {
    const tried = await tryPoint(point, mode).catch((error: unknown) => failed(point, mode, error));
    done += 1;
    const { reached, violations, ms } = tried;
    const how = violations.length > 0 ? violations.join('; ') : reached ? `ok ${ms} ms` : 'not reached';
    say(`${done}/${tries.length} ${nameOf(point)} ${mode}: ${how}`);
    if (violations.length > 0 || values.show) say(tried.seen);
    return tried;
  });
  say(table(all));
  say(`${((performance.now() - start) / 60_000).toFixed(1)} min`);
  // What is not reached proves nothing; a few lie on ways that are not taken each time.
  const missed = all.filter(({ reached }) => !reached).length;
  process.exitCode = all.some(({ violations }) => violations.length > 0) || missed > all.length / 5 ? 1 : 0;
}

function failed(point: Tried | Parameters<typeof tryPoint>[0], mode: Tried['mode'], error: unknown): Tried {
  const reason = error instanceof Error ? `${error.message}` : String(error);
  return { ...point, mode, reached: false, violations: [`not played: ${reason}`], ms: 0, seen: '' };
}
