/**
 * What routers and workloads share. As with all ports, a fault (network, 5xx, timeout) is thrown and retried; what a person must
 * hear is a value.
 */
import type { Drift } from '../../core/rollout.ts';

/** Which rollout writes: every write tests it on the object and leaves it there. */
export type Fence = { readonly rollout: string; readonly epoch: number; readonly seq: number };

/** What became of a fenced write. */
export type Written =
  | { readonly kind: 'done' }
  /** A newer epoch or another rollout holds the object: the writer is late and stops. */
  | { readonly kind: 'fenced'; readonly by: Marks }
  /** Somebody else changed a field that Sluice owns; nothing was written. */
  | { readonly kind: 'drifted'; readonly drift: Drift }
  /** The API server refuses the write itself (schema, admission, quota, rights) or the object is gone; retrying is useless. */
  | { readonly kind: 'refused'; readonly message: string };

/** Sluice's marks as found on an object. */
export type Marks = {
  readonly rollout: string;
  readonly epoch: number;
  readonly seq: number;
  readonly phase: 'active' | 'done';
  /** Who aborted straight at the cluster while Redis was away: `U0BO(bo)@2026-11-20T10:00:00Z`. */
  readonly abort: string | null;
  /** Owned fields as they were before the claim. */
  readonly restore: string | null;
};

/** Result of looking before anything is touched: facts, or refusals that each name the place and the remedy. */
export type Preflight<T> =
  | { readonly ok: true; readonly facts: T; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly refusals: readonly string[] };
