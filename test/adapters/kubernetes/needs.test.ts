/** What each right is for. That each one is used is in test/faults/requests.fault.ts, what people see without it in test/faults/rights-removed.fault.ts. */
import { expect, it } from 'vitest';
import { NEEDS, purposeOf } from '../../../src/adapters/kubernetes/needs.ts';
import { grantedIn } from '../../support/granted.ts';

const GRANTED = grantedIn('manifests');

it.each(GRANTED)('without $verb $plural people read what does not work', ({ verb, ...kind }) => {
  expect(purposeOf(verb, kind)).toMatch(/^[a-z].*\w$/);
});

it('of no right is said in two ways what it is for', () => {
  const said = NEEDS.flatMap(({ kind, verbs, to }) =>
    verbs.map((verb) => [`${verb} ${kind.plural}.${kind.group}`, to] as const),
  );
  const uses = Map.groupBy(said, ([right]) => right);
  expect([...uses.values()].filter((same) => new Set(same.map(([, to]) => to)).size > 1)).toEqual([]);
});
