/** The time series of the last hour, in memory. */
import { type Labels, type Sample, seriesKey } from './registry.ts';

export type Point = { readonly at: number; readonly value: number };

export type Series = {
  readonly labels: Labels;
  readonly points: readonly Point[];
  /** When the series was missing at a scrape for the first time; undefined while it is there. */
  readonly staleSince: number | undefined;
};

export type Matcher = {
  readonly label: string;
  readonly operator: '=' | '!=' | '=~' | '!~';
  readonly value: string;
};

export type Database = ReturnType<typeof createDatabase>;

const RETENTION_MS = 3_600_000;

export function createDatabase() {
  const all = new Map<string, { labels: Labels; points: Point[]; staleSince: number | undefined }>();

  function append(name: string, labels: Labels, value: number, at: number): void {
    const key = seriesKey(name, labels);
    const series = all.get(key) ?? { labels: { __name__: name, ...labels }, points: [], staleSince: undefined };
    series.points.push({ at, value });
    series.staleSince = undefined;
    if ((series.points[0]?.at ?? at) < at - RETENTION_MS) series.points.shift();
    all.set(key, series);
  }

  return {
    append,

    /** One scrape: what was there before and is no longer ends here. Series that were appended by hand are left alone. */
    scrape(samples: readonly Sample[], previous: readonly Sample[], at: number): void {
      for (const { name, labels, value } of samples) append(name, labels, value, at);
      const present = new Set(samples.map(({ name, labels }) => seriesKey(name, labels)));
      for (const { name, labels } of previous) {
        const series = all.get(seriesKey(name, labels));
        if (series && !present.has(seriesKey(name, labels))) series.staleSince ??= at;
      }
    },

    select(matchers: readonly Matcher[]): readonly Series[] {
      const tests = matchers.map(testOf);
      return [...all.values()].filter(({ labels }) => tests.every((test) => test(labels)));
    },
  };
}

/** A label that is absent is the empty text; expressions are anchored. */
function testOf({ label, operator, value }: Matcher): (labels: Labels) => boolean {
  if (operator === '=' || operator === '!=') {
    return (labels) => ((labels[label] ?? '') === value) === (operator === '=');
  }
  const expression = new RegExp(`^(?:${value})$`, 's');
  return (labels) => expression.test(labels[label] ?? '') === (operator === '=~');
}
