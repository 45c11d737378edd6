/** Counters and histograms as a process under observation keeps them; a scrape reads them all. */

export type Labels = Readonly<Record<string, string>>;
export type Sample = { readonly name: string; readonly labels: Labels; readonly value: number };

export type Registry = ReturnType<typeof createRegistry>;

export function createRegistry() {
  const values = new Map<string, { readonly name: string; readonly labels: Labels; value: number }>();

  function add(name: string, labels: Labels, amount: number): void {
    const key = seriesKey(name, labels);
    const entry = values.get(key) ?? { name, labels, value: 0 };
    entry.value += amount;
    values.set(key, entry);
  }

  return {
    count: (name: string, labels: Labels) => add(name, labels, 1),

    /** Cumulative buckets, with `_sum` and `_count`. */
    observe(name: string, labels: Labels, value: number, buckets: readonly number[]): void {
      for (const bound of [...buckets, Number.POSITIVE_INFINITY]) {
        const le = bound === Number.POSITIVE_INFINITY ? '+Inf' : String(bound);
        add(`${name}_bucket`, { ...labels, le }, value <= bound ? 1 : 0);
      }
      add(`${name}_sum`, labels, value);
      add(`${name}_count`, labels, 1);
    },

    /** Forgets what has these labels: its process has ended. */
    forget(labels: Labels): void {
      for (const [key, entry] of values) {
        if (Object.entries(labels).every(([name, value]) => entry.labels[name] === value)) values.delete(key);
      }
    },

    collect: (): readonly Sample[] => [...values.values()],
  };
}

/** The same for the same labels in any order. */
export function seriesKey(name: string, labels: Labels): string {
  const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([name, ...sorted]);
}
