/** The observers of who held what see what is wrong, and find nothing wrong with what is right. */
import { expect, it } from 'vitest';
import { overlaps, watchEpochs } from './holders.ts';

const revisionOf = ([name, epoch]: readonly [string, number | null]) => ({
  kind: 'Deployment',
  metadata: {
    ...{ name, uid: '1', resourceVersion: '1', creationTimestamp: '' },
    annotations: epoch === null ? {} : { 'sluice.dev/epoch': `${epoch}` },
  },
});
const epochs = (seen: readonly (readonly [string, number | null])[]) => {
  const judge = watchEpochs();
  return seen.flatMap((one) => judge(revisionOf(one)));
};

it('nothing is wrong with epochs that rise on each Deployment, also where marks are taken off between', () => {
  expect(
    epochs([
      ['world', null],
      ['world', 3],
      ['world-canary', 2],
      ['world', 3],
      ['world', null],
      ['world', 4],
    ]),
  ).toEqual([]);
});

it.each<[string, readonly (readonly [string, number | null])[]]>([
  [
    'falls',
    [
      ['world', 3],
      ['world', 2],
    ],
  ],
  [
    'falls behind the marks that were taken off',
    [
      ['world', 3],
      ['world', null],
      ['world', 2],
    ],
  ],
])('the observer complains of an epoch that %s', (_, seen) => {
  expect(epochs(seen)).toEqual(['I8 Deployment world has epoch 2 after 3']);
});

it('nothing is wrong where one rollout begins when the other has ended', () => {
  expect(
    overlaps([
      { id: 'b', from: 100, to: 200 },
      { id: 'a', from: 0, to: 100 },
    ]),
  ).toEqual([]);
});

it.each([
  ['lives', Number.POSITIVE_INFINITY],
  ['ends a little later', 101],
])('the observer complains where a rollout begins while another one %s', (_, to) => {
  expect(
    overlaps([
      { id: 'a', from: 0, to },
      { id: 'b', from: 100, to: 200 },
    ]),
  ).toEqual(['I7 b began before a had ended']);
});
