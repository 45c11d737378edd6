/** Splits what people typed into words, whatever their keyboard and Slack made of it. */

export type Word = {
  readonly text: string;
  readonly quoted: boolean;
  /** Written `--flag=value`: the next word is its value. */
  readonly joined: boolean;
};

export type WordsError =
  | { readonly kind: 'unclosed quote'; readonly given: string }
  /** `code`: `U+0007`. Control characters, and those that turn the direction of writing. */
  | { readonly kind: 'control character'; readonly code: string };

export type Words =
  | { readonly ok: true; readonly words: readonly Word[] }
  | { readonly ok: false; readonly error: WordsError };

const FORBIDDEN = /[^\P{Cc}\s]|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
const DOUBLE = '"“”„‟«»';
const SINGLE = "'‘’‚‛";

export function splitWords(typed: string): Words {
  const text = normalise(typed);
  const forbidden = FORBIDDEN.exec(text)?.[0];
  if (forbidden !== undefined) return { ok: false, error: { kind: 'control character', code: codeOf(forbidden) } };
  const words: Word[] = [];
  let rest = text.trim();
  while (rest !== '') {
    const flag = /^(?:--?|[—–])[a-z][a-z-]*=/i.exec(rest)?.[0];
    if (flag !== undefined) {
      words.push({ text: dashes(flag.slice(0, -1)), quoted: false, joined: true });
      rest = rest.slice(flag.length);
    }
    const quotes = [DOUBLE, SINGLE].find((family) => rest !== '' && family.includes(rest.charAt(0)));
    const end = quotes === undefined ? endOf(rest) : closing(rest, quotes);
    if (end < 0) return { ok: false, error: { kind: 'unclosed quote', given: rest } };
    const word = rest.slice(0, end);
    if (quotes === undefined) words.push({ text: dashes(word), quoted: false, joined: false });
    else words.push({ text: word.slice(1, -1).replace(/\s+/g, ' ').trim(), quoted: true, joined: false });
    rest = rest.slice(end).trimStart();
  }
  return { ok: true, words };
}

const ENTITIES: Readonly<Record<string, string>> = { '&amp;': '&', '&lt;': '<', '&gt;': '>' };

/** Undoes what Slack does to text: `v2.example.com` comes as `<http://v2.example.com|v2.example.com>`, `<` as `&lt;`. */
function normalise(text: string): string {
  return text
    .toWellFormed()
    .replace(/<((?:https?:\/\/|mailto:)[^<>|\s]*)(?:\|([^<>]*))?>/g, (_, url: string, label?: string) => label || url)
    .replace(/&(?:amp|lt|gt);/g, (entity) => ENTITIES[entity] ?? entity)
    .replace(/[\u200b\u2060]/g, '');
}

/** Phones turn `--` into one long dash. */
const dashes = (word: string) => word.replace(/^[—–](?=[a-z]|$)/i, '--');

function endOf(text: string): number {
  const space = text.search(/\s/);
  return space < 0 ? text.length : space;
}

/**
 * Index after the quote that closes the one at 0: followed by a space or the end, so that "don't" and inner quotes need no
 * escape. A mark of the opening kind comes first, else any of the family, since keyboards mix them.
 */
function closing(text: string, family: string): number {
  const opener = text.charAt(0);
  const straight = opener === family.charAt(0);
  const closes = (mark: string) => (straight ? mark === opener : mark !== family.charAt(0) && family.includes(mark));
  for (const fits of [closes, (mark: string) => family.includes(mark)]) {
    for (let i = 1; i < text.length; i++) {
      if (fits(text.charAt(i)) && (i + 1 === text.length || /\s/.test(text.charAt(i + 1)))) return i + 1;
    }
  }
  return -1;
}

const codeOf = (character: string) =>
  `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
