/** The marks on our messages, by which one whose outcome is unknown is found again. */
import type { WebClient } from '@slack/web-api';
import type { MessageKey } from '../../core/event.ts';
import type { Place } from '../../core/place.ts';
import type { Rollout } from '../../core/rollout.ts';
import { reasonOf, troubleOf } from './errors.ts';

const EVENT_TYPE = 'sluice_message';
const PAGE = 200;
const PAGES = 5;

export const markOf = ({ id }: Rollout, key: MessageKey) => ({
  event_type: EVENT_TYPE,
  event_payload: { rollout: id, key },
});

/** Without `ts` in the channel itself, else in that thread. */
type Where = Pick<Place, 'channel'> & Partial<Place>;

export function createSearch(client: WebClient) {
  /** `except`: the `ts` of one that is known. null: not there, or not allowed to look. Throws on faults, with `retryAfterMs` where Slack asks to wait. */
  return async function search(
    rollout: Rollout,
    key: MessageKey,
    { channel, ts }: Where,
    except?: string,
  ): Promise<Place | null> {
    try {
      let cursor: string | undefined;
      for (let page = 0; page < PAGES; page++) {
        const options = { channel, include_all_metadata: true, limit: PAGE, ...(cursor ? { cursor } : {}) };
        const answer =
          ts === undefined
            ? await client.conversations.history({ ...options, ...since(rollout) })
            : await client.conversations.replies({ ...options, ts });
        const found = answer.messages?.find((message) => message.ts !== except && isOurs(message, rollout.id, key));
        if (found?.ts !== undefined) return { channel, ts: found.ts };
        cursor = answer.response_metadata?.next_cursor || undefined;
        if (!cursor) return null;
      }
      return null;
    } catch (error) {
      // Without the history scopes nobody can look: a duplicate is accepted.
      const trouble = troubleOf(error);
      if (trouble.kind === 'refused' || reasonOf(error) === 'missing_scope') return null;
      const fault = new Error(`looking for message ${key} of ${rollout.id}: ${reasonOf(error)}`, { cause: error });
      throw trouble.kind === 'later' ? Object.assign(fault, { retryAfterMs: trouble.ms }) : fault;
    }
  };
}

/**
 * Nobody posts for a rollout before it is asked for; Slack's clock may run behind ours. What nobody asked for was written down
 * again after Redis had lost it, long after its first message.
 */
const since = ({ plan, requestedAt }: Rollout) =>
  plan.requester.kind === 'system' ? {} : { oldest: String(requestedAt / 1000 - 60) };

type Metadata = { readonly event_type?: string; readonly event_payload?: object };

function isOurs(message: { readonly metadata?: Metadata }, rollout: string, key: MessageKey): boolean {
  const payload: { rollout?: unknown; key?: unknown } = message.metadata?.event_payload ?? {};
  return message.metadata?.event_type === EVENT_TYPE && payload.rollout === rollout && payload.key === key;
}
