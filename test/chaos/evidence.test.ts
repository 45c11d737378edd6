/** The observers of evidence see what is wrong, and find nothing wrong with what is right. */
import { expect, it } from 'vitest';
import type { Event } from '../../src/core/event.ts';
import { person } from '../core/support.ts';
import { longestUnwatched, unproved } from './evidence.ts';

const results = (verdict: 'pass' | 'fail' | 'no data') => [
  { check: 'success rate', canary: { value: 1 }, stable: { value: 1 }, requests: null, verdict },
];
const judged = (verdict: Parameters<typeof results>[0]): Event => ({
  type: 'judged',
  seq: 1,
  results: results(verdict),
});
const sampled = (verdict: Parameters<typeof results>[0]): Event => ({
  type: 'sampled',
  epoch: 1,
  results: results(verdict),
});
const approved = (reason: string | null): Event => ({ type: 'approved', gate: 'g', actor: person('bo'), reason });
const scaled: Event = { type: 'scaled', seq: 1 };
const aborted: Event = {
  type: 'abort_requested',
  cause: { kind: 'person', actor: person('bo'), reason: null },
  epoch: 2,
};
const found = (events: readonly Event[]) => unproved(events.map((event, n) => ({ event, version: n + 1 })));

it.each<[string, readonly Event[]]>([
  ['goes on when all passed', [judged('pass'), scaled]],
  ['is approved when all passed', [judged('pass'), approved(null), scaled]],
  ['is approved without data, with a reason', [judged('no data'), approved('seen'), scaled]],
  ['is approved once there is data', [judged('no data'), sampled('pass'), approved(null), scaled]],
  ['is aborted without data', [judged('no data'), aborted, scaled]],
])('nothing is wrong where a rollout %s', (_, events) => {
  expect(found(events)).toEqual([]);
});

it.each<[string, readonly Event[], RegExp]>([
  ['goes on without data', [judged('no data'), scaled], /^I11 event 2 \(scaled\) moves on.*success rate/],
  ['goes on with a failure', [judged('fail'), { type: 'template_set', seq: 1 }], /moves on/],
  ['goes on by a later sample alone', [judged('no data'), sampled('pass'), scaled], /moves on/],
  ['is approved without data and reason', [judged('no data'), approved(' '), scaled], /gives no reason/],
  ['is approved when the data is gone', [judged('pass'), sampled('no data'), approved(null)], /gives no reason/],
])('the observer complains where a rollout %s', (_, events, wanted) => {
  expect(found(events)).toEqual([expect.stringMatching(wanted)]);
});

it.each<[string, Parameters<typeof longestUnwatched>, number]>([
  ['nothing was shared', [[], [], []], 0],
  ['nobody asked', [[[0, 5_000]], [], []], 5_000],
  ['somebody asked in between', [[[0, 5_000]], [1_000, 4_000], []], 3_000],
  ['others asked before and after', [[[1_000, 3_000]], [500, 3_500], []], 2_000],
  ['nobody could ask for a while', [[[0, 9_000]], [1_000], [[2_000, 8_000]]], 2_000],
])('the longest time without a look, where %s', (_, given, ms) => {
  expect(longestUnwatched(...given)).toBe(ms);
});
