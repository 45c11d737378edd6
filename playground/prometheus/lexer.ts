/** The query cannot be understood, or asks for something that this small engine does not know. */
export class QueryError extends Error {}

export type Token = {
  readonly kind: 'number' | 'name' | 'text' | 'duration' | 'symbol' | 'end';
  readonly text: string;
  readonly at: number;
};

const patterns = [
  ['duration', /(?:\d+(?:ms|[smhdwy]))+(?![\w])/y],
  ['number', /(?:0x[\da-f]+|\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)(?![\w.])/iy],
  ['name', /[A-Za-z_:][\w:]*/y],
  ['text', /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/y],
  ['symbol', /=~|!~|!=|==|>=|<=|[-+*/%^(){}[\],=<>@]/y],
] as const;

const blank = /(?:\s|#[^\n]*)*/y;

export function readTokens(query: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const match = (pattern: RegExp) => {
    pattern.lastIndex = at;
    return pattern.exec(query)?.[0];
  };
  for (;;) {
    at += match(blank)?.length ?? 0;
    if (at >= query.length) return [...tokens, { kind: 'end', text: '', at }];
    const found = patterns.map(([kind, pattern]) => ({ kind, text: match(pattern), at })).find(({ text }) => text);
    if (!found?.text)
      throw new QueryError(`1:${at + 1}: parse error: unexpected character: ${JSON.stringify(query[at])}`);
    tokens.push({ ...found, text: found.text });
    at += found.text.length;
  }
}

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};

/** `1m30s` in ms; null: not a duration. */
export function parseDuration(text: string): number | null {
  if (!/^(?:\d+(?:ms|[smhdwy]))+$/.test(text)) return null;
  const parts = [...text.matchAll(/(\d+)(ms|[smhdwy])/g)];
  return parts.reduce((total, [, amount, unit = '']) => total + Number(amount) * (unitMs[unit] ?? 0), 0);
}

/** The inside of a quoted text. */
export function unquote(text: string): string {
  const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };
  return text.slice(1, -1).replace(/\\(.)/gs, (_, letter: string) => escapes[letter] ?? letter);
}
