/** Every row of the fault table is shown by a test that exists and is played, or says why not. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { flawIn, flawOf } from './named-tests.ts';

const rows = readFileSync('docs/faults.md', 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| row'))
  .map((line) => line.split('|').slice(1, -1));

const TITLE = '"(?:[^"\\\\]|\\\\.)*"';
/** `file` "title", "title"; or "title" in `file`. */
const NAMED = new RegExp(`(?:(${TITLE}) in )?\`(test/[^\`]+)\`((?:,? ${TITLE}(?! in \`))*)`, 'g');

function namedIn(cell: string): readonly { readonly file: string; readonly titles: readonly string[] }[] {
  return [...cell.matchAll(NAMED)].map(([, before = '', file = '', after = '']) => ({
    file,
    titles: [...`${before} ${after}`.matchAll(new RegExp(TITLE, 'g'))].map(([title]) =>
      title.slice(1, -1).replaceAll('\\"', '"'),
    ),
  }));
}

test('each row has what happens, what is seen, and the title of a test', () => {
  expect(rows.length).toBeGreaterThan(40);
  expect(rows.filter((cells) => cells.length !== 4 || cells.some((cell) => cell.trim() === ''))).toEqual([]);
  const untold = rows.filter((cells) => namedIn(cells[3] ?? '').every(({ titles }) => titles.length === 0));
  expect(untold.map(([row]) => row)).toEqual([]);
});

test('each named test is in the named file, and none of that file is left out', () => {
  const named = rows.flatMap((cells) => namedIn(cells[3] ?? ''));
  const missing = named.flatMap(({ file, titles }) =>
    (titles.length > 0 ? titles : ['']).flatMap((title) => {
      const flaw = flawOf(file, title);
      return flaw === null ? [] : [`${file}: ${flaw}`];
    }),
  );
  expect(missing).toEqual([]);
});

const TEST = "test('it\\'s there', () => {});";

test.each([
  ['as it is', TEST, null],
  ['in a template', TEST.replaceAll(/(?<!\\)'/g, '`'), null],
  ['in a comment', `// ${TEST}`, 'it has no test "it\'s there"'],
  ['in a comment of several lines', `/*\n${TEST}\n*/`, 'it has no test "it\'s there"'],
  ['skipped', TEST.replace('test', 'test.skip'), 'it has "test.skip"'],
  ['skipped with its table', TEST.replace('test', 'describe.skip.each(rows)'), 'it has "describe.skip"'],
  ['skipped by a setting', TEST.replace(', ()', ', { skip: true }, ()'), 'it has "skip: true"'],
])('a title %s is judged so', (_, source, flaw) => {
  expect(flawIn(source, "it's there")).toBe(flaw);
});
