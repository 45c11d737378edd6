/**
 * Sends what the transitions left to say. Ordered per message, the newest edit wins, nothing is lost: an entry goes away only
 * when Slack has the message. No transition waits for this.
 */
import type { MessageKey, Outgoing } from '../core/event.ts';
import { askedToWait, createBackoff } from './backoff.ts';
import { hold, POISON_TIMES } from './lease.ts';
import { type Left, mostUrgent, sendableOf, soonest } from './outbox-order.ts';
import { createSender, nameOf, type SenderDeps } from './outbox-send.ts';
import { pause } from './pause.ts';

type Deps = SenderDeps & {
  /** Local clock, ms, monotonic. */
  readonly clock: () => number;
};

/** Renewed while it sends. */
const LEASE_MS = 4_000;
/** What has to wait longer than this is left to the sweep. */
const LONGEST_WAIT_MS = 3_000;
const RETRIES_MS = [250, 1_000, 3_000] as const;

export type Outbox = ReturnType<typeof createOutbox>;

export function createOutbox(deps: Deps) {
  const { store, log, clock } = deps;
  const { send, putRight, settleAll, unsettled, forget } = createSender(deps);
  /** Of each message, and of the work for a whole rollout. */
  const backoff = createBackoff(RETRIES_MS, clock);
  const running = new Map<string, Promise<void>>();
  /** Called when there is more to send for a rollout whose turn is running. */
  const callers = new Map<string, () => void>();
  const again = new Set<string>();
  /** What was shown while this process was too slow to keep its lease: perhaps over newer words of somebody else. */
  const doubtful = new Map<string, Set<MessageKey>>();
  /** Sends all that waits for a rollout; at once when called while it is sending. Never rejects. */
  async function flush(id: string): Promise<void> {
    if (running.has(id)) {
      again.add(id);
      callers.get(id)?.();
      return;
    }
    const sending = sendAll(id);
    running.set(id, sending);
    await sending;
  }

  /** The sweep goes on where these few tries were not enough. */
  async function sendAll(id: string): Promise<void> {
    try {
      for (const retryMs of [...RETRIES_MS, null]) {
        again.delete(id);
        const left = await attempted(id, () => drain(id));
        if (again.has(id)) continue;
        if (left === 'nothing' || retryMs === null) return;
        const wait = Math.max(left === 'busy' ? 0 : left, retryMs);
        if (wait > LONGEST_WAIT_MS) return;
        // Without the lease: a new message, of this process or another, must not wait behind an old edit.
        await Promise.race([pause(wait), called(id)]);
      }
    } finally {
      callers.delete(id);
      running.delete(id);
      if (again.delete(id)) void flush(id);
    }
  }

  const called = (id: string): Promise<void> => new Promise((resolve) => callers.set(id, resolve));

  /** What failed rests, whoever calls; `left`: until it is to be tried. */
  async function attempted<T>(id: string, work: () => Promise<T>, key = ''): Promise<T | number> {
    const name = nameOf(id, key);
    const resting = backoff.left(name);
    if (resting > 0) return resting;
    try {
      const done = await work();
      backoff.worked(name);
      return done;
    } catch (error) {
      log.warn({ rollout: id, key, err: error }, 'message not sent, will be repeated');
      return backoff.failed(name, askedToWait(error));
    }
  }

  /** `busy`: somebody else is sending for it. */
  async function drain(id: string): Promise<Left | 'busy'> {
    const lease = await hold(store, `outbox:${id}`, LEASE_MS);
    if (!lease) return 'busy';
    const shown = new Set<MessageKey>();
    try {
      if (lease.abandoned >= POISON_TIMES) await giveUpPictures(id, lease.abandoned);
      await settleAll(id);
      const doubts = await showAgain(id, shown);
      const left = await sendWaiting(id, shown);
      return soonest([doubts, left]);
    } finally {
      const kept = await lease.release().catch(() => false);
      if (!kept && shown.size > 0) {
        log.warn({ rollout: id, keys: [...shown] }, 'shown too late: showing it as it is now');
        doubtful.set(id, new Set([...(doubtful.get(id) ?? []), ...shown]));
        again.add(id);
      }
      for (const key of shown) if (!doubtful.get(id)?.has(key)) forget(id, key);
    }
  }

  /** The most urgent first. Edits that Slack's rates keep waiting keep no post waiting, nor the other way round. */
  async function sendWaiting(id: string, shown: Set<MessageKey>): Promise<Left> {
    const deferred = new Map<'edit' | 'post', number>();
    // Once in a turn: two that fail slowly would else keep it, and the lease, for ever.
    const failed = new Set<MessageKey>();
    const restOf = ({ key }: Outgoing) => backoff.left(nameOf(id, key));
    for (;;) {
      const waiting = await store.unsent(id);
      const loaded = waiting.length > 0 ? await store.load(id) : null;
      if (!loaded) return 'nothing';
      const { rollout } = loaded;
      const kindOf = ({ key }: Outgoing) => (rollout.messages[key] === undefined ? 'post' : 'edit');
      const sendable = sendableOf(
        waiting.map(({ outgoing }) => outgoing),
        rollout,
      );
      if (sendable.length === 0) {
        // Slack never took the message that all of these hang on: they are not waited for for ever.
        log.error({ rollout: id, keys: waiting.map(({ outgoing }) => outgoing.key) }, 'messages without a place');
        await store.sent(
          id,
          waiting.map(({ entry }) => entry),
        );
        return 'nothing';
      }
      const first = mostUrgent(
        sendable.filter((one) => !deferred.has(kindOf(one)) && !failed.has(one.key) && restOf(one) === 0),
        rollout,
      );
      if (!first) {
        const resting = sendable.filter((one) => failed.has(one.key) || restOf(one) > 0);
        return soonest([...deferred.values(), ...resting.map(restOf)]);
      }
      const entries = waiting.filter((entry) => entry.outgoing.key === first.key).map((entry) => entry.entry);
      shown.add(first.key);
      const left = await attempted(id, () => send(rollout, first), first.key);
      if (left === 'nothing') await store.sent(id, entries);
      else if (restOf(first) > 0) failed.add(first.key);
      else deferred.set(kindOf(first), left);
    }
  }

  /** Drawing is all that can end a process here: the words and buttons must not suffer for it. */
  async function giveUpPictures(id: string, times: number): Promise<void> {
    const pictures = (await store.unsent(id)).filter(({ outgoing }) => outgoing.key.startsWith('chart:'));
    log.error(
      { rollout: id, times, pictures: pictures.length },
      'giving up pictures: drawing ended the process each time',
    );
    await store.sent(
      id,
      pictures.map(({ entry }) => entry),
    );
  }

  /** Messages are drawn from the newest state. */
  async function showAgain(id: string, shown: Set<MessageKey>): Promise<Left> {
    const doubts = doubtful.get(id) ?? new Set<MessageKey>();
    const left: Left[] = [];
    for (const key of [...doubts]) {
      const loaded = await store.load(id);
      shown.add(key);
      const isThere = loaded?.rollout.messages[key] !== undefined && !key.startsWith('chart:');
      const one = isThere ? await attempted(id, () => putRight(loaded.rollout, key), key) : 'nothing';
      if (one === 'nothing') doubts.delete(key);
      left.push(one);
    }
    if (doubts.size === 0) doubtful.delete(id);
    return soonest(left);
  }

  /** Resolves when nothing is being sent. */
  async function settled(): Promise<void> {
    while (running.size > 0) await Promise.allSettled(running.values());
  }

  /** Rollouts of which something is to be put right that no outbox holds any more. */
  const doubts = (): readonly string[] => [...doubtful.keys(), ...unsettled()];

  return { flush, settled, doubts };
}
