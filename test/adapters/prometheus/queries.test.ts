import { describe, expect, it } from 'vitest';
import { liveQueryOf, queriesOf } from '../../../src/adapters/prometheus/queries.ts';
import type { Target } from '../../../src/core/plan.ts';
import { aCheck, TARGET } from '../../contracts/metrics.ts';

it.each([
  ['a quote', 'a"} or vector(1)#', 'a\\"} or vector(1)#-canary'],
  ['a backslash before a quote', 'a\\"', 'a\\\\\\"-canary'],
  ['a line break', 'a\nb', 'a\\nb-canary'],
])('a name with %s stays inside its string', (_, deployment, within) => {
  const { value } = queriesOf({ ...TARGET, deployment }, aCheck('up{app="{{workload}}"}'), 'canary', 60_000);
  expect(value).toBe(`up{app="${within}"}`);
});

it.each([
  ['canary', 'app-v2'],
  ['stable', 'app-v1'],
] as const)('%s of the workload versioned is a version of its own, by its own name', (side, name) => {
  const target = { ...TARGET, deployment: 'app-v1', versioned: { base: 'app', canary: 'app-v2' } };
  const { value } = queriesOf(target, aCheck('up{app="{{workload}}", service="{{service}}"}'), side, 60_000);
  expect(value).toBe(`up{app="${name}", service="${name}"}`);
});

describe('old and new pods of one Deployment', () => {
  const target: Target = { ...TARGET, workload: 'in-place', traffic: { router: 'kubernetes', service: 'hello/front' } };
  const sets = { canary: ['world-7d9f8c'], stable: ['world-5b6c', 'world-99.x'] };
  const own = 'up{pod=~"{{pods}}", app="{{workload}}", service="{{service}}"}';

  it.each([
    ['canary', '(?:world-7d9f8c)-[a-z0-9]+'],
    ['stable', '(?:world-5b6c|world-99[.]x)-[a-z0-9]+'],
  ] as const)('are told apart by their ReplicaSets: %s', (side, pods) => {
    const { value } = queriesOf(target, aCheck(own), side, 60_000, sets);
    expect(value).toBe(`up{pod=~"${pods}", app="world", service="front"}`);
    const preset = queriesOf(target, aCheck('linkerd/success-rate'), side, 60_000, sets);
    for (const query of [preset.value, preset.count])
      expect(query).toContain(`deployment="world",direction="inbound",pod=~"${pods}"`);
  });

  it.each([
    ['there is no new pod yet', { canary: [], stable: ['world-5b6c'] }],
    ['nobody knows', null],
  ])('are nobody where %s', (_, known) => {
    expect(queriesOf(target, aCheck(own), 'canary', 60_000, known).value).toContain('pod=~"/"');
  });

  it('are all of them while nothing is rolled out', () => {
    expect(liveQueryOf(target, aCheck('linkerd/success-rate'), 60_000)).not.toContain('pod');
    expect(liveQueryOf(target, aCheck('up{pod=~"{{pods}}"}'), 60_000)).toBe('up{pod=~"world-[a-z0-9]+-[a-z0-9]+"}');
  });
});

it.each([
  ['canary', 'world-canary-7d9f8c-x2z4q', 'world-7d9f8c-x2z4q'],
  ['stable', 'world-7d9f8c-x2z4q', 'world-canary-7d9f8c-x2z4q'],
] as const)('a pattern of the pods of a Deployment of its own means those of %s alone', (side, own, other) => {
  const pods = new RegExp(`^(?:${queriesOf(TARGET, aCheck('{{pods}}'), side, 60_000).value})$`);
  expect([own, other].map((name) => pods.test(name))).toEqual([true, false]);
});
