import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { areInstalled, oneAtATime } from '../../tools/packages.mjs';

const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const lock = (packages: Record<string, object>) => ({ packages: { '': { version: '0.1.0' }, ...packages } });
const zod = { version: '4.0.0', integrity: 'sha512-a' };
const vitest = { version: '5.1.0', integrity: 'sha512-b', dev: true };
const foreign = { version: '1.0.0', integrity: 'sha512-c', optional: true };

it.each([
  ['nothing', {}, false],
  ['everything', lock({ zod, vitest }), true],
  ['another version', lock({ zod: { ...zod, version: '4.0.1' }, vitest }), false],
  ['other contents', lock({ zod: { ...zod, integrity: 'sha512-x' }, vitest }), false],
  ['no packages for development', lock({ zod }), false],
])('with %s installed, up to date: %s', (_, installed, expected) => {
  expect(areInstalled(lock({ zod, vitest, foreign }), installed, { production: false })).toBe(expected);
});

it('does without packages for development in production', () => {
  expect(areInstalled(lock({ zod, vitest }), lock({ zod }), { production: true })).toBe(true);
});

it('lets one in at a time', async () => {
  const path = join(folder, 'lock');
  const seen: string[] = [];
  const work = (name: string) => async () => {
    seen.push(`${name} in`);
    await sleep(20);
    seen.push(`${name} out`);
  };
  await Promise.all([oneAtATime(path, work('a')), oneAtATime(path, work('b'))]);
  expect(seen).toEqual(['a in', 'a out', 'b in', 'b out']);
});

it('takes over the lock of a process that is gone', async () => {
  const path = join(folder, 'stale');
  writeFileSync(path, String(2 ** 30)); // larger than any process id
  let worked = false;
  await oneAtATime(path, async () => {
    worked = true;
  });
  expect(worked).toBe(true);
});
