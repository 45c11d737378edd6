/** Where people are told and asked. */
import type { MessageKey, Outgoing } from '../../core/event.ts';
import type { Rollout } from '../../core/rollout.ts';
import type { Answer } from '../answers.ts';

export type Sent =
  | { readonly kind: 'sent'; readonly ts: string }
  /** Slack asked to wait. */
  | { readonly kind: 'later'; readonly ms: number }
  /** It can never be shown (deleted root, archived channel): logged and dropped after the fallback. */
  | { readonly kind: 'impossible'; readonly error: string };

type GroupMembers =
  | { readonly ok: true; readonly users: readonly string[] }
  | { readonly ok: false; readonly error: string };

export type Chat = {
  /** Posts the message of `key`, or edits it when `rollout.messages` has it. Throws on faults (unknown outcome included). */
  show(rollout: Rollout, outgoing: Outgoing): Promise<Sent>;
  /** Takes back a message that stands twice, `ts` as `show` gave it. Never throws: it may stay where Slack refuses. */
  retract(rollout: Rollout, ts: string): Promise<void>;
  /** Looks for a message whose outcome is unknown by its metadata; null: not there (or not allowed to look). */
  find(rollout: Rollout, key: MessageKey): Promise<string | null>;
  /** Looks for a second one beside that of `rollout.messages`: of a post that had no answer, and came through all the same. */
  findOther(rollout: Rollout, key: MessageKey): Promise<string | null>;
  /** Id of the channel that its messages go to; the configured name where Slack does not know it. Throws on faults. */
  home(rollout: Rollout): Promise<string>;
  /** Finds a channel by name or id; `problem`: why the bot cannot post there, with the remedy. Throws on faults. */
  channel(
    nameOrId: string,
  ): Promise<{ readonly ok: true; readonly id: string } | { readonly ok: false; readonly problem: string }>;
  groupMembers(group: string): Promise<GroupMembers>;
  /** Guests, deactivated people, bots and strangers may nothing. */
  isFullMember(user: string): Promise<boolean>;
  /** Tells one person, where they asked: response_url, else ephemeral, else DM. Never throws. */
  tell(to: ReplyTo, answer: Answer): Promise<void>;
  permalink(channel: string, ts: string): Promise<string | null>;
};

/** Where a command or click came from. */
export type ReplyTo = {
  readonly user: string;
  readonly channel: string;
  readonly thread: string | null;
  readonly responseUrl: string | null;
};
