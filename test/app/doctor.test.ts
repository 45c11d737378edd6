import { expect, it } from 'vitest';
import { examine, fail, type Look, ok } from '../../src/app/doctor.ts';

const LIMIT_MS = 50;
const look = (subject: string, take: Look['look'], after?: string): Look => ({
  subject,
  look: take,
  ...(after === undefined ? {} : { after }),
});
const fine = (subject: string, after?: string) => look(subject, async () => [ok(subject, 'there')], after);
const never = () => new Promise<never>(() => {});

it('findings come in the order of the looks, whatever each takes', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const slow = look('slow', () => promise.then(() => [ok('slow', 'there')]));
  const fast = look('fast', async () => {
    resolve();
    return [ok('fast', 'there')];
  });
  expect(await examine([slow, fast], LIMIT_MS)).toEqual([ok('slow', 'there'), ok('fast', 'there')]);
});

it('what throws or hangs is a finding and hides no other', async () => {
  const broken = look('broken', async () => {
    throw new Error('read it', { cause: new Error('no such file') });
  });
  expect(await examine([broken, look('hanging', never), fine('fine')], LIMIT_MS)).toEqual([
    fail('broken', 'read it: no such file'),
    fail('hanging', 'no answer within 0.05 s'),
    ok('fine', 'there'),
  ]);
});

it.each<[string, Look['look'], boolean]>([
  ['is well', async () => [ok('first', 'there')], true],
  ['has only warnings', async () => [{ level: 'warn', subject: 'first', text: 'hm' }], true],
  ['has failed', async () => [fail('first', 'gone')], false],
  ['hangs', never, false],
])('a look that comes after one that %s', async (_, first, taken) => {
  const findings = await examine([fine('second', 'first'), look('first', first)], LIMIT_MS);
  expect(findings.some(({ subject }) => subject === 'second')).toBe(taken);
});

it('a look that comes after one that nobody takes is left out', async () => {
  expect(await examine([fine('second', 'first')], LIMIT_MS)).toEqual([]);
});
