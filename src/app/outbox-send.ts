/** Sends one message: posts it, edits it, or finds it again where nobody knows what became of a post. */
import type { MessageKey, Outgoing } from '../core/event.ts';
import type { Rollout } from '../core/rollout.ts';
import { askedToWait } from './backoff.ts';
import type { Rollouts } from './handle.ts';
import type { Left } from './outbox-order.ts';
import { createOutboxRates } from './outbox-rates.ts';
import type { Chat } from './ports/chat.ts';
import type { Log } from './ports/log.ts';
import type { Queue } from './ports/queue.ts';
import type { Store } from './ports/store.ts';

export type SenderDeps = {
  readonly store: Store;
  readonly queue: Pick<Queue, 'wake'>;
  readonly chat: Chat;
  readonly rollouts: Pick<Rollouts, 'record'>;
  readonly log: Log;
};

export const nameOf = (id: string, key: MessageKey) => `${id} ${key}`;

export function createSender({ store, queue, chat, rollouts, log }: SenderDeps) {
  const rates = createOutboxRates(store, chat);
  /** What Slack has taken and Redis could not be told yet, by rollout. */
  const posts = new Map<string, Map<MessageKey, string>>();
  /** Posts whose outcome is unknown, until their place is known. */
  const unanswered = new Set<string>();

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
    if (!posted && !isFirst) {
      const wait = await rates.look();
      if (wait > 0) return wait;
      const known = await look(() => chat.find(rollout, outgoing.key));
      if (known !== null) return adopt(rollout, outgoing, known);
    }
    const wait = await rates.message(rollout, outgoing.key, posted);
    if (wait > 0) {
      // Not there, and not made: the next try need not look.
      if (!posted) await store.unmarkSending(rollout.id, outgoing.key);
      return wait;
    }
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

  /** Tells Redis of what Slack has taken, where that could not be done at once. */
  async function settleAll(id: string): Promise<void> {
    for (const [key, ts] of posts.get(id) ?? []) await settle(id, key, ts);
  }

  return {
    send,
    putRight,
    settleAll,
    /** Rollouts with posts that Redis could not be told yet. */
    unsettled: () => posts.keys(),
    /** Nobody else can have posted it meanwhile: the next try finds it. */
    forget: (id: string, key: MessageKey) => void unanswered.delete(nameOf(id, key)),
  };
}
