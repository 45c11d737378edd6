import type { Measured } from '../../core/analysis.ts';
import type { Check, Target } from '../../core/plan.ts';

/** One line of the gate's picture. `at`: ms since 1970. */
export type Series = {
  readonly check: Check;
  readonly side: 'canary' | 'stable';
  readonly points: readonly { readonly at: number; readonly value: number }[];
};

export type Metrics = {
  /**
   * Measures each check on canary and stable now. Never throws: what cannot be read is `missing` with the reason.
   * `since`: first canary traffic; a window never reaches back before it.
   */
  measure(target: Target, checks: readonly Check[], since: number, now: number): Promise<readonly Measured[]>;
  range(target: Target, checks: readonly Check[], from: number, to: number): Promise<readonly Series[]>;
};
