/**
 * Dtabs as Finagle 21.4.0 (in namerd 1.7.5) reads and prints them. Pure. Grammar, normal form and vectors: golden files of
 * real Finagle output in test/adapters/traffic/namerd.
 */
import { isDeepStrictEqual } from 'node:util';
import { parser, type Reader } from './reader.ts';

/** Labels in their printed form: one with any unusual byte has all its bytes as `\xHH`. */
export type Path = readonly string[];

export type Tree =
  | { readonly kind: 'leaf'; readonly path: Path }
  | { readonly kind: 'alt'; readonly trees: readonly Tree[] }
  | { readonly kind: 'union'; readonly branches: readonly Branch[] }
  /** `~` try the next alternate, `!` stop here, `$` bound without endpoints. */
  | { readonly kind: 'neg' | 'fail' | 'empty' };

export type Branch = { readonly weight: number; readonly tree: Tree };

/** In a prefix `*` stands for one whole segment. */
export type Dentry = { readonly prefix: Path; readonly dst: Tree };

/** Deeper parentheses are refused: Finagle itself runs out of stack at some thousands. */
const DEEPEST = 200;

export const parseDtab = parser(readDtab);
export const parseTree = parser((reader) => readTree(reader, 0));
export const parsePrefix = parser((reader) => readPath(reader, true));

// ---- reading ---------------------------------------------------------------------------------------------------------

function readDtab(reader: Reader): readonly Dentry[] {
  const dentries: Dentry[] = [];
  reader.space();
  while (!reader.atEnd()) {
    dentries.push(readDentry(reader));
    if (!reader.takes(';')) break;
    reader.space();
  }
  return dentries;
}

function readDentry(reader: Reader): Dentry {
  const prefix = readPath(reader, true);
  reader.space();
  reader.expect('=');
  reader.expect('>');
  reader.space();
  return { prefix, dst: readTree(reader, 0) };
}

function readTree(reader: Reader, depth: number): Tree {
  if (depth > DEEPEST) reader.fail(`at most ${DEEPEST} parentheses`);
  const trees = [readUnion(reader, depth)];
  while (reader.takes('|')) {
    reader.space();
    trees.push(readUnion(reader, depth));
  }
  const [only] = trees;
  return only && trees.length === 1 ? only : { kind: 'alt', trees };
}

function readUnion(reader: Reader, depth: number): Tree {
  const branches = [readBranch(reader, depth)];
  while (reader.takes('&')) {
    reader.space();
    branches.push(readBranch(reader, depth));
  }
  const [only] = branches;
  // The weight of a single branch means nothing, and Finagle drops it.
  return only && branches.length === 1 ? only.tree : { kind: 'union', branches };
}

function readBranch(reader: Reader, depth: number): Branch {
  const weight = readWeight(reader);
  const tree = readSimple(reader, depth);
  reader.space();
  return { weight, tree };
}

function readWeight(reader: Reader): number {
  if (!/[\d.]/.test(reader.next())) return 1;
  const digits = reader.while(/[\d.]/, (text) => (text.match(/\./g)?.length ?? 0) < 2, 'number char');
  if (!/\d/.test(digits)) reader.fail('weight', digits);
  reader.space();
  if (reader.next() === ',')
    reader.fail("'*' (namerd runs with a comma-decimal locale: start it with -Duser.language=en)");
  reader.expect('*');
  reader.space();
  return Number(digits);
}

function readSimple(reader: Reader, depth: number): Tree {
  switch (reader.next()) {
    case '/':
      return { kind: 'leaf', path: readPath(reader, false) };
    case '!':
      reader.expect('!');
      return { kind: 'fail' };
    case '~':
      reader.expect('~');
      return { kind: 'neg' };
    case '$':
      reader.expect('$');
      return { kind: 'empty' };
    case '(': {
      reader.expect('(');
      reader.space();
      const tree = readTree(reader, depth + 1);
      reader.space();
      reader.expect(')');
      return tree;
    }
    default:
      return reader.fail('simple');
  }
}

