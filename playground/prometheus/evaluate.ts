/** The value of a query at one moment. */
import { increaseOf, quantileOf } from './functions.ts';
import { QueryError } from './lexer.ts';
import type { Aggregation, Arithmetic, Expression } from './parser.ts';
import { type Labels, seriesKey } from './registry.ts';
import type { Database, Series } from './series.ts';

type Item = { readonly labels: Labels; readonly value: number };
export type Value =
  | { readonly kind: 'scalar'; readonly value: number }
  | { readonly kind: 'vector'; readonly items: readonly Item[] };

export type Moment = {
  readonly database: Database;
  /** ms since 1970 */
  readonly at: number;
  /** How old the newest point of a series may be to count as its value. */
  readonly lookbackMs: number;
};

export function evaluate(expression: Expression, moment: Moment): Value {
  switch (expression.kind) {
    case 'number':
      return { kind: 'scalar', value: expression.value };
    case 'select':
      return vector(moment.database.select(expression.matchers).flatMap((series) => latest(series, moment)));
    case 'range':
      return vector(ranged(expression, moment));
    case 'quantile':
      return quantile(evaluate(expression.quantile, moment), evaluate(expression.buckets, moment));
    case 'aggregate':
      return aggregate(expression, items(evaluate(expression.of, moment), expression.operator));
    case 'binary': {
      const left = evaluate(expression.left, moment);
      const right = evaluate(expression.right, moment);
      return expression.operator === 'or' ? union(left, right) : combine(expression.operator, left, right);
    }
    default:
      return expression satisfies never;
  }
}

function vector(found: readonly Item[]): Value {
  return { kind: 'vector', items: found };
}

function items(value: Value, where: string): readonly Item[] {
  if (value.kind === 'vector') return value.items;
  throw new QueryError(`parse error: expected type instant vector in ${where}, got scalar`);
}

function latest({ labels, points, staleSince }: Series, { at, lookbackMs }: Moment): readonly Item[] {
  if (staleSince !== undefined && staleSince <= at) return [];
  const point = points.findLast((one) => one.at <= at);
  return point && point.at > at - lookbackMs ? [{ labels, value: point.value }] : [];
}

function ranged(
  { function: name, matchers, rangeMs }: Extract<Expression, { kind: 'range' }>,
  { database, at }: Moment,
) {
  return database.select(matchers).flatMap(({ labels, points }) => {
    const increase = increaseOf(points, at, rangeMs);
    if (increase === null) return [];
    return [{ labels: unnamed(labels), value: name === 'rate' ? increase / (rangeMs / 1000) : increase }];
  });
}

function quantile(which: Value, buckets: Value): Value {
  if (which.kind !== 'scalar') throw new QueryError('parse error: expected type scalar in histogram_quantile');
  const found = items(buckets, 'histogram_quantile').filter(({ labels }) => labels.le !== undefined);
  const groups = Map.groupBy(found, ({ labels }) => seriesKey('', unnamed(labels, ['le'])));
  return vector(
    [...groups.values()].map((members) => ({
      labels: unnamed(members[0]?.labels ?? {}, ['le']),
      value: quantileOf(
        which.value,
        members.map(({ labels, value }) => ({ upTo: boundOf(labels), count: value })),
      ),
    })),
  );
}

function boundOf({ le }: Labels): number {
  return le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le);
}

const reducers: Readonly<Record<Aggregation, (values: readonly number[]) => number>> = {
  sum: (values) => values.reduce((total, value) => total + value, 0),
  avg: (values) => values.reduce((total, value) => total + value, 0) / values.length,
  min: (values) => Math.min(...values),
  max: (values) => Math.max(...values),
  count: (values) => values.length,
};

function aggregate({ operator, grouping }: Extract<Expression, { kind: 'aggregate' }>, found: readonly Item[]): Value {
  const labelsOf = ({ labels }: Item) =>
    grouping.by ? only(labels, grouping.labels) : unnamed(labels, grouping.labels);
  const groups = Map.groupBy(found, (item) => seriesKey('', labelsOf(item)));
  return vector(
    [...groups.values()].map((members) => ({
      labels: members[0] ? labelsOf(members[0]) : {},
      value: reducers[operator](members.map(({ value }) => value)),
    })),
  );
}

const operations: Readonly<Record<Arithmetic, (left: number, right: number) => number>> = {
  '+': (left, right) => left + right,
  '-': (left, right) => left - right,
  '*': (left, right) => left * right,
  '/': (left, right) => left / right,
  '%': (left, right) => left % right,
};

/** Vectors are joined one to one by all their labels; what has no partner falls out. */
function combine(operator: Arithmetic, left: Value, right: Value): Value {
  const operate = operations[operator];
  if (left.kind === 'scalar' && right.kind === 'scalar')
    return { kind: 'scalar', value: operate(left.value, right.value) };
  if (left.kind === 'scalar') return mapItems(right, (value) => operate(left.value, value));
  if (right.kind === 'scalar') return mapItems(left, (value) => operate(value, right.value));
  const partners = indexed(right.items);
  indexed(left.items);
  return vector(
    left.items.flatMap(({ labels, value }) => {
      const partner = partners.get(signature(labels));
      return partner ? [{ labels: unnamed(labels), value: operate(value, partner.value) }] : [];
    }),
  );
}

function mapItems(value: Value, change: (value: number) => number): Value {
  return vector(
    items(value, 'arithmetic').map((item) => ({ labels: unnamed(item.labels), value: change(item.value) })),
  );
}

function indexed(found: readonly Item[]): ReadonlyMap<string, Item> {
  const index = new Map(found.map((item) => [signature(item.labels), item]));
  if (index.size === found.length) return index;
  throw new QueryError('found duplicate series for the match group; many-to-many matching not allowed');
}

function union(left: Value, right: Value): Value {
  const first = items(left, 'or');
  const known = new Set(first.map(({ labels }) => signature(labels)));
  return vector([...first, ...items(right, 'or').filter(({ labels }) => !known.has(signature(labels)))]);
}

function signature(labels: Labels): string {
  return seriesKey('', unnamed(labels));
}

function unnamed(labels: Labels, others: readonly string[] = []): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => name !== '__name__' && !others.includes(name)));
}

function only(labels: Labels, names: readonly string[]): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => names.includes(name)));
}
