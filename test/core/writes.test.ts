/** What a plan says of its writes before they are made. */
import { expect, it } from 'vitest';
import type { Plan } from '../../src/core/plan.ts';
import { type Foreseen, type ForeseenHold, writesOf } from '../../src/core/writes.ts';
import { aPlan } from './support.ts';

const said = (plan: Plan, foreseen: readonly Foreseen[], holds: readonly ForeseenHold[] = []) =>
  writesOf(plan, foreseen, holds).map(({ when, object, what, fields }) => [when, object, what, ...fields].join(' | '));

const twin = aPlan();
const smi = aPlan({ target: { ...twin.target, traffic: { router: 'smi', split: 'hello/world' } } });
const versioned = aPlan({
  target: {
    ...twin.target,
    workload: 'versioned',
    deployment: 'world-v1',
    versioned: { base: 'world', canary: 'world-v2' },
  },
});
const nothing = { routes: [], back: [] };

it.each<[string, readonly Foreseen[], string]>([
  [
    'made where it is missing',
    [{ object: 'TrafficSplit hello/world', isNew: true, ...nothing }],
    'start | TrafficSplit hello/world | made, with annotations sluice.dev/…',
  ],
  [
    'marked where it is there',
    [{ object: 'TrafficSplit hello/world', ...nothing }],
    'start | TrafficSplit hello/world | annotations sluice.dev/…',
  ],
])('a route object is %s', (_, foreseen, line) => expect(said(smi, foreseen)).toContain(line));

it.each<[string, readonly ForeseenHold[], readonly string[]]>([
  [
    'made',
    [],
    [`start | Deployment world-v2 | made, with image ${versioned.image}`, 'start | Kubernetes Service world-v2 | made'],
  ],
  [
    'scaled up where it sleeps',
    [{ object: 'Deployment world-v2', held: 'scaled up from 0', back: '' }],
    [`start | Deployment world-v2 | scaled up from 0, with image ${versioned.image}`],
  ],
])('a version is %s, and said once', (_, holds, lines) => {
  const all = said(versioned, [], holds);
  expect(all).toEqual(expect.arrayContaining([...lines]));
  expect(all.filter((line) => line.startsWith('start | Deployment world-v2'))).toHaveLength(1);
});

it('a promotion of versions shows the fields that name the new one', () => {
  const [object = ''] = writesOf(versioned).map((one) => one.object);
  const field = 'spec.rules[0].backendRefs[0].name: "world-v1" → "world-v2"';
  expect(said(versioned, [{ object, ...nothing, settled: [field] }])).toContain(
    `promotion | ${object} | world-v2 in the place of world-v1 | ${field}`,
  );
});
