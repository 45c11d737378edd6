/** What was measured, as a table: on the terminal, and between two markers of README.md. */
import { readFileSync, writeFileSync } from 'node:fs';

export type Row = {
  readonly what: string;
  readonly measured: string;
  /** Empty: there is none, the line explains another one. */
  readonly bar: string;
  /** null: not judged, for want of a bar or of the means to measure. */
  readonly holds: boolean | null;
};

export const times = (value: number): string => `${value.toFixed(2)}x`;

/** A ratio and the most it may be. */
export const ratioRow = (what: string, value: number, most: number): Row => ({
  what,
  measured: times(value),
  bar: `<= ${times(most)}`,
  holds: value <= most,
});

/** A count or size, and the most it may be. `note` explains the number. */
export const limitRow = (what: string, value: number, most: number, unit = '', note = ''): Row => ({
  what,
  measured: `${Math.round(value)}${unit}${note && ` (${note})`}`,
  bar: `<= ${most}${unit}`,
  holds: value <= most,
});

export const noteRow = (what: string, measured: string): Row => ({ what, measured, bar: '', holds: null });

export function table(rows: readonly Row[]): string {
  const cells = rows.map(({ what, measured, bar, holds }) => [
    what,
    measured,
    bar,
    holds === null ? '' : holds ? 'yes' : '**no**',
  ]);
  const all = [['what', 'measured', 'bar', 'holds'], ...cells];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) => `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  const [head, ...body] = all.map(line);
  return [head, `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...body].join('\n');
}

const README = new URL('./README.md', import.meta.url);
const MARKED = /(<!-- table -->\n)[\s\S]*(<!-- end of table -->)/;

export function writeReadme(text: string): void {
  const readme = readFileSync(README, 'utf8');
  if (!MARKED.test(readme)) throw new Error('bench/README.md has lost the markers of its table');
  // A function, since `$` in the table would mean something.
  writeFileSync(
    README,
    readme.replace(MARKED, (_, begin: string, end: string) => `${begin}\n${text}\n\n${end}`),
  );
}
