import { expect, it } from 'vitest';
import { missingRights, type Need } from '../../../src/adapters/kubernetes/rights.ts';

const need: Need = { kind: { group: 'apps', plural: 'deployments' }, verbs: ['get', 'patch'] };
const rule = (apiGroups: string[], resources: string[], verbs: string[], resourceNames?: string[]) => ({
  apiGroups,
  resources,
  verbs,
  ...(resourceNames && { resourceNames }),
});
type Rules = ReturnType<typeof rule>[];
const LINE = 'add to its Role: - { apiGroups: ["apps"], resources: ["deployments"], verbs:';

it.each<[string, Rules, string[]]>([
  ['everything', [rule(['*'], ['*'], ['*'])], []],
  ['exactly that', [rule(['apps'], ['deployments'], ['get', 'patch'])], []],
  ['it in two rules', [rule(['apps'], ['*'], ['get']), rule(['*'], ['deployments'], ['patch'])], []],
  [
    'one verb',
    [rule(['apps'], ['deployments'], ['get'])],
    [`The bot may not patch deployments in namespace hello: ${LINE} [patch] }`],
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
