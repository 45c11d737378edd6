/** Slack's published rates, shared by all replicas. */
import type { MessageKey } from '../core/event.ts';
import type { Rollout } from '../core/rollout.ts';
import type { Chat } from './ports/chat.ts';
import type { Store } from './ports/store.ts';

/**
 * Calls a minute, and how many at once, below Slack's published rates: a burst and the minute after it must stay under
 * 50 edits, 1 post a second for each channel and 300 posts in all. To look for a message takes one or two calls of 50, and ten at
 * most.
 */
const RATES = { channel: [60, 4], post: [240, 50], update: [33, 15], root: [20, 8], find: [20, 5] } as const;

export function createOutboxRates(store: Pick<Store, 'throttle' | 'holdBack'>, chat: Pick<Chat, 'home'>) {
  const channelOf = async (rollout: Rollout) => `post:${await chat.home(rollout)}`;

  return {
    /** For how long it has to wait, ms; gates and results keep a share that edits of the root cannot take. */
    async message(rollout: Rollout, key: MessageKey, isEdit: boolean): Promise<number> {
      if (!isEdit) {
        const channel = await store.throttle(await channelOf(rollout), ...RATES.channel);
        return channel > 0 ? channel : store.throttle('post', ...RATES.post);
      }
      const root = key === 'root' ? await store.throttle('update:root', ...RATES.root) : 0;
      return root > 0 ? root : store.throttle('update', ...RATES.update);
    },

    look: () => store.throttle('find', ...RATES.find),

    // Slack asked for it: who asks again before the time, on any replica, is asked to wait longer.
    restMessage: async (rollout: Rollout, isEdit: boolean, ms: number) =>
      isEdit
        ? store.holdBack('update', ...RATES.update, ms)
        : store.holdBack(await channelOf(rollout), ...RATES.channel, ms),

    /** Each look that begins anew uses up what Slack allows for it. */
    restLooks: (ms: number) => store.holdBack('find', ...RATES.find, ms),
  };
}
