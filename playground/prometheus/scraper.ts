import type { Registry, Sample } from './registry.ts';
import type { Database } from './series.ts';

/** Reads the registry at an interval into the database, as Prometheus does with its targets. */
export function startScraper(
  registry: Registry,
  database: Database,
  everyMs: number,
): { scrape(): void; stop(): void } {
  let previous: readonly Sample[] = [];
  const scrape = () => {
    const samples = registry.collect().map((sample) => ({ ...sample }));
    database.scrape(samples, previous, Date.now());
    previous = samples;
  };
  const timer = setInterval(scrape, everyMs);
  return { scrape, stop: () => clearInterval(timer) };
}
