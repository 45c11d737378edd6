/**
 * Sends what the transitions left to say. Ordered per message, the newest edit wins, nothing is lost: an entry goes away only
 * when Slack has the message. No transition waits for this.
 */
import type { MessageKey, Outgoing, Rollout } from '../core/rollout.ts';
import type { Rollouts } from './handle.ts';
import { hold } from './lease.ts';
import { pause } from './pause.ts';
import type { Chat, Log, Queue, Store } from './ports.ts';

type Deps = {
  readonly store: Store;
  readonly queue: Pick<Queue, 'wake'>;
  readonly chat: Chat;
  readonly rollouts: Pick<Rollouts, 'record'>;
  readonly log: Log;
};

/** Renewed while it sends. */
const LEASE_MS = 4_000;
/** What has to wait longer than this is left to the sweep. */
const LONGEST_WAIT_MS = 3_000;
/**
 * Calls a minute, and how many at once, below Slack's published rates: a burst and the minute after it must stay under
 * 50 edits, 1 post a second for each channel and 300 posts in all.
 */
const RATES = { channel: [60, 4], post: [240, 50], update: [33, 15], root: [20, 8] } as const;
/** Processes that died one after the other while they sent for one rollout. */
const POISON_TIMES = 5;
const RETRIES_MS = [250, 1_000, 3_000] as const;

/** Waiting time before what is left may be tried again, ms. */
type Left = number | 'nothing';

export function createOutbox({ store, queue, chat, rollouts, log }: Deps) {
  const running = new Map<string, Promise<void>>();
  /** Called when there is more to send for a rollout whose turn is running. */
  const callers = new Map<string, () => void>();
  const again = new Set<string>();
  /** What was shown while this process was too slow to keep its lease: perhaps over newer words of somebody else. */
  const doubtful = new Map<string, Set<MessageKey>>();
  /** What Slack has taken and Redis could not be told yet, by rollout. */
  const posts = new Map<string, Map<MessageKey, string>>();

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
        const left = await drain(id).catch((error: unknown) => {
          log.warn({ rollout: id, err: error }, 'message not sent, will be repeated');
          return 0;
        });
        if (again.has(id)) continue;
        if (left === 'nothing' || left > LONGEST_WAIT_MS || retryMs === null) return;
        // Without the lease: a new message, of this process or another, must not wait behind an old edit.
        await Promise.race([pause(Math.max(left, retryMs)), called(id)]);
      }
    } finally {
      callers.delete(id);
      running.delete(id);
      if (again.delete(id)) void flush(id);
    }
  }

  const called = (id: string): Promise<void> => new Promise((resolve) => callers.set(id, resolve));

  async function drain(id: string): Promise<Left> {
    const lease = await hold(store, `outbox:${id}`, LEASE_MS);
    if (!lease) return 0;
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
        sendable.filter((outgoing) => !deferred.has(kindOf(outgoing))),
        rollout,
      );
      if (!first) return soonest([...deferred.values()]);
      const entries = waiting.filter((entry) => entry.outgoing.key === first.key).map((entry) => entry.entry);
      shown.add(first.key);
      const left = await send(rollout, first);
      if (left === 'nothing') await store.sent(id, entries);
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
      const isEditable = loaded?.rollout.messages[key] !== undefined && !/^(note|chart):/.test(key);
      const left = isEditable ? await send(loaded.rollout, { key }) : 'nothing';
      if (left !== 'nothing') return left;
    }
    doubtful.delete(id);
    return 'nothing';
  }

  /** `nothing`: Slack has it (or never will). */
  async function send(rollout: Rollout, outgoing: Outgoing): Promise<Left> {
    const posted = rollout.messages[outgoing.key] !== undefined;
    const wait = await allowance(rollout, outgoing.key, posted);
    if (wait > 0) return wait;
    // After a crash between post and record the message is looked for before it is posted again.
    const isFirst = !posted && (await store.markSending(rollout.id, outgoing.key));
    const known = posted || isFirst ? null : await chat.find(rollout, outgoing.key);
    if (known !== null) return adopt(rollout, outgoing, known);
    const sent = await chat.show(rollout, outgoing);
    if (sent.kind === 'later') {
      log.info({ rollout: rollout.id, key: outgoing.key, ms: sent.ms }, 'Slack asks to wait');
      // All replicas: who asks again before the time is asked to wait longer.
      if (posted) await store.holdBack('update', ...RATES.update, sent.ms);
      else {
        await store.holdBack(`post:${rollout.plan.channel}`, ...RATES.channel, sent.ms);
        // It has not taken it, nor any before: else each new try would look for it, and use up what Slack allows for that.
        if (isFirst) await store.unmarkSending(rollout.id, outgoing.key);
      }
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
    else if (loaded && known !== ts && !key.startsWith('chart:')) {
      log.warn({ rollout: id, key }, 'posted twice: taking the later one back');
      await chat.retract(loaded.rollout, ts);
    }
    const left = posts.get(id);
    left?.delete(key);
    if (left?.size === 0) posts.delete(id);
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

  /** Slack's published rates, shared by all replicas; gates and results keep a share that edits of the root cannot take. */
  async function allowance(rollout: Rollout, key: MessageKey, edit: boolean): Promise<number> {
    if (!edit) {
      const channel = await store.throttle(`post:${rollout.plan.channel}`, ...RATES.channel);
      return channel > 0 ? channel : store.throttle('post', ...RATES.post);
    }
    const root = key === 'root' ? await store.throttle('update:root', ...RATES.root) : 0;
    return root > 0 ? root : store.throttle('update', ...RATES.update);
  }

  /** Resolves when nothing is being sent. */
  async function settled(): Promise<void> {
    while (running.size > 0) await Promise.allSettled(running.values());
  }

  return { flush, settled };
}

/** The root comes before everything else, which is in its thread; a picture after its gate. */
function sendableOf(waiting: readonly Outgoing[], { messages }: Rollout): readonly Outgoing[] {
  const hasRoot = messages.root !== undefined;
  return waiting.filter(({ key }) => {
    if (!hasRoot) return key === 'root';
    return !key.startsWith('chart:') || messages[key.replace('chart', 'gate')] !== undefined;
  });
}

/** An edit that takes buttons away, gates, results, the rest. */
function mostUrgent(sendable: readonly Outgoing[], { messages }: Rollout): Outgoing | null {
  const rank = ({ key }: Outgoing): number => {
    if (key.startsWith('gate:')) return messages[key] === undefined ? 1 : 0;
    if (key === 'result') return 2;
    if (key.startsWith('note:')) return 3;
    return key === 'root' ? 4 : 5;
  };
  return sendable.reduce<Outgoing | null>((best, one) => (best === null || rank(one) < rank(best) ? one : best), null);
}

const soonest = (parts: readonly Left[]): Left =>
  parts.reduce((best, one) => (best === 'nothing' || (one !== 'nothing' && one < best) ? one : best), 'nothing');
