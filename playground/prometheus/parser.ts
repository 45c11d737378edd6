/**
 * Reads the part of PromQL that Sluice's presets and simple queries of one's own need: numbers, selectors, `rate`,
 * `increase`, `histogram_quantile`, `sum` and its like with `by` or `without`, arithmetic, and `or`. Anything else is refused.
 */
import { parseDuration, QueryError, readTokens, type Token, unquote } from './lexer.ts';
import type { Matcher } from './series.ts';

export type Arithmetic = '+' | '-' | '*' | '/' | '%';
export type Aggregation = 'sum' | 'avg' | 'min' | 'max' | 'count';
type RangeFunction = 'rate' | 'increase';

export type Expression =
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'select'; readonly matchers: readonly Matcher[] }
  | {
      readonly kind: 'range';
      readonly function: RangeFunction;
      readonly matchers: readonly Matcher[];
      readonly rangeMs: number;
    }
  | { readonly kind: 'quantile'; readonly quantile: Expression; readonly buckets: Expression }
  | {
      readonly kind: 'aggregate';
      readonly operator: Aggregation;
      readonly grouping: { readonly by: boolean; readonly labels: readonly string[] };
      readonly of: Expression;
    }
  | {
      readonly kind: 'binary';
      readonly operator: Arithmetic | 'or';
      readonly left: Expression;
      readonly right: Expression;
    };

const aggregations: readonly string[] = ['sum', 'avg', 'min', 'max', 'count'] satisfies Aggregation[];
const rangeFunctions: readonly string[] = ['rate', 'increase'] satisfies RangeFunction[];
/** Weakest first. */
const levels: readonly (readonly string[])[] = [['or'], ['+', '-'], ['*', '/', '%']];

export function parseQuery(query: string): Expression {
  const tokens = readTokens(query);
  let next = 0;

  const peek = (): Token => tokens[next] ?? { kind: 'end', text: '', at: query.length };
  const take = (): Token => {
    const token = peek();
    next += 1;
    return token;
  };
  const is = (text: string) => peek().text === text && peek().kind !== 'text';

  function refuse({ text, at }: Token, wanted: string): never {
    throw new QueryError(
      `1:${at + 1}: parse error: unexpected ${text ? JSON.stringify(text) : 'end of input'}, expected ${wanted}`,
    );
  }
  function expect(text: string): void {
    if (!is(text)) refuse(peek(), JSON.stringify(text));
    take();
  }
  /** Items between an opening and a closing symbol, separated by commas. */
  function list<T>(open: string, close: string, item: () => T): readonly T[] {
    const items: T[] = [];
    expect(open);
    while (!is(close)) {
      items.push(item());
      if (!is(close)) expect(',');
    }
    expect(close);
    return items;
  }

  function binary(level: number): Expression {
    const operators = levels[level];
    if (!operators) return unary();
    let left = binary(level + 1);
    while (operators.some(is)) {
      const operator = take().text as Arithmetic | 'or';
      left = { kind: 'binary', operator, left, right: binary(level + 1) };
    }
    return left;
  }

  function unary(): Expression {
    if (is('+')) take();
    else if (is('-')) {
      take();
      return { kind: 'binary', operator: '*', left: { kind: 'number', value: -1 }, right: unary() };
    }
    return primary();
  }

  function primary(): Expression {
    const token = peek();
    if (token.kind === 'number') return { kind: 'number', value: Number(take().text) };
    if (is('(')) {
      take();
      const inner = binary(0);
      expect(')');
      return inner;
    }
    if (is('{')) return { kind: 'select', matchers: bounded(matchers(), token) };
    if (token.kind !== 'name') refuse(token, 'a number, a metric or a function');
    take();
    if (aggregations.includes(token.text)) return aggregate(token.text as Aggregation);
    if (is('(')) return call(token);
    if (/^(inf|nan)$/i.test(token.text))
      return { kind: 'number', value: /inf/i.test(token.text) ? Infinity : Number.NaN };
    const select = [{ label: '__name__', operator: '=', value: token.text } as const, ...(is('{') ? matchers() : [])];
    return { kind: 'select', matchers: select };
  }

  function aggregate(operator: Aggregation): Expression {
    const before = grouping();
    expect('(');
    const of = binary(0);
    expect(')');
    return { kind: 'aggregate', operator, grouping: before ?? grouping() ?? { by: true, labels: [] }, of };
  }

  function grouping() {
    if (!is('by') && !is('without')) return null;
    const by = take().text === 'by';
    return { by, labels: list('(', ')', () => named('a label').text) };
  }

  function call(name: Token): Expression {
    if (rangeFunctions.includes(name.text)) return rangeCall(name.text as RangeFunction);
    if (name.text !== 'histogram_quantile') {
      throw new QueryError(`1:${name.at + 1}: parse error: unknown function with name ${JSON.stringify(name.text)}`);
    }
    expect('(');
    const quantile = binary(0);
    expect(',');
    const buckets = binary(0);
    expect(')');
    return { kind: 'quantile', quantile, buckets };
  }

  function rangeCall(name: RangeFunction): Expression {
    expect('(');
    const selector = primary();
    if (selector.kind !== 'select' || !is('[')) refuse(peek(), 'a range vector, like metric[1m]');
    take();
    const range = take();
    const rangeMs = parseDuration(range.text);
    if (!rangeMs) refuse(range, 'a duration');
    expect(']');
    expect(')');
    return { kind: 'range', function: name, matchers: selector.matchers, rangeMs };
  }

  function matchers(): readonly Matcher[] {
    return list('{', '}', () => {
      const label = named('a label').text;
      const operator = take();
      if (!isMatchOperator(operator.text)) refuse(operator, 'a label matching operator');
      const value = take();
      if (value.kind !== 'text') refuse(value, 'a quoted text');
      return { label, operator: operator.text, value: unquote(value.text) };
    });
  }

  function named(what: string): Token {
    const token = take();
    return token.kind === 'name' ? token : refuse(token, what);
  }

  /** Would read every series there is. */
  function bounded(matchers: readonly Matcher[], { at }: Token): readonly Matcher[] {
    if (matchers.some(({ operator, value }) => (operator === '=' || operator === '=~') && value !== ''))
      return matchers;
    if (matchers.some(({ operator, value }) => operator === '!=' && value === '')) return matchers;
    throw new QueryError(`1:${at + 1}: parse error: vector selector must contain at least one non-empty matcher`);
  }

  const expression = binary(0);
  if (peek().kind !== 'end') refuse(peek(), 'an operator or the end');
  return expression;
}

function isMatchOperator(text: string): text is Matcher['operator'] {
  return ['=', '!=', '=~', '!~'].includes(text);
}
