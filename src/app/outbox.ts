/**
 * Sends what the transitions left to say. Ordered per message, the newest edit wins, nothing is lost: an entry goes away only
 * when Slack has the message. No transition waits for this.
 */
import type { MessageKey, Outgoing } from '../core/event.ts';
import type { Rollout } from '../core/rollout.ts';
import { askedToWait, createBackoff } from './backoff.ts';
import type { Rollouts } from './handle.ts';
import { hold, POISON_TIMES } from './lease.ts';
import { type Left, mostUrgent, sendableOf, soonest } from './outbox-order.ts';
import { createOutboxRates } from './outbox-rates.ts';
import { pause } from './pause.ts';
import type { Chat } from './ports/chat.ts';
import type { Log } from './ports/log.ts';
import type { Queue } from './ports/queue.ts';
import type { Store } from './ports/store.ts';

type Deps = {
  readonly store: Store;
  readonly queue: Pick<Queue, 'wake'>;
  readonly chat: Chat;
  readonly rollouts: Pick<Rollouts, 'record'>;
  readonly log: Log;
  /** Local clock, ms, monotonic. */
  readonly clock: () => number;
};

/** Renewed while it sends. */
const LEASE_MS = 4_000;
/** What has to wait longer than this is left to the sweep. */
const LONGEST_WAIT_MS = 3_000;
const RETRIES_MS = [250, 1_000, 3_000] as const;

