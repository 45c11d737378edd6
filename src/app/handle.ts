/**
 * Load, decide, save; then run what the new state wants. Everything here may run twice, on two replicas, or an hour late:
 * the version compare of the store and the fence in the cluster decide whose work counts.
 */
import { decide } from '../core/decide.ts';
import { serviceOf } from '../core/id.ts';
import type { Actor } from '../core/plan.ts';
import { type AbortCause, type Event, isAbortable, isTerminal, type Rejection, type Rollout } from '../core/rollout.ts';
import { type Next, next, nextLook, STALLED_MS } from '../core/schedule.ts';
import { routePlaces, subsetRule } from '../core/traffic.ts';
import { runEffect } from './effects.ts';
import { hold } from './lease.ts';
import { observe } from './observe.ts';
import { type EffectDeps, type Outcome, reasonOf } from './outcome.ts';
import { pause } from './pause.ts';
import type { Loaded, Marks, Queue, Release } from './ports.ts';
import { createQuiet } from './quiet.ts';

export type Deps = EffectDeps & {
  readonly queue: Queue;
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

export type Rollouts = ReturnType<typeof createRollouts>;

/** A tick stops itself after this long; what is left is the next one's. */
const TICK_BUDGET_MS = 5_000;
/** Renewed while a tick works: after a `kill -9` another replica goes on this soon. */
const LEASE_MS = 3_000;
const CONFLICT_TRIES = 20;
/** Holders of a rollout's tick that died one after the other: the next one aborts it, or it would kill them all. */
const POISON_TIMES = 5;
/** No answer of a server keeps a rollout waiting for longer. */
const LONGEST_WAIT_MS = 10_000;
/** How soon a phase that waits for the cluster is looked at again when no watch wakes it. */
const POLL_MS = 1_000;
const CHANGE_BURST_MS = 20;
const FAR_MS = 60_000;

export function createRollouts(deps: Deps) {
  const { store, queue, log } = deps;
  const failures = new Map<string, number>();
  const quiet = createQuiet();
  /** By service: one rollout of it is active at most. */
  const followed = new Map<string, Followed>();
  const woken = new Set<string>();
  const alarms = new Map<string, number>();
  /** Until when (local clock) the API server asked to be left alone, whatever wakes the rollout. */
  const resting = new Map<string, number>();

  /** Decides and saves, again after each conflict. null: Redis does not know the rollout. */
  async function record(id: string, event: Event, extra: Extra = {}): Promise<Recorded | null> {
    if (event.type === 'approved') await recordValues(id);
    let loaded = await store.load(id);
    for (let tries = 0; tries < CONFLICT_TRIES; tries++) {
      if (!loaded) return null;
      const absorbed = await absorbAbort(loaded);
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
  async function absorbAbort(loaded: Loaded): Promise<Loaded | 'conflict' | null> {
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

  /** Does all that a rollout wants now; bounded in time, safe to call at any time by anyone. */
  async function tick(id: string): Promise<void> {
    const leasing = hold(store, `tick:${id}`, LEASE_MS);
    // In the same round trip. Whatever it shows, the version compare of the store decides.
    const loading = store.load(id);
    loading.catch(() => undefined);
    const lease = await leasing;
    if (!lease) {
      // Whoever holds it may have loaded before this wake-up's reason was recorded: look again.
      const now = await store.now();
      return queue.wakeAt(id, now + 200, now);
    }
    let due: Due | null = null;
    let work: 'done' | 'failed' | 'undone' = 'failed';
    try {
      const poison = lease.abandoned >= POISON_TIMES;
      if (poison) await giveUp(id, lease.abandoned);
      due = await advance(id, poison ? store.load(id) : loading);
      work = due?.isEarly ? 'undone' : 'done';
      failures.delete(id);
    } catch (error) {
      const times = (failures.get(id) ?? 0) + 1;
      failures.set(id, times);
      log.warn({ rollout: id, failed: times, err: error }, 'tick failed, will be repeated');
      // Full jitter, 0.1 to 5 s: an API server that comes back is not met by a herd.
      const own = 100 + deps.random() * Math.min(4_900, 100 * 2 ** times);
      const asked = Math.min(askedToWait(error), LONGEST_WAIT_MS);
      if (asked > 0) resting.set(id, deps.clock() + asked);
      const backoff = Math.max(own, asked);
      const now = await store.now();
      due = { at: now + backoff, seen: now };
      await stall(id, lease.failingSince, now, error);
    } finally {
      // In one round trip: neither waits for the other.
      await Promise.all([due && schedule(id, due), lease.release(work)]);
    }
  }

  /** Nothing gets through for minutes, on no replica: people are told, once. Never rejects. */
  async function stall(id: string, since: number | null, now: number, error: unknown): Promise<void> {
    if (since === null || now - since < STALLED_MS) return;
    try {
      const rollout = (await store.load(id))?.rollout;
      if (!rollout || rollout.stalledSince) return;
      await record(id, { type: 'stalled', seq: rollout.seq, since, message: reasonOf(error) });
    } catch (fault) {
      log.error({ rollout: id, since, err: fault }, 'stands still, and nobody can be told');
    }
  }

  /** Its own tick ends the process each time: the other rollouts must not suffer for it. */
  async function giveUp(id: string, times: number): Promise<void> {
    log.error({ rollout: id, times }, 'giving up a rollout whose tick ended the process each time');
    const message = `Sluice's process ended ${times} times in a row while it worked on this rollout; its log has the reason.`;
    await record(id, { type: 'abort_requested', cause: { kind: 'given up', message }, epoch: 0 });
  }

  /** When to look again; null: never. */
  async function advance(id: string, first: Promise<Loaded | null>): Promise<Due | null> {
    const end = deps.clock() + TICK_BUDGET_MS;
    let sampled = false;
    for (let loading = first; ; loading = store.load(id)) {
      const found = await loading;
      if (!found) return forget(id);
      const absorbed = await absorbAbort(found);
      if (absorbed === 'conflict') continue;
      const loaded = absorbed ?? found;
      const { rollout, now } = loaded;
      if (isTerminal(rollout)) return forget(id);
      const rest = (resting.get(id) ?? 0) - deps.clock();
      // An abort waits for nobody.
      if (rest > 0 && rollout.phase.kind !== 'aborting') return { at: now + rest, seen: now, isEarly: true };
      if (deps.clock() > end) return { at: now, seen: now, isEarly: true };
      // After a sample the phase has its turn, or a Prometheus that answers late would keep it waiting for ever.
      const seen = quiet.overlay(rollout);
      const wish: Next = next(seen, now, { sample: !sampled });
      sampled = wish.kind === 'effect' && wish.effect.kind === 'sample';
      follow(rollout, wish.kind !== 'wait');
      const outcome = await turn(loaded, wish);
      if (outcome.kind === 'pending') {
        if (rollout.stalledSince) await record(id, { type: 'resumed', seq: rollout.seq });
        return dueAfter(seen, now, wish.kind === 'effect');
      }
      const sample = outcome.kind === 'event' && outcome.event.type === 'sampled' ? outcome.event.results : null;
      if (sample && quiet.keep(rollout, sample, now)) continue;
      const went =
        outcome.kind === 'event' ? await record(id, outcome.event, outcome.extra) : await fenced(rollout, outcome.by);
      // What the state refuses now it may take later; asking again at once would only spin.
      if (!went?.ok && went?.loaded.rollout.version === rollout.version) return { at: now + POLL_MS, seen: now };
    }
  }

  /** Ended or unknown: a hint that came late must not stay due for ever. */
  async function forget(id: string): Promise<null> {
    const service = serviceOf(id) ?? '';
    if (followed.get(service)?.id === id) followed.delete(service);
    alarms.delete(id);
    resting.delete(id);
    quiet.forget(id);
    await store.schedule(id, null);
    return null;
  }

  async function turn(loaded: Loaded, wish: Next): Promise<Outcome> {
    if (wish.kind === 'event') return { kind: 'event', event: wish.event };
    const { rollout } = loaded;
    const holder = await otherHolder(rollout);
    if (holder) return { kind: 'fenced', by: holder };
    const outcome =
      wish.kind === 'effect' ? await runEffect(deps, loaded, wish.effect) : ({ kind: 'pending' } as const);
    return outcome.kind === 'pending' ? observe(deps, rollout) : outcome;
  }

  /** A newer epoch or another rollout on the route, as the watched copy shows it: nothing may be concluded from the rest. */
  async function otherHolder(rollout: Rollout): Promise<Marks | null> {
    // From the abort and the last stage of a promotion on, the writes themselves find out.
    if (rollout.routeSeq === 0 || !isAbortable(rollout)) return null;
    const marks = (await deps.router(rollout).getRoute(rollout.plan.target))?.marks ?? null;
    return marks && isAhead(marks, rollout) ? marks : null;
  }

  /**
   * The cluster knows a newer holder. If Redis knows it too, this replica was late and does nothing. If not, Redis went back
   * in time or an abort was made without it: the safe side wins, the rollout aborts above the epoch that was found.
   */
  async function fenced(rollout: Rollout, by: Marks): Promise<Recorded | null> {
    const loaded = await store.load(rollout.id);
    if (!loaded || isTerminal(loaded.rollout)) return null;
    const ours = by.rollout === rollout.id;
    if (ours && (loaded.abort?.epoch ?? 0) >= by.epoch) return null;
    // What was read before may have been older than what Redis knows by now.
    if (ours && !isAhead(by, loaded.rollout) && by.seq <= loaded.rollout.version) return null;
    const epoch = by.epoch + 1;
    log.warn({ rollout: rollout.id, by }, 'the cluster is ahead of Redis');
    if (!isAbortable(loaded.rollout) && loaded.rollout.phase.kind !== 'aborting' && ours) {
      return record(rollout.id, { type: 'overtaken', epoch });
    }
    return record(rollout.id, { type: 'abort_requested', cause: overtakenBy(rollout.id, by), epoch });
  }

  function follow({ id, plan: { target } }: Rollout, awaits: boolean): void {
    const namespaces = [target.namespace, ...routePlaces(target), ...(subsetRule(target)?.split('/', 1) ?? [])];
    followed.set(target.service, { id, namespaces, awaits });
  }

  /**
   * Something changed in a namespace; `rollout`: the one whose marks it carries. Whom it may concern of those that this process
   * follows looks again, once for a burst: with marks that is the rollout of the same service, else whoever waits for the
   * cluster there. Those at a gate wait for people, in their thousands: what they look at in the cluster carries their marks.
   */
  function changed(namespace: string, rollout: string | null): void {
    const marked = rollout === null ? null : (serviceOf(rollout) ?? '');
    const concerned = marked === null ? followed.values() : [followed.get(marked)];
    for (const one of concerned) {
      if (!one?.namespaces.includes(namespace) || woken.has(one.id)) continue;
      if (marked === null && !one.awaits) continue;
      const { id } = one;
      woken.add(id);
      setTimeout(() => {
        woken.delete(id);
        void queue.wake(id);
      }, CHANGE_BURST_MS);
    }
  }

  async function schedule(id: string, { at, seen }: Due): Promise<void> {
    await store.schedule(id, at);
    // Far ones are the sweep's, or a rollout that is looked at often would pile up an alarm for each look.
    if (at - seen > FAR_MS) return;
    // One that comes sooner is enough: its look sets the next. Else each wake-up would begin a chain of looks of its own.
    const pending = alarms.get(id);
    if (pending !== undefined && pending > seen && pending <= at) return;
    alarms.set(id, at);
    await queue.wakeAt(id, at, await store.now());
  }

  return { record, tick, fenced, changed, absorb: absorbAbort };
}

/** A recorded abort as its event. A rollout that Redis had lost is begun again aborted: nobody knows how far it was. */
export function eventOfAbort({ actor, reason, epoch }: NonNullable<Loaded['abort']>): Event {
  const cause: AbortCause =
    actor.kind === 'system' ? { kind: 'fenced', message: reason ?? '' } : { kind: 'person', actor, reason };
  return { type: 'abort_requested', cause, epoch };
}

/** `awaits`: something of the cluster, not people or time alone. */
type Followed = { readonly id: string; readonly namespaces: readonly string[]; readonly awaits: boolean };

/** For how long a server asked to be left alone (Retry-After), ms; 0: it did not. */
function askedToWait(error: unknown): number {
  for (let one = error; one instanceof Error; one = one.cause) {
    if ('retryAfterMs' in one && typeof one.retryAfterMs === 'number') return one.retryAfterMs;
  }
  return 0;
}

/** `seen`: Redis TIME of the look from which it follows; `isEarly`: not all that is wanted had its turn. */
type Due = { readonly at: number; readonly seen: number; readonly isEarly?: true };

/** Infinity: only an event moves it. */
function dueAfter(rollout: Rollout, now: number, polling: boolean): Due {
  const looks = [nextLook(rollout), polling ? now + POLL_MS : null].filter((at) => at !== null);
  return { at: Math.min(Number.POSITIVE_INFINITY, ...looks), seen: now };
}

/**
 * Whether the route was written by somebody who knew more than this state: a higher epoch, or, since Redis may have gone back
 * in time, a later write of the same epoch while this state is not writing itself.
 */
function isAhead(marks: Marks, rollout: Rollout): boolean {
  if (marks.epoch !== rollout.epoch) return marks.epoch > rollout.epoch;
  const { phase } = rollout;
  const settled = phase.kind === 'waiting' || (phase.kind === 'stepping' && phase.stage !== 'route');
  return settled && marks.rollout === rollout.id && (marks.seq > rollout.routeSeq || marks.phase === 'done');
}

function overtakenBy(id: string, by: Marks): AbortCause {
  if (by.rollout !== id) return { kind: 'fenced', message: `rollout ${by.rollout} has taken over its objects` };
  if (by.abort !== null) return { kind: 'person', actor: blindActor(by.abort), reason: null };
  return { kind: 'fenced', message: 'the cluster carries a newer state of this rollout than Redis does' };
}

/** `U0BO(bo)@2026-11-20T10:00:00Z`, or `cli:ops@host@…`, as the route carries it after an abort without Redis. */
function blindActor(mark: string): Actor {
  const who = mark.slice(0, mark.lastIndexOf('@'));
  if (who.startsWith('cli:')) return { kind: 'cli', user: who.slice('cli:'.length), name: who };
  const { user = who, name = user } = /^(?<user>[^(]+)\((?<name>.*)\)$/.exec(who)?.groups ?? {};
  return { kind: 'person', user, name };
}
