/** Every row of the fault table is shown by a test that exists, or says why not. */
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const rows = readFileSync('docs/faults.md', 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| row'))
  .map((line) => line.split('|').slice(1, -1));

test('each row has what happens, what is seen, and a test', () => {
  expect(rows.length).toBeGreaterThan(40);
  expect(rows.filter((cells) => cells.length !== 4 || cells.some((cell) => cell.trim() === ''))).toEqual([]);
  expect(rows.filter((cells) => !cells[3]?.includes('`test/'))).toEqual([]);
});

test('each named test is in the named file', () => {
  const named = rows.flatMap((cells) => [...(cells[3] ?? '').matchAll(/`(test\/[^`]+)`(?: "((?:[^"\\]|\\.)*)")?/g)]);
  const missing = named.flatMap(([, file = '', name]) => {
    if (!existsSync(file)) return [file];
    const title = name?.replaceAll('\\"', '"') ?? '';
    return readFileSync(file, 'utf8').includes(title) ? [] : [`${file}: ${title}`];
  });
  expect(missing).toEqual([]);
});
