/** Counts the requests that reach the API server, and disturbs those that a test names. */
import { type ApiRequest, resourceOf, type Verb } from './request.ts';

export type Recorded = {
  readonly at: number;
  readonly userAgent: string;
  readonly verb: Verb;
  /** `deployments/scale` */
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly name: string;
};

/** Fields that are left out match everything; `userAgent` matches a part. */
export type RequestFilter = {
  readonly verb?: Verb | readonly Verb[];
  readonly resource?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly userAgent?: string;
};

export type Effect =
  /** Answers with this status, nothing is done. */
  | { readonly kind: 'status'; readonly code: number; readonly retryAfterS?: number }
  /** Waits before anything is done: the write lands late. */
  | { readonly kind: 'late'; readonly ms: number }
  /** Is done at once, the answer comes late. */
  | { readonly kind: 'late answer'; readonly ms: number }
  /** Is done, but the connection breaks before the answer. */
  | { readonly kind: 'answer lost' }
  /** The connection breaks before anything is done. */
  | { readonly kind: 'broken' }
  /** Nothing is done and nothing is answered. */
  | { readonly kind: 'hang' };

export type Fault = RequestFilter & {
  readonly effect: Effect;
  /** Lets this many matching requests pass first. */
  readonly skip?: number;
  /** Disturbs this many; default 1. */
  readonly times?: number;
};

export function createTrafficControl() {
  let log: Recorded[] = [];
  let faults: readonly { readonly fault: Fault; passed: number; hits: number }[] = [];

  return {
    /** Returns how often it struck so far, and how to take it back. */
    disturb(fault: Fault): { readonly hits: () => number; readonly stop: () => void } {
      const armed = { fault, passed: 0, hits: 0 };
      faults = [...faults, armed];
      return {
        hits: () => armed.hits,
        stop: () => {
          faults = faults.filter((other) => other !== armed);
        },
      };
    },

    calm(): void {
      faults = [];
    },

    requests(filter: RequestFilter = {}): readonly Recorded[] {
      return log.filter((entry) => fits(filter, entry));
    },

    forget(): void {
      log = [];
    },

    /** For the server: notes the request, and says what disturbs it. */
    arrive(request: ApiRequest, userAgent: string): Effect | null {
      const { verb, namespace, name } = request;
      const entry = { at: Date.now(), userAgent, verb, resource: resourceOf(request), namespace, name };
      log.push(entry);
      for (const armed of faults) {
        if (!fits(armed.fault, entry)) continue;
        armed.passed += 1;
        if (armed.passed <= (armed.fault.skip ?? 0) || armed.hits >= (armed.fault.times ?? 1)) continue;
        armed.hits += 1;
        return armed.fault.effect;
      }
      return null;
    },
  };
}

function fits(filter: RequestFilter, entry: Recorded): boolean {
  const verbs = filter.verb === undefined ? null : [filter.verb].flat();
  return (
    (verbs === null || verbs.includes(entry.verb)) &&
    (filter.resource === undefined || filter.resource === entry.resource) &&
    (filter.namespace === undefined || filter.namespace === entry.namespace) &&
    (filter.name === undefined || filter.name === entry.name) &&
    entry.userAgent.includes(filter.userAgent ?? '')
  );
}