const PLAIN = /[A-Za-z0-9_:.#$%-]/;

function readPath(reader: Reader, wildcards: boolean): Path {
  const labels: string[] = [];
  reader.expect('/');
  if (!startsLabel(reader.next(), wildcards)) return labels;
  for (;;) {
    labels.push(readLabel(reader, wildcards));
    if (!reader.takes('/')) return labels;
  }
}

const startsLabel = (next: string, wildcards: boolean) =>
  PLAIN.test(next) || next === '\\' || (wildcards && next === '*');

function readLabel(reader: Reader, wildcards: boolean): string {
  if (!startsLabel(reader.next(), wildcards)) reader.fail('label char');
  if (reader.takes('*')) return '*';
  const bytes: number[] = [];
  for (;;) {
    const next = reader.next();
    if (next === '\\') bytes.push(readEscape(reader));
    else if (next !== '' && PLAIN.test(next)) bytes.push(reader.take().charCodeAt(0));
    else return labelOf(bytes);
  }
}

function readEscape(reader: Reader): number {
  reader.expect('\\');
  reader.expect('x');
  const hex = () => (/[0-9A-Fa-f]/.test(reader.next()) ? reader.take() : reader.fail('hex char'));
  return Number.parseInt(hex() + hex(), 16);
}

// ---- labels ----------------------------------------------------------------------------------------------------------

/** One odd byte, and every byte is escaped. */
function labelOf(bytes: readonly number[]): string {
  const text = String.fromCharCode(...bytes);
  return /^[A-Za-z0-9_:.#$%-]+$/.test(text)
    ? text
    : bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}

/** Any text as a label; not the empty one, which no path can hold. */
export const toLabel = (text: string) => labelOf([...new TextEncoder().encode(text)]);

export function fromLabel(label: string): string {
  const bytes = [...label.matchAll(/\\x([0-9a-f]{2})|(.)/gs)].map(([, hex, plain = '']) =>
    hex === undefined ? plain.charCodeAt(0) : Number.parseInt(hex, 16),
  );
  return new TextDecoder().decode(Uint8Array.from(bytes));
}

// ---- printing --------------------------------------------------------------------------------------------------------

export const showPath = (path: Path) => `/${path.join('/')}`;

export const showDtab = (dentries: readonly Dentry[]) =>
  dentries.map(({ prefix, dst }) => `${showPath(prefix)}=>${showTree(dst)}`).join(';');

export function showTree(tree: Tree): string {
  switch (tree.kind) {
    case 'leaf':
      return showPath(tree.path);
    case 'alt':
      return tree.trees.map(showTree).join(' | ');
    case 'union':
      return tree.branches.map(showBranch).join(' & ');
    case 'neg':
      return '~';
    case 'fail':
      return '!';
    case 'empty':
      return '$';
    default:
      return tree satisfies never;
  }
}

function showBranch({ weight, tree }: Branch): string {
  const inner = tree.kind === 'alt' || tree.kind === 'union' ? `(${showTree(tree)})` : showTree(tree);
  return weight === 1 ? inner : `${twoDecimals(weight)}*${inner}`;
}

/** As Java's `%.2f`: half up on the decimal digits that the number is written with, which `toFixed` is not. */
function twoDecimals(value: number): string {
  const { digits, exponent } = decimal(value);
  // Hundredths: cut two digits after the point, round on the next.
  const kept = exponent + 2;
  const padded = kept < 0 ? '0' : digits.slice(0, kept).padEnd(kept, '0');
  const up = kept >= 0 && (digits[kept] ?? '0') >= '5';
  const hundredths = (BigInt(padded === '' ? '0' : padded) + (up ? 1n : 0n)).toString().padStart(3, '0');
  return `${hundredths.slice(0, -2)}.${hundredths.slice(-2)}`;
}

/** The shortest decimal of a number: `0.digits × 10^exponent`. */
function decimal(value: number): { readonly digits: string; readonly exponent: number } {
  const [mantissa = '', power = '0'] = value.toExponential().split('e');
  return { digits: mantissa.replace('.', ''), exponent: Number(power) + 1 };
}

// ---- comparing -------------------------------------------------------------------------------------------------------

/** Equal to namerd, which prints branch weights at two decimals and keeps what it printed. */
export const sameTree = (one: Tree, other: Tree) => isDeepStrictEqual(rounded(one), rounded(other));

function rounded(tree: Tree): Tree {
  if (tree.kind === 'alt') return { ...tree, trees: tree.trees.map(rounded) };
  if (tree.kind !== 'union') return tree;
  const branches = tree.branches.map(({ weight, tree: inner }) => ({
    weight: Number(twoDecimals(weight)),
    tree: rounded(inner),
  }));
  return { ...tree, branches };
}
