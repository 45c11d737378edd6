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
/** Slack asks to wait longer than this: come back with the sweep instead of holding the lease. */
const LONGEST_WAIT_MS = 2_000;
/**
 * Calls a minute, and how many at once, below Slack's published rates: a burst and the minute after it must stay under
 * 50 edits, 1 post a second for each channel and 300 posts in all.
 */
const RATES = { channel: [60, 4], post: [240, 50], update: [33, 15], root: [20, 8] } as const;
const RETRIES_MS = [250, 1_000, 3_000] as const;

export function createOutbox({ store, queue, chat, rollouts, log }: Deps) {
  const running = new Map<string, Promise<void>>();
  const again = new Set<string>();
  /** What was shown while this process was too slow to keep its lease: perhaps over newer words of somebody else. */
  const doubtful = new Map<string, Set<MessageKey>>();
  /** What Slack has taken and Redis could not be told yet, by rollout. */
  const posts = new Map<string, Map<MessageKey, string>>();

  /** Sends all that waits for a rollout; at once when called while it is sending. Never rejects. */
  async function flush(id: string): Promise<void> {
    if (running.has(id)) {
      again.add(id);
      return;
    }
    const sending = sendAll(id);
    running.set(id, sending);
    await sending;
  }

  async function sendAll(id: string): Promise<void> {
    try {
      for (const retryMs of [...RETRIES_MS, null]) {
        again.delete(id);
        const done = await drain(id).catch((error: unknown) => {
          log.warn({ rollout: id, err: error }, 'message not sent, will be repeated');
          return false;
        });
        if (done && !again.has(id)) return;
        // The sweep goes on when these few tries were not enough.
        if (retryMs === null) return;
        if (!done) await pause(retryMs);
      }
    } finally {
      running.delete(id);
      if (again.delete(id)) void flush(id);
    }
  }

  /** false: something is left. */
  async function drain(id: string): Promise<boolean> {
    const lease = await hold(store, `outbox:${id}`, LEASE_MS);
    if (!lease) return false;
    const shown = new Set<MessageKey>();
    try {
      for (const [key, ts] of posts.get(id) ?? []) await settle(id, key, ts);
      if (!(await showAgain(id, shown))) return false;
      for (;;) {
        const waiting = await store.unsent(id);
        const loaded = waiting.length > 0 ? await store.load(id) : null;
        if (!loaded) return true;
        const first = mostUrgent(
          waiting.map((entry) => entry.outgoing),
          loaded.rollout,
        );
        if (!first) {
          // Slack never took the message that all of these hang on: they are not waited for for ever.
          log.error({ rollout: id, keys: waiting.map(({ outgoing }) => outgoing.key) }, 'messages without a place');
          await store.sent(
            id,
            waiting.map(({ entry }) => entry),
          );
          return true;
        }
        const entries = waiting.filter((entry) => entry.outgoing.key === first.key).map((entry) => entry.entry);
        shown.add(first.key);
        if (!(await send(loaded.rollout, first))) return false;
        await store.sent(id, entries);
      }
    } finally {
      const kept = await lease.release().catch(() => false);
      if (!kept && shown.size > 0) {
        log.warn({ rollout: id, keys: [...shown] }, 'shown too late: showing it as it is now');
        doubtful.set(id, new Set([...(doubtful.get(id) ?? []), ...shown]));
        again.add(id);
      }
    }
  }

  /** Messages are drawn from the newest state. false: something is left. */
  async function showAgain(id: string, shown: Set<MessageKey>): Promise<boolean> {
    for (const key of doubtful.get(id) ?? []) {
      const loaded = await store.load(id);
      shown.add(key);
      const isEditable = loaded?.rollout.messages[key] !== undefined && !/^(note|chart):/.test(key);
      if (isEditable && !(await send(loaded.rollout, { key }))) return false;
    }
    doubtful.delete(id);
    return true;
  }

  /** true: Slack has it (or never will). */
  async function send(rollout: Rollout, outgoing: Outgoing): Promise<boolean> {
    const posted = rollout.messages[outgoing.key] !== undefined;
    const wait = await allowance(rollout, outgoing.key, posted);
    if (wait > LONGEST_WAIT_MS) return false;
    if (wait > 0) {
      await pause(wait);
      return send(rollout, outgoing);
    }
    const known = posted ? null : await postedBefore(rollout, outgoing.key);
    if (known !== null) return adopt(rollout, outgoing, known);
    const sent = await chat.show(rollout, outgoing);
    if (sent.kind === 'later') {
      log.info({ rollout: rollout.id, key: outgoing.key, ms: sent.ms }, 'Slack asks to wait');
      // All replicas: who asks again before the time is asked to wait longer.
      if (posted) await store.holdBack('update', ...RATES.update, sent.ms);
      else await store.holdBack(`post:${rollout.plan.channel}`, ...RATES.channel, sent.ms);
      if (sent.ms > LONGEST_WAIT_MS) return false;
      await pause(sent.ms);
      return send(rollout, outgoing);
    }
    if (sent.kind === 'impossible') {
      log.error({ rollout: rollout.id, key: outgoing.key, error: sent.error }, 'Slack will not take this message');
      if (outgoing.key === 'root' && !posted) await giveUp(rollout, sent.error);
      return true;
    }
    if (!posted) {
      posts.set(rollout.id, new Map([...(posts.get(rollout.id) ?? []), [outgoing.key, sent.ts]]));
      await settle(rollout.id, outgoing.key, sent.ts);
    } else if (sent.ts !== rollout.messages[outgoing.key]) {
      // An administrator had deleted it: it stands somewhere else now.
      await delivered(rollout.id, outgoing.key, sent.ts);
    }
    return true;
  }

  /** A message of a process that died after its post; what was decided since is not in it yet. */
  async function adopt({ id }: Rollout, outgoing: Outgoing, ts: string): Promise<boolean> {
    await settle(id, outgoing.key, ts);
    const loaded = await store.load(id);
    return loaded?.rollout.messages[outgoing.key] === undefined || send(loaded.rollout, outgoing);
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

  /** After a crash between post and record the message is looked for before it is posted again. */
  async function postedBefore(rollout: Rollout, key: MessageKey): Promise<string | null> {
    const first = await store.markSending(rollout.id, key);
    return first ? null : chat.find(rollout, key);
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

/** Root first, since everything else is in its thread; then an edit that takes buttons away, gates, results, the rest. */
function mostUrgent(waiting: readonly Outgoing[], rollout: Rollout): Outgoing | null {
  const hasRoot = rollout.messages.root !== undefined;
  const sendable = waiting.filter(({ key }) => {
    if (!hasRoot) return key === 'root';
    return !key.startsWith('chart:') || rollout.messages[key.replace('chart', 'gate')] !== undefined;
  });
  const rank = ({ key }: Outgoing): number => {
    if (key.startsWith('gate:')) return rollout.messages[key] === undefined ? 1 : 0;
    if (key === 'result') return 2;
    if (key.startsWith('note:')) return 3;
    return key === 'root' ? 4 : 5;
  };
  return sendable.reduce<Outgoing | null>((best, one) => (best === null || rank(one) < rank(best) ? one : best), null);
}
