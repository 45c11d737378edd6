import { expect, it } from 'vitest';
import { ApiFault, readError, toFault } from '../../../src/adapters/kubernetes/errors.ts';

it.each<[string, number, unknown, string]>([
  ['an object that is not there', 404, { message: 'not found' }, 'not found'],
  ['an object that changed or exists', 409, { message: 'exists' }, 'conflict'],
  ['a failed test of a patch', 422, { message: 'the server rejected our request', details: {} }, 'untrue'],
  ['a failed test without details', 422, { message: 'rejected' }, 'untrue'],
  ['a result that the schema refuses', 422, { details: { name: 'world', causes: [{ field: 'spec' }] } }, 'refused'],
  ['a missing right or a quota', 403, { message: 'exceeded quota' }, 'refused'],
  ['a field that the server does not know', 400, { message: 'strict decoding error' }, 'refused'],
])('%s is an answer', (_, status, body, kind) => {
  expect(readError('Deployment hello/world', status, body).kind).toBe(kind);
});

it('says which object and why in the words of the server', () => {
  const { message } = readError('Deployment hello/world', 403, { message: 'exceeded quota: pods' });
  expect(message).toBe('Deployment hello/world: exceeded quota: pods');
});

const forbidden = (what: string, where: string) =>
  `${what} is forbidden: User "system:serviceaccount:ops:sluice" cannot patch resource ${where}`;

it('names a missing right as before a rollout: what does not work without it, and the line for the Role', () => {
  const message = forbidden(
    'httproutes.gateway.networking.k8s.io "world"',
    '"httproutes" in API group "gateway.networking.k8s.io" in the namespace "shop"',
  );
  const said =
    'The bot may not patch httproutes in namespace shop, so it cannot move traffic: add to its Role: - { apiGroups: ["gateway.networking.k8s.io"], resources: ["httproutes"], verbs: [patch] }';
  expect(readError('HTTPRoute shop/world', 403, { message })).toEqual({ kind: 'refused', message: said });
  const fault = toFault('HTTPRoute shop/world', 403, { message: `${message}: RBAC: role "sluice" not found` });
  expect(fault).toMatchObject({ message: `${said} (RBAC: role "sluice" not found)`, status: 403, isLasting: true });
});

it('names who lacks the right where that is not the bot: the command line runs as a person', () => {
  const where = '"services" in API group "" in the namespace "shop"';
  const message = forbidden('services "world"', where).replace('system:serviceaccount:ops:sluice', 'jane');
  expect(toFault('x', 403, { message }).message).toMatch(
    /^User "jane" may not patch services in namespace shop, so it cannot .*: add to a Role of theirs: - /,
  );
});

it('leaves what else is forbidden in the words of the server', () => {
  const message = forbidden('gatewayclasses', '"gatewayclasses" in API group "x" at the cluster scope');
  expect(toFault('GatewayClass public', 403, { message }).message).toBe(`GatewayClass public: ${message}`);
  // Its own account may not, which no Role of the bot mends.
  const webhook = `admission webhook "policies" denied the request: ${forbidden('pods', '"pods" in API group "" in the namespace "shop"')}`;
  expect(toFault('x', 403, { message: webhook }).message).toBe(`x: ${webhook}`);
  const strange = forbidden('tokens', '"tokens" in API group "" in the namespace "shop"');
  expect(toFault('x', 403, { message: strange }).message).toBe(
    'The bot may not patch tokens in namespace shop: add to its Role: - { apiGroups: [""], resources: ["tokens"], verbs: [patch] }',
  );
});

it.each([401, 429, 500, 503, 504])('status %i may pass by itself: a fault', (status) => {
  expect(() => readError('x', status, 'a proxy says no')).toThrow(ApiFault);
});
