/**
 * Runs what a rollout wants, and records what came of it. Everything here may run twice, on two replicas, or an hour late: the
 * version compare of the store and the fence in the cluster decide whose work counts.
 */
import { isTerminal, type Rollout } from '../core/rollout.ts';
import { ABORT_STALLED_MS, type Next, next, nextLook, STALLED_MS } from '../core/schedule.ts';
import { askedToWait } from './backoff.ts';
import { runEffect } from './effects.ts';
import { createFollowing } from './follow.ts';
import { hold } from './lease.ts';
import { observe } from './observe.ts';
import { type EffectDeps, isLasting, type Outcome, reasonOf } from './outcome.ts';
import { createOvertaken } from './overtaken.ts';
import type { Queue } from './ports/queue.ts';
import type { Lease, Loaded } from './ports/store.ts';
import { createQuiet } from './quiet.ts';
import { createRecording, type Deps as RecordDeps } from './record.ts';
import { createSuspects, SUSPECT_TIMES } from './suspects.ts';

export type Deps = EffectDeps & RecordDeps & { readonly queue: Queue };

export type Rollouts = ReturnType<typeof createRollouts>;

/** A tick stops itself after this long; what is left is the next one's. */
const TICK_BUDGET_MS = 5_000;
/** Renewed while a tick works: after a `kill -9` another replica goes on this soon. */
const LEASE_MS = 3_000;
/** No answer of a server keeps a rollout waiting for longer. */
const LONGEST_WAIT_MS = 10_000;
/** How soon a phase that waits for the cluster is looked at again when no watch wakes it. */
const POLL_MS = 1_000;
const FAR_MS = 60_000;

export function createRollouts(deps: Deps) {
  const { store, queue, log } = deps;
  const quiet = createQuiet();
  const { record, absorb } = createRecording(deps, quiet);
  const { otherHolder, fenced } = createOvertaken({ ...deps, record });
  const { follow, unfollow, changed } = createFollowing(queue);
  const suspects = createSuspects({ ...deps, record });
  const failures = new Map<string, number>();
  const alarms = new Map<string, number>();
  /** Until when (local clock) the API server asked to be left alone, whatever wakes the rollout. */
  const resting = new Map<string, number>();

  /** Does all that a rollout wants now; bounded in time, safe to call at any time by anyone. */
  async function tick(id: string): Promise<void> {
    const leasing = hold(store, `tick:${id}`, LEASE_MS, SUSPECT_TIMES);
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
    let work: Parameters<typeof lease.release>[0] = 'failed';
    let hasMoved = false;
    try {
      const wait = await suspects.waitFor(id, lease);
      if (wait > 0) {
        const now = await store.now();
        due = { at: now + wait, seen: now };
        work = 'untried';
        return;
      }
      due = await advance(id, lease.abandoned > 0 ? store.load(id) : loading, () => {
        hasMoved = true;
      });
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
      work = isLasting(error) ? 'lasting' : 'failed';
      const now = await store.now();
      due = { at: now + backoff, seen: now };
      // What fails since it moved on is no standstill yet.
      if (hasMoved) work = 'done';
      else await stall(id, lease, now, error);
    } finally {
      suspects.done(id);
      // In one round trip: neither waits for the other.
      await Promise.all([due && schedule(id, due), lease.release(work)]);
    }
  }

  /** Nothing gets through for minutes, on no replica, or what only people can mend: they are told, once. Never rejects. */
  async function stall(id: string, lease: Failing, now: number, error: unknown): Promise<void> {
    const { failingSince: since, lastingSince } = lease;
    if (since === null) return;
    // An outage just before does not count for it, nor does one in between begin it anew.
    const isToBeMended = isLasting(error) && lastingSince !== null && now - lastingSince >= ABORT_STALLED_MS;
    if (!isToBeMended && now - since < STALLED_MS) return;
    try {
      const rollout = (await store.load(id))?.rollout;
      if (!rollout || rollout.stalledSince) return;
      await record(id, { type: 'stalled', seq: rollout.seq, since, message: reasonOf(error) });
    } catch (fault) {
      log.error({ rollout: id, since, err: fault }, 'stands still, and nobody can be told');
    }
  }

  /** When to look again; null: never. `moved`: told when it came to another phase or stage. */
  async function advance(id: string, first: Promise<Loaded | null>, moved: () => void): Promise<Due | null> {
    const end = deps.clock() + TICK_BUDGET_MS;
    let sampled = false;
    for (let loading = first; ; loading = store.load(id)) {
      const found = await loading;
      if (!found) return forget(id);
      const absorbed = await absorb(found);
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
      if (went?.ok && went.loaded.rollout.seq !== rollout.seq) moved();
      // What the state refuses now it may take later; asking again at once would only spin.
      if (!went?.ok && went?.loaded.rollout.version === rollout.version) return { at: now + POLL_MS, seen: now };
    }
  }

  /** Ended or unknown: a hint that came late must not stay due for ever. */
  async function forget(id: string): Promise<null> {
    unfollow(id);
    alarms.delete(id);
    resting.delete(id);
    quiet.forget(id);
    await store.schedule(id, null);
    return null;
  }

  async function turn(loaded: Loaded, wish: Next): Promise<Outcome> {
    if (wish.kind === 'event') return { kind: 'event', event: wish.event };
    const { rollout } = loaded;
    const holder = await otherHolder(rollout).catch((error: unknown) => {
      // A route that cannot be seen keeps nobody from looking at the checks; what follows from them is fenced.
      if (wish.kind === 'effect' && wish.effect.kind === 'sample') return null;
      throw error;
    });
    if (holder) return { kind: 'fenced', by: holder };
    const outcome =
      wish.kind === 'effect' ? await runEffect(deps, loaded, wish.effect) : ({ kind: 'pending' } as const);
    return outcome.kind === 'pending' ? observe(deps, rollout) : outcome;
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

  return { record, tick, fenced, changed, absorb };
}

type Failing = Pick<Lease, 'failingSince' | 'lastingSince'>;

/** `seen`: Redis TIME of the look from which it follows; `isEarly`: not all that is wanted had its turn. */
type Due = { readonly at: number; readonly seen: number; readonly isEarly?: true };

/** Infinity: only an event moves it. */
function dueAfter(rollout: Rollout, now: number, polling: boolean): Due {
  const looks = [nextLook(rollout), polling ? now + POLL_MS : null].filter((at) => at !== null);
  return { at: Math.min(Number.POSITIVE_INFINITY, ...looks), seen: now };
}
