/** Each row of docs/security.md names a test that exists, or gives a reason. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { flawOf } from './named-tests.ts';

const rows = [...readFileSync('docs/security.md', 'utf8').matchAll(/^\| ([^|]+) \| (.+) \| ([^|]+) \|$/gm)]
  .map(([, row = '', what = '', proof = '']) => ({ row, what, proof }))
  .filter(({ row }) => row !== 'row');

test('the page has its rows', () => {
  expect(rows.length).toBeGreaterThan(25);
});

test.each(rows)('$row', ({ what, proof }) => {
  if (proof === 'reason') return expect(what.length).toBeGreaterThan(30);
  const [, path = '', name = ''] = /^\[[^\]]+\]\(([^)]+)\): (.+)$/.exec(proof) ?? [];
  const file = join('docs', path);
  expect(flawOf(file, name), file).toBeNull();
});
