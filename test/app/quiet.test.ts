import { expect, it } from 'vitest';
import { createQuiet } from '../../src/app/quiet.ts';
import { next, nextLook } from '../../src/core/schedule.ts';
import { AT, MINUTE, results, SECOND } from '../core/support.ts';

/** A rollout at its gate that has recorded one sample with this verdict, and the time of its next one. */
function waiting(verdict: 'pass' | 'no data') {
  const story = AT.waiting?.();
  if (!story) throw new Error('no such state');
  const { rollout } = story.sample(verdict);
  return { rollout, due: rollout.guard?.next['success rate'] ?? 0 };
}

it.each(['pass', 'no data'] as const)(
  '%s again is kept, not recorded, and measured again after the interval',
  (verdict) => {
    const quiet = createQuiet();
    const { rollout, due } = waiting(verdict);
    expect(next(quiet.overlay(rollout), due)).toMatchObject({ effect: { kind: 'sample' } });
    expect(quiet.keep(rollout, results(rollout, verdict), due)).toBe(true);
    expect(next(quiet.overlay(rollout), due)).toEqual({ kind: 'wait' });
    expect(nextLook(quiet.overlay(rollout))).toBe(due + 15 * SECOND);
    expect(next(quiet.overlay(rollout), due + 15 * SECOND)).toMatchObject({ effect: { kind: 'sample' } });
  },
);

it.each([
  ['a failure', 'pass', 'fail'],
  ['a pass after no data', 'no data', 'pass'],
  ['no data after a pass', 'pass', 'no data'],
] as const)('%s is recorded', (_, before, after) => {
  const { rollout, due } = waiting(before);
  expect(createQuiet().keep(rollout, results(rollout, after), due)).toBe(false);
});

it('a pass that takes a failure back is recorded', () => {
  const story = AT.waiting?.();
  const { rollout } = story?.sample('pass').sample('fail') ?? waiting('pass');
  expect(createQuiet().keep(rollout, results(rollout, 'pass'), rollout.guard?.next['success rate'] ?? 0)).toBe(false);
});

it('values in the record are never older than five minutes', () => {
  const quiet = createQuiet();
  const { rollout, due } = waiting('pass');
  expect(quiet.keep(rollout, results(rollout, 'pass'), due + 4 * MINUTE)).toBe(true);
  expect(quiet.keep(rollout, results(rollout, 'pass'), due + 5 * MINUTE)).toBe(false);
});

it("after Redis' clock was set back the next one is recorded: until then the record would wait for the old time", () => {
  const { rollout, due } = waiting('pass');
  expect(createQuiet().keep(rollout, results(rollout, 'pass'), due - 60 * MINUTE)).toBe(false);
});

it('what was kept is there once for a decision, and never for another epoch', () => {
  const quiet = createQuiet();
  const { rollout, due } = waiting('pass');
  quiet.keep(rollout, results(rollout, 'pass'), due);
  const later = { ...rollout, epoch: rollout.epoch + 1 };
  expect(quiet.overlay(later)).toBe(later);
  expect(quiet.take(rollout.id)).toEqual({ epoch: rollout.epoch, results: results(rollout, 'pass') });
  expect(quiet.take(rollout.id)).toBeNull();
});
