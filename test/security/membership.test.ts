/** Who is in a group is read again when it counts; what cannot be read is a no, except for aborts. */
import { beforeEach, describe, expect, it } from 'vitest';
import { createPeople } from '../../src/app/people.ts';
import type { Chat } from '../../src/app/ports/chat.ts';
import type { Store } from '../../src/app/ports/store.ts';
import type { Access } from '../../src/core/plan.ts';
import { mayDo, type Verb } from '../../src/core/policy.ts';
import { only } from '../app/support.ts';
import { recordingLog } from '../support/redis.ts';

const access: Access = {
  deploy: ['S_DEVS'],
  approve: ['S_APPROVERS'],
  abort: [],
  onCall: [],
  approvals: 1,
  fourEyes: true,
};

let now: number;
let groups: Record<string, readonly string[]>;
let away: boolean;
let kept: Record<string, readonly string[]>;
beforeEach(() => {
  now = 1_000_000;
  groups = { S_DEVS: ['U0ANA'], S_APPROVERS: ['U0BO'] };
  away = false;
  kept = {};
});

function startPeople() {
  const chat = only<Chat>({
    groupMembers: async (group) => {
      if (away) throw new Error('no answer');
      return { ok: true, users: groups[group] ?? [] };
    },
  });
  const store = only<Store>({
    saveMembers: async (group, users) => {
      kept[group] = users;
    },
    loadMembers: async () => kept,
  });
  const people = createPeople({ store, chat, log: recordingLog(), clock: () => now });
  return {
    people,
    may: async (verb: Verb, user: string) => {
      const membership = await people.membership([...access.deploy, ...access.approve]);
      return mayDo(verb, user, { access, requester: null }, membership, people.now()).kind;
    },
  };
}

describe('a person who is taken out of the group', () => {
  it('between the post and the click cannot approve a minute later', async () => {
    const { may } = startPeople();
    expect(await may('approve', 'U0BO')).toBe('allowed');
    groups.S_APPROVERS = [];
    now += 60_000;
    expect(await may('approve', 'U0BO')).toBe('denied');
  });

  it('cannot approve for an hour because the clock was set back by one', async () => {
    const { may } = startPeople();
    expect(await may('approve', 'U0BO')).toBe('allowed');
    groups.S_APPROVERS = [];
    now -= 3_600_000;
    expect(await may('approve', 'U0BO')).toBe('denied');
  });

  it('and put into it can approve at once after that', async () => {
    const { may } = startPeople();
    expect(await may('approve', 'U0CY')).toBe('denied');
    groups.S_APPROVERS = ['U0CY'];
    now += 60_000;
    expect(await may('approve', 'U0CY')).toBe('allowed');
  });
});

describe('while Slack does not answer', () => {
  it.each([
    ['deploy', 'U0ANA', 'unknown'],
    ['roll back', 'U0ANA', 'unknown'],
    ['approve', 'U0BO', 'unknown'],
    ['hold', 'U0BO', 'unknown'],
    ['abort', 'U0ANA', 'allowed'],
    ['abort', 'U0BO', 'allowed'],
    ['abort', 'U0EVE', 'denied'],
  ] as const)('%s by %s is %s', async (verb, user, verdict) => {
    const { may } = startPeople();
    await may(verb, user);
    away = true;
    now += 60_001;
    expect(await may(verb, user)).toBe(verdict);
  });

  it('a bot that was just started knows for aborts who was there before', async () => {
    await startPeople().may('approve', 'U0BO');
    away = true;
    // The clock of a process begins with it.
    now = 0;
    const { people, may } = startPeople();
    await people.restore();
    expect(await may('abort', 'U0BO')).toBe('allowed');
    expect(await may('approve', 'U0BO')).toBe('unknown');
  });
});
