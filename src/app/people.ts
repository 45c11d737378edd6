/**
 * Who is in which user group. Read from Slack at most every 60 s; the last known membership is kept, in Redis too, because an
 * abort counts it at any age while Slack is away.
 */
import { isFresh, type Membership } from '../core/policy.ts';
import type { Chat } from './ports/chat.ts';
import type { Log } from './ports/log.ts';
import type { Store } from './ports/store.ts';

export type People = ReturnType<typeof createPeople>;

/** A little less than the age that policy refuses, so that what was just read still counts when it is judged. */
const FRESH_MS = 55_000;
/** Read by a process of before, whose clock was another. */
const LONG_AGO = Number.NEGATIVE_INFINITY;

/** `clock`: monotonic, ms. */
export function createPeople({ store, chat, log, clock }: { store: Store; chat: Chat; log: Log; clock: () => number }) {
  const known = new Map<string, { users: readonly string[]; atMs: number }>();
  const unreadable = new Map<string, string>();
  const full = new Map<string, boolean>();
  const asking = new Map<string, Promise<void>>();

  /** What was known before this process started: enough for aborts, too old for everything else. */
  async function restore(): Promise<void> {
    for (const [group, users] of Object.entries(await store.loadMembers())) {
      if (!known.has(group)) known.set(group, { users, atMs: LONG_AGO });
    }
  }

  /** Membership of the groups among `ids` (others are users), asked of Slack when older than 60 s. */
  async function membership(ids: readonly string[]): Promise<Membership> {
    const stale = groupsOf(ids).filter((group) => !isFresh(known.get(group)?.atMs ?? LONG_AGO, clock(), FRESH_MS));
    await Promise.all(stale.map(refresh));
    return lastKnown();
  }

  /** Who asks at the same time shares the answer: Slack lets a bot read groups 20 times a minute. */
  function refresh(group: string): Promise<void> {
    const asked = asking.get(group) ?? read(group).finally(() => asking.delete(group));
    asking.set(group, asked);
    return asked;
  }

  async function read(group: string): Promise<void> {
    const answer = await chat
      .groupMembers(group)
      .catch((error: unknown) => ({ ok: false as const, error: String(error) }));
    if (!answer.ok) {
      log.warn({ group, error: answer.error }, 'user group could not be read');
      unreadable.set(group, answer.error);
      return;
    }
    unreadable.delete(group);
    known.set(group, { users: answer.users, atMs: clock() });
    await store
      .saveMembers(group, answer.users)
      .catch((error: unknown) => log.warn({ group, err: error }, 'membership not kept'));
  }

  const lastKnown = (): Membership => Object.fromEntries(known);

  /** The groups among `ids` that Slack does not let the bot read, with Slack's words. */
  async function unreadableGroups(ids: readonly string[]): Promise<readonly { group: string; error: string }[]> {
    await membership(ids);
    return groupsOf(ids).flatMap((group) => {
      const error = unreadable.get(group);
      return error === undefined ? [] : [{ group, error }];
    });
  }

  /** Guests, deactivated people and strangers may nothing; what Slack said is at most 60 s old, since people leave. */
  async function isFullMember(user: string): Promise<boolean> {
    const answer = await chat.isFullMember(user);
    full.set(user, answer);
    return answer;
  }

  /** For aborts: without Slack, what was last known; unknown people pass, since a group or the request vouches for them. */
  const wasFullMember = (user: string): boolean => full.get(user) ?? true;

  return { restore, membership, lastKnown, unreadableGroups, isFullMember, wasFullMember, now: clock };
}

const groupsOf = (ids: readonly string[]) => [...new Set(ids.filter((id) => id.startsWith('S')))];
