/** Who may do what: denied unless a rule of the frozen plan allows it. */
import type { Access, Actor } from './plan.ts';

export type Verb = 'deploy' | 'approve' | 'abort' | 'roll back' | 'hold';

/** Members of a user group as last read at `atMs`, ms of the local clock. */
type Members = { readonly users: readonly string[]; readonly atMs: number };

/** By user group id; a group that could never be read is absent. */
export type Membership = Readonly<Record<string, Members | undefined>>;

export type Permission =
  | { readonly kind: 'allowed' }
  /** `groups`: user and group ids that may. */
  | { readonly kind: 'denied'; readonly groups: readonly string[] }
  /** `groups` could not be read (lately), and the person may be in one: the answer is no, but for another reason. */
  | { readonly kind: 'unknown'; readonly groups: readonly string[] };

/** Older membership decides aborts only: a person who has left a group may stop a rollout, but not move it. */
const MEMBERSHIP_MAX_AGE_MS = 60_000;

/** An age below zero is none that anybody knows: a clock that was set back keeps nothing fresh. */
export const isFresh = (atMs: number, now: number, maxAgeMs = MEMBERSHIP_MAX_AGE_MS): boolean =>
  now >= atMs && now - atMs <= maxAgeMs;

/** User and group ids that may. `requester`: the rollout's, null before there is one. */
export function whoMay(verb: Verb, access: Access, requester: Actor | null): readonly string[] {
  switch (verb) {
    case 'deploy':
    case 'roll back':
      return access.deploy;
    case 'approve':
    case 'hold':
      return access.approve;
    case 'abort': {
      const own = requester?.kind === 'person' ? [requester.user] : [];
      return [...new Set([...own, ...access.deploy, ...access.approve, ...access.abort, ...access.onCall])];
    }
    default:
      return verb satisfies never;
  }
}

export function mayDo(
  verb: Verb,
  user: string,
  { access, requester }: { readonly access: Access; readonly requester: Actor | null },
  membership: Membership,
  now: number,
): Permission {
  const ids = whoMay(verb, access, requester);
  if (ids.includes(user) && !isGroup(user)) return { kind: 'allowed' };
  const unknown: string[] = [];
  for (const group of ids.filter(isGroup)) {
    const members = membership[group];
    if (!members || (verb !== 'abort' && !isFresh(members.atMs, now))) unknown.push(group);
    else if (members.users.includes(user)) return { kind: 'allowed' };
  }
  return unknown.length > 0 ? { kind: 'unknown', groups: unknown } : { kind: 'denied', groups: ids };
}

const isGroup = (id: string) => id.startsWith('S');
