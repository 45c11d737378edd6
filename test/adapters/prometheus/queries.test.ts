import { expect, it } from 'vitest';
import { queriesOf } from '../../../src/adapters/prometheus/queries.ts';
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