export function createOutbox({ store, queue, chat, rollouts, log, clock }: Deps) {
  /** Of each message, and of the work for a whole rollout. */
  const backoff = createBackoff(RETRIES_MS, clock);
  const rates = createOutboxRates(store, chat);
  const running = new Map<string, Promise<void>>();
  /** Called when there is more to send for a rollout whose turn is running. */
  const callers = new Map<string, () => void>();
  const again = new Set<string>();
  /** What was shown while this process was too slow to keep its lease: perhaps over newer words of somebody else. */
  const doubtful = new Map<string, Set<MessageKey>>();
  /** What Slack has taken and Redis could not be told yet, by rollout. */
  const posts = new Map<string, Map<MessageKey, string>>();
  /** Posts whose outcome is unknown, until their place is known. */
  const unanswered = new Set<string>();

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
      for (const [key, ts] of posts.get(id) ?? []) await settle(id, key, ts);
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
    for (const key of doubtful.get(id) ?? []) {
      const loaded = await store.load(id);
      shown.add(key);
      const isThere = loaded?.rollout.messages[key] !== undefined && !key.startsWith('chart:');
      const left = isThere ? await attempted(id, () => putRight(loaded.rollout, key), key) : 'nothing';
      if (left !== 'nothing') return left;
    }
    doubtful.delete(id);
    return 'nothing';
  }

  /** Somebody else has posted it meanwhile: it is drawn anew, and an own post that had no answer is taken back. */
  async function putRight(rollout: Rollout, key: MessageKey): Promise<Left> {
    const left = key.startsWith('note:') ? 'nothing' : await send(rollout, { key });
    if (left !== 'nothing' || !unanswered.has(nameOf(rollout.id, key))) return left;
    const wait = await rates.look();
    if (wait > 0) return wait;
    const own = await look(() => chat.findOther(rollout, key));
    if (own !== null) await takeBack(rollout, key, own);
    unanswered.delete(nameOf(rollout.id, key));
    return 'nothing';
  }

  /** `nothing`: Slack has it (or never will). */
  async function send(rollout: Rollout, outgoing: Outgoing): Promise<Left> {
    const posted = rollout.messages[outgoing.key] !== undefined;
    // After a crash between post and record the message is looked for before it is posted again.
    const isFirst = !posted && (await store.markSending(rollout.id, outgoing.key));
    const mustLook = !posted && !isFirst;
    // Where the look has to wait, it must not use up what its channel may take meanwhile.
    const wait = (mustLook ? await rates.look() : 0) || (await rates.message(rollout, outgoing.key, posted));
    if (wait > 0) {
      if (isFirst) await store.unmarkSending(rollout.id, outgoing.key);
      return wait;
    }
    const known = mustLook ? await look(() => chat.find(rollout, outgoing.key)) : null;
    if (known !== null) return adopt(rollout, outgoing, known);
    const name = nameOf(rollout.id, outgoing.key);
    if (!posted) unanswered.add(name);
    const sent = await chat.show(rollout, outgoing);
    if (!posted) unanswered.delete(name);
    if (sent.kind === 'later') {
      log.info({ rollout: rollout.id, key: outgoing.key, ms: sent.ms }, 'Slack asks to wait');
      await rates.restMessage(rollout, posted, sent.ms);
      // It has not taken it, nor any before: else each new try would look for it, and use up what Slack allows for that.
      if (isFirst) await store.unmarkSending(rollout.id, outgoing.key);
      return sent.ms;
    }
    if (sent.kind === 'impossible') {
      log.error({ rollout: rollout.id, key: outgoing.key, error: sent.error }, 'Slack will not take this message');
      if (outgoing.key === 'root' && !posted) await giveUp(rollout, sent.error);
      return 'nothing';
    }
    if (!posted) {
      posts.set(rollout.id, new Map([...(posts.get(rollout.id) ?? []), [outgoing.key, sent.ts]]));
      await settle(rollout.id, outgoing.key, sent.ts);
    } else if (sent.ts !== rollout.messages[outgoing.key]) {
      // An administrator had deleted it: it stands somewhere else now.
      await delivered(rollout.id, outgoing.key, sent.ts);
    }
    return 'nothing';
  }

  /** Where it stands; null: nowhere. */
  async function look(find: () => Promise<string | null>): Promise<string | null> {
    try {
      return await find();
    } catch (error) {
      const ms = askedToWait(error);
      if (ms > 0) await rates.restLooks(ms);
      throw error;
    }
  }

  /** A message of a process that died after its post; what was decided since is not in it yet. */
  async function adopt({ id }: Rollout, outgoing: Outgoing, ts: string): Promise<Left> {
    await settle(id, outgoing.key, ts);
    const loaded = await store.load(id);
    return loaded?.rollout.messages[outgoing.key] === undefined ? 'nothing' : send(loaded.rollout, outgoing);
  }

  /** A post takes its place, unless another process posted it while this one stood still between the look and the post. */
  async function settle(id: string, key: MessageKey, ts: string): Promise<void> {
    const loaded = await store.load(id);
    const known = loaded?.rollout.messages[key];
    if (known === undefined) await delivered(id, key, ts);
    else if (loaded && known !== ts && !key.startsWith('chart:')) await takeBack(loaded.rollout, key, ts);
    unanswered.delete(nameOf(id, key));
    const left = posts.get(id);
    left?.delete(key);
    if (left?.size === 0) posts.delete(id);
  }

  async function takeBack(rollout: Rollout, key: MessageKey, ts: string): Promise<void> {
    log.warn({ rollout: rollout.id, key }, 'posted twice: taking the later one back');
    await chat.retract(rollout, ts);
  }

  async function delivered(id: string, key: MessageKey, ts: string): Promise<void> {
    await rollouts.record(id, { type: 'message_delivered', key, ts });
    // The first message starts the first step, a gate's starts its clock.
    await queue.wake(id);
  }

  /** A rollout that can never be announced must not start. */
  async function giveUp(rollout: Rollout, error: string): Promise<void> {
    const cause = { kind: 'not started', message: `Slack does not take its first message: ${error}` } as const;
    await rollouts.record(rollout.id, { type: 'abort_requested', cause, epoch: rollout.epoch + 1 });
  }

  /** Resolves when nothing is being sent. */
  async function settled(): Promise<void> {
    while (running.size > 0) await Promise.allSettled(running.values());
  }

  return { flush, settled };
}

const nameOf = (id: string, key: MessageKey) => `${id} ${key}`;
