/** What people ask for, as the chat adapter hands it over; JSON-serialisable, since it is recorded before the ack. */
import type { Actor } from '../core/plan.ts';
import type { ReplyTo } from './ports/chat.ts';

/** Button of a message. Approve carries the gate, Abort what an abort needs without Redis. */
export type Click =
  | {
      readonly action: 'approve' | 'hold' | 'reapply' | 'accept' | 'retry' | 'keep';
      readonly rollout: string;
      readonly gate: string;
    }
  | { readonly action: 'abort'; readonly rollout: string; readonly env: string; readonly service: string }
  | { readonly action: 'rollback'; readonly rollout: string };

export type Request = {
  /** Equal for a replay of the same command or click: Slack's trigger id, or the event id. */
  readonly key: string;
  readonly user: string;
  readonly name: string;
  readonly team: string;
  readonly replyTo: ReplyTo;
  /** Slack delivers it once more, since it had no acknowledgement in time. */
  readonly isRepeated?: boolean;
  readonly what: /** `thread`: where `@sluice …` was said: service and id default to that thread's rollout. */
    | {
        readonly kind: 'command';
        readonly text: string;
        readonly thread: { readonly channel: string; readonly ts: string } | null;
      }
    /** `at`: the message that holds the button; null or absent: not known. */
    | {
        readonly kind: 'click';
        readonly click: Click;
        readonly reason: string | null;
        readonly at?: { readonly channel: string; readonly ts: string } | null;
      };
};

export type Bot = {
  /**
   * Takes a command or click in: at most one Redis round trip. Then the caller acknowledges and awaits `after`, which does
   * the work and answers by `Chat.tell`. `after` never throws. For an abort the route patch is already on its way when this
   * resolves.
   */
  receive(request: Request): Promise<{ readonly after: () => Promise<void> }>;
};

/** The inbox entry that goes away with what the request causes; null: it was not recorded. */
export type Taken = { readonly service: string; readonly id: string } | null;

/** Inbox of what was said in a thread: which service it is about is known only when the thread was looked up. */
export const THREADS = '@threads';

export function actorOf(request: Pick<Request, 'user' | 'name'>): Actor {
  return { kind: 'person', user: request.user, name: request.name };
}
