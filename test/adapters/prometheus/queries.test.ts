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
