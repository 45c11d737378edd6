import { expect, it } from 'vitest';
import { ApiFault, readError } from '../../../src/adapters/kubernetes/errors.ts';

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

it.each([401, 429, 500, 503, 504])('status %i may pass by itself: a fault', (status) => {
  expect(() => readError('x', status, 'a proxy says no')).toThrow(ApiFault);
});
