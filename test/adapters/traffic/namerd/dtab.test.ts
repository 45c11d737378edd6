/** Reading and printing against what real Finagle 21.4.0 does: `vectors.json` holds its golden outputs. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  type Dentry,
  fromLabel,
  parseDtab,
  parsePrefix,
  parseTree,
  sameTree,
  showDtab,
  showPath,
  showTree,
  type Tree,
  toLabel,
} from '../../../../src/adapters/traffic/namerd/dtab.ts';
import { lookUp } from '../../../../src/adapters/traffic/namerd/lookup.ts';
import type { Parsed } from '../../../../src/adapters/traffic/namerd/reader.ts';

type Vector = {
  readonly input: string;
  readonly ok: boolean;
  readonly show: string;
  readonly dentries: readonly { readonly prefix: string; readonly dst: string; readonly tree: string }[];
  readonly reparses_equal: boolean;
  readonly error: string;
};

const vectors: {
  readonly dtabs: readonly Vector[];
  readonly lookup: readonly { readonly dtab: string; readonly path: string; readonly tree: string }[];
  readonly simplify: readonly { readonly tree: string; readonly parsed: string }[];
} = JSON.parse(readFileSync('test/adapters/traffic/namerd/vectors.json', 'utf8'));

const valid = vectors.dtabs.filter(({ ok }) => ok);
const invalid = vectors.dtabs.filter(({ ok }) => !ok);

function value<T>(parsed: Parsed<T>): T {
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

/** A double as Scala writes it. */
function scala(weight: number): string {
  const [mantissa = '', power = '0'] = weight.toExponential().split('e');
  if (weight !== 0 && (Number(power) >= 7 || Number(power) < -3))
    return `${mantissa.includes('.') ? mantissa : `${mantissa}.0`}E${Number(power)}`;
  return Number.isInteger(weight) ? `${weight}.0` : `${weight}`;
}

/** The notation of the vectors; those of `lookup` wrap paths twice. */
function notation(tree: Tree, path = (labels: string) => `Path(${labels})`): string {
  switch (tree.kind) {
    case 'leaf':
      return `Leaf(${path(tree.path.join(','))})`;
    case 'alt':
      return `Alt(${tree.trees.map((inner) => notation(inner, path)).join(',')})`;
    case 'union':
      return `Union(${tree.branches.map((one) => `Weighted(${scala(one.weight)},${notation(one.tree, path)})`).join(',')})`;
    default:
      return { neg: 'Neg', fail: 'Fail', empty: 'Empty' }[tree.kind];
  }
}

test('the vectors are the whole set', () => {
  expect([valid.length, invalid.length, vectors.lookup.length, vectors.simplify.length]).toEqual([106, 44, 19, 20]);
});

test.each(valid)('reads $input', ({ input, show, dentries }) => {
  const dtab = value(parseDtab(input));
  expect(dtab.map(({ dst }) => notation(dst))).toEqual(dentries.map(({ tree }) => tree));
  expect(dtab.map(({ prefix }) => showPath(prefix))).toEqual(dentries.map(({ prefix }) => prefix));
  expect(dtab.map(({ dst }) => showTree(dst))).toEqual(dentries.map(({ dst }) => dst));
  expect(showDtab(dtab)).toBe(show);
});

const trees = (dtab: readonly Dentry[]) => dtab.map(({ dst }) => notation(dst));

test.each(valid)('reads what is printed of $input', ({ input, show, reparses_equal }) => {
  const [first, again] = [value(parseDtab(input)), value(parseDtab(show))];
  if (!/\b1\.00\*/.test(show)) expect(showDtab(again)).toBe(show);
  expect(JSON.stringify(trees(again)) === JSON.stringify(trees(first))).toBe(reparses_equal);
  for (const [index, { dst }] of first.entries())
    expect(sameTree(dst, again[index]?.dst ?? { kind: 'neg' })).toBe(true);
});

test.each(invalid)('refuses $input', ({ input, error }) => {
  expect(parseDtab(input)).toEqual({ ok: false, error });
});

test.each(vectors.lookup)('looks $path up in $dtab', ({ dtab, path, tree }) => {
  const found = lookUp(value(parseDtab(dtab)), value(parsePrefix(path)));
  expect(notation(found, (labels) => `Path(Path(${labels}))`)).toBe(tree);
});

test.each(vectors.simplify)('reads the tree $tree', ({ tree, parsed }) => {
  expect(notation(value(parseTree(tree)))).toBe(parsed);
});

test('tells weights apart at two decimals', () => {
  const same = (one: string, other: string) => sameTree(value(parseTree(one)), value(parseTree(other)));
  expect(same('10*/a & 90*/b', '10.00*/a & 90.00*/b')).toBe(true);
  expect(same('10*/a & 90*/b', '11*/a & 89*/b')).toBe(false);
  expect(same('10*/a & 90*/b', '90*/b & 10*/a')).toBe(false);
});

test('says of a comma in a weight where it comes from', () => {
  expect(parseTree('8,00*/a & 2,00*/b')).toMatchObject({
    ok: false,
    error: expect.stringMatching(/comma-decimal locale/),
  });
});

test('does not follow parentheses for ever', () => {
  expect(parseTree('('.repeat(5_000))).toMatchObject({ ok: false });
});

test.each(['world-1', 'U0BO(bo)@2026-11-20T10:00:00Z', 'Zoë & co', 'a/b'])(
  '%s fits into a label and comes back',
  (text) => {
    const label = toLabel(text);
    expect(value(parseTree(`/${label}`))).toEqual({ kind: 'leaf', path: [label] });
    expect(fromLabel(label)).toBe(text);
  },
);
