/** The observer of a route sees what is wrong, and finds nothing wrong with what is right. */
import { expect, it } from 'vitest';
import { complaints, type Revision } from '../e2e/support/history.ts';

const PLAN = [0, 10, 50, 100];
/** Canary weight, epoch, and the rollout if it is another one; one revision each second, gates approved in between. */
type Seen = readonly [canary: number, epoch: number, rollout?: string];

const revisions = (seen: readonly Seen[]): readonly Revision[] =>
  seen.map(([canary, epoch, rollout = 'world-1'], n) => ({
    at: 1_000 * n,
    version: `${n}`,
    canary,
    stable: 100 - canary,
    preview: false,
    marks: { rollout, epoch: `${epoch}` },
  }));
/** All gates were approved long before: what is left are the rules that no approval lifts. */
const APPROVED = PLAN.map(() => -1);
const rules = (seen: readonly Seen[], approvals = APPROVED) =>
  complaints(revisions(seen), PLAN, approvals).map((complaint) => complaint.slice(0, 2));

it.each<[string, readonly Seen[]]>([
  [
    'goes live',
    [
      [0, 1],
      [10, 1],
      [50, 1],
      [100, 1],
      [0, 1],
    ],
  ],
  [
    'is aborted at a share',
    [
      [0, 1],
      [10, 1],
      [0, 2],
      [0, 2],
    ],
  ],
  [
    'is aborted before any share',
    [
      [0, 1],
      [0, 2],
    ],
  ],
  [
    'is followed by another one',
    [
      [0, 1],
      [10, 1],
      [0, 2],
      [0, 3, 'world-2'],
      [10, 3, 'world-2'],
    ],
  ],
])('nothing is wrong where a rollout %s', (_, seen) => {
  expect(rules(seen)).toEqual([]);
});

it.each<[string, readonly Seen[], string]>([
  [
    'rises after its abort, in the epoch of the abort',
    [
      [0, 1],
      [10, 1],
      [0, 2],
      [10, 2],
    ],
    'I2',
  ],
  [
    'rises in the patch that aborts it',
    [
      [0, 1],
      [10, 1],
      [50, 2],
    ],
    'I2',
  ],
  [
    'rises after an abort that had nothing to lower',
    [
      [0, 1],
      [0, 2],
      [10, 2],
    ],
    'I2',
  ],
  [
    'comes back after its promotion gave the traffic back',
    [
      [0, 1],
      [10, 1],
      [50, 1],
      [100, 1],
      [0, 1],
      [100, 1],
    ],
    'I2',
  ],
  [
    'comes back when another one holds the route',
    [
      [0, 1],
      [10, 1],
      [0, 2],
      [0, 3, 'world-2'],
      [10, 4],
    ],
    'I2',
  ],
  [
    'skips a step',
    [
      [0, 1],
      [50, 1],
    ],
    'I3',
  ],
  [
    'falls to less than it had',
    [
      [0, 1],
      [10, 1],
      [50, 1],
      [10, 1],
    ],
    'I3',
  ],
  [
    'goes back to an older epoch',
    [
      [0, 2],
      [10, 2],
      [10, 1],
    ],
    'I8',
  ],
])('the observer complains where a rollout %s', (_, seen, rule) => {
  expect(rules(seen)).toContain(rule);
});

it('complains of a zombie that raises to the planned weight after approvals of all gates', () => {
  // What counts as the next step is approved: only the abort before it forbids the rise.
  expect(
    rules([
      [0, 1],
      [10, 1],
      [0, 2],
      [50, 2],
    ]),
  ).toEqual(['I2']);
});

it('complains of weights that do not add up, and of a rise that nobody approved', () => {
  const [first, second] = revisions([
    [0, 1],
    [10, 1],
  ]);
  if (!first || !second) throw new Error('there are two');
  expect(complaints([first, { ...second, stable: 80 }], PLAN, APPROVED)).toEqual([expect.stringMatching(/^I1 /)]);
  expect(
    rules(
      [
        [0, 1],
        [10, 1],
      ],
      [],
    ),
  ).toEqual(['I5']);
});
