import { expect, it } from 'vitest';
import { missingRights, type Need } from '../../../src/adapters/kubernetes/rights.ts';

const need: Need = { kind: { group: 'apps', plural: 'deployments' }, verbs: ['get', 'patch'], to: 'promote' };
const rule = (apiGroups: string[], resources: string[], verbs: string[], resourceNames?: string[]) => ({
  apiGroups,
  resources,
  verbs,
  ...(resourceNames && { resourceNames }),
});
type Rules = ReturnType<typeof rule>[];
const LINE = 'so it cannot promote: add to its Role: - { apiGroups: ["apps"], resources: ["deployments"], verbs:';

it.each<[string, Rules, string[]]>([
  ['everything', [rule(['*'], ['*'], ['*'])], []],
  ['exactly that', [rule(['apps'], ['deployments'], ['get', 'patch'])], []],
  ['it in two rules', [rule(['apps'], ['*'], ['get']), rule(['*'], ['deployments'], ['patch'])], []],
  [
    'one verb',
    [rule(['apps'], ['deployments'], ['get'])],
    [`The bot may not patch deployments in namespace hello, ${LINE} [patch] }`],
  ],
  [
    'it for single names',
    [rule(['apps'], ['deployments'], ['*'], ['world'])],
    [expect.stringContaining('[get, patch]')],
  ],
  ['another group', [rule(['extensions'], ['deployments'], ['*'])], [expect.stringContaining('[get, patch]')]],
  ['nothing', [], [expect.stringContaining('[get, patch]')]],
])('an account that may %s', (_, resourceRules, said) => {
  expect(missingRights({ status: { resourceRules } }, [need], 'hello')).toEqual(said);
});

it('an incomplete review proves nothing missing', () => {
  expect(missingRights({ status: { resourceRules: [], incomplete: true } }, [need], 'hello')).toEqual([]);
});

it('what is missing of one kind for several things is one sentence', () => {
  const more: readonly Need[] = [need, { ...need, verbs: ['patch', 'delete'], to: 'clean up' }];
  expect(missingRights({ status: { resourceRules: [] } }, more, 'hello')).toEqual([
    'The bot may not get, patch, delete deployments in namespace hello, so it cannot promote or clean up: add to its Role: - { apiGroups: ["apps"], resources: ["deployments"], verbs: [get, patch, delete] }',
  ]);
});
