/** What happened becomes part of a rollout: load, decide, save, as often as others come first. */
import { decide } from '../core/decide.ts';
import type { Event, Rejection } from '../core/event.ts';
import type { AbortCause, Rollout } from '../core/rollout.ts';
import { pause } from './pause.ts';
import type { Log } from './ports/log.ts';
import type { Loaded, Release, Store } from './ports/store.ts';
import type { createQuiet } from './quiet.ts';

export type Deps = {
  readonly store: Store;
  readonly log: Log;
  /** Between 0 and 1; spreads retries. */
  readonly random: () => number;
  /** Told after each transition that has messages, so that they go out at once. */
  readonly onMessages: (id: string) => void;
  /** Told of each transition that was saved. */
  readonly onTransition?: (before: Rollout, after: Rollout) => void;
};

export type Recorded =
  | { readonly ok: true; readonly loaded: Loaded }
  | { readonly ok: false; readonly rejection: Rejection; readonly loaded: Loaded }
  /** Another replica has carried the request out. */
  | { readonly ok: false; readonly rejection: null; readonly loaded: Loaded };

type Extra = { readonly intake?: string; readonly releases?: readonly Release[] };

export type Recording = ReturnType<typeof createRecording>;

const CONFLICT_TRIES = 20;

/** `quiet`: what was measured and not recorded. */
export function createRecording(deps: Deps, quiet: Pick<ReturnType<typeof createQuiet>, 'take'>) {
  const { store, log } = deps;

  /** Decides and saves, again after each conflict. null: Redis does not know the rollout. */
  async function record(id: string, event: Event, extra: Extra = {}): Promise<Recorded | null> {
    if (event.type === 'approved') await recordValues(id);
    let loaded = await store.load(id);
    for (let tries = 0; tries < CONFLICT_TRIES; tries++) {
      if (!loaded) return null;
      const absorbed = await absorb(loaded);
      const current: Loaded | 'conflict' = absorbed ?? loaded;
      if (current !== 'conflict') {
        const decided = decide(current.rollout, event, current.now);
        if (!decided.ok) {
          // Refused because it was done already: whoever did it answers.
          const done = await isDone(current, extra);
          return { ok: false, rejection: done ? null : decided.rejection, loaded: current };
        }
        const saved = await store.save(current, event, decided, extra);
        if (saved === 'gone') return { ok: false, rejection: null, loaded: current };
        if (saved !== 'conflict') {
          announce(event, current.rollout, saved, decided.messages.length);
          return { ok: true, loaded: saved };
        }
      }
      await pause(deps.random() * 10 * (tries + 1));
      loaded = await store.load(id);
    }
    throw new Error(`record ${event.type} of ${id}: ${CONFLICT_TRIES} conflicts in a row`);
  }

  /** Whether another replica has carried out the request that this came from. */
  async function isDone({ rollout }: Loaded, { intake }: Extra): Promise<boolean> {
    return intake !== undefined && !(await store.isWaiting(rollout.plan.target.service, intake));
  }

  /** The gate keeps the values of its decision, also those that were not worth a record of their own. */
  async function recordValues(id: string): Promise<void> {
    const seen = quiet.take(id);
    if (seen) await record(id, { type: 'sampled', ...seen });
  }

  /** An abort that was recorded before the ack becomes its event before anything else happens. */
  async function absorb(loaded: Loaded): Promise<Loaded | 'conflict' | null> {
    if (!loaded.abort) return null;
    const event = eventOfAbort(loaded.abort);
    const decided = decide(loaded.rollout, event, loaded.now);
    if (!decided.ok) return null;
    const saved = await store.save(loaded, event, decided);
    if (saved === 'conflict' || saved === 'gone') return 'conflict';
    announce(event, loaded.rollout, saved, decided.messages.length);
    return saved;
  }

  /** The log is where `audit verify` finds what Redis cannot take back. */
  function announce(event: Event, before: Rollout, { rollout: after, head }: Loaded, messages: number): void {
    const { id, version, phase } = after;
    log.info({ rollout: id, event: event.type, version, phase: phase.kind, head }, 'recorded');
    deps.onTransition?.(before, after);
    if (messages > 0) deps.onMessages(id);
  }

  return { record, absorb };
}

/** A recorded abort as its event. A rollout that Redis had lost is begun again aborted: nobody knows how far it was. */
export function eventOfAbort({ actor, reason, epoch }: NonNullable<Loaded['abort']>): Event {
  const cause: AbortCause =
    actor.kind === 'system' ? { kind: 'fenced', message: reason ?? '' } : { kind: 'person', actor, reason };
  return { type: 'abort_requested', cause, epoch };
}
