/** Tests that the docs name: a title counts where the code has it, not in a comment, and not in a file that leaves tests out. */
import { existsSync, readFileSync } from 'node:fs';

const PARTS = /(?<comment>\/\/[^\n]*|\/\*[\s\S]*?\*\/)|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;
const LEFT_OUT = /\b(?:it|test|describe)(?:\.\w+)*\.(?:skip|todo|fails)\b|\bx(?:it|test|describe)\(|\bskip: true\b/;

/** What is wrong with a file and the title of a test in it; null: nothing. */
export function flawOf(file: string, title: string): string | null {
  return existsSync(file) ? flawIn(readFileSync(file, 'utf8'), title) : 'there is no such file';
}

export function flawIn(source: string, title: string): string | null {
  const texts: string[] = [];
  const code = source.replace(PARTS, (text, comment: string | undefined) => {
    if (comment === undefined) texts.push(text.replace(/\\(.)/g, '$1'));
    return '';
  });
  const left = LEFT_OUT.exec(code)?.[0];
  if (left !== undefined) return `it has "${left}"`;
  return texts.some((text) => text.includes(title)) ? null : `it has no test "${title}"`;
}
