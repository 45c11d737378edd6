/** What the events and the questions to Prometheus say of the evidence that a rollout went on by. Pure. */
import type { RecordedEvent } from '../../src/app/ports/store.ts';
import type { Revision } from '../e2e/support/history.ts';

type Events = readonly Pick<RecordedEvent, 'event' | 'version'>[];
type Span = readonly [from: number, to: number];

/**
 * I11: without evidence nothing moves on by itself, and who lets it go on says why. What an open gate shows is measured again:
 * a later sample that passes is evidence.
 */
export function unproved(events: Events): readonly string[] {
  const found: string[] = [];
  const lacking = new Set<string>();
  let isStopped = false;
  for (const { event, version } of events) {
    const complain = (what: string) => found.push(`I11 event ${version} (${event.type}) ${what}: ${[...lacking]}`);
    switch (event.type) {
      case 'judged':
      case 'sampled':
        for (const { check, verdict } of event.results) {
          if (verdict === 'pass') lacking.delete(check);
          else lacking.add(check);
        }
        if (event.type === 'judged') isStopped = lacking.size > 0;
        break;
      case 'approved':
        if (lacking.size > 0 && !event.reason?.trim()) complain('gives no reason');
        isStopped = false;
        break;
      case 'abort_requested':
        return found;
      case 'scaled':
      case 'routed':
      case 'template_set':
        if (isStopped) complain('moves on without evidence');
        break;
      default:
        break;
    }
  }
  return found;
}

/** When users were on both versions, by the revisions of each object that routes. */
export const sharedIn = (routes: readonly (readonly Pick<Revision, 'at' | 'canary'>[])[]): readonly Span[] =>
  routes.flatMap((all) =>
    all.flatMap(({ at, canary }, n): readonly Span[] =>
      canary > 0 && canary < 100 ? [[at, all[n + 1]?.at ?? at]] : [],
    ),
  );

/** I13: the longest time (ms) in which nobody asked while users were `shared` between two versions, without what is `excused`. */
export function longestUnwatched(shared: readonly Span[], asked: readonly number[], excused: readonly Span[]): number {
  const gaps = shared.flatMap(([from, to]) => {
    const times = [from, ...asked.filter((at) => at > from && at < to).toSorted((a, b) => a - b), to];
    return times.slice(1).map((at, n) => without(excused, [times[n] ?? at, at]));
  });
  return Math.max(0, ...gaps);
}

function without(excused: readonly Span[], [from, to]: Span): number {
  const overlaps = excused.map(([a, b]) => Math.max(0, Math.min(b, to) - Math.max(a, from)));
  return to - from - overlaps.reduce((sum, ms) => sum + ms, 0);
}
