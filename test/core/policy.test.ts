import { describe, expect, it } from 'vitest';
import type { Access, Actor } from '../../src/core/plan.ts';
import { type Membership, mayDo, type Permission, type Verb, whoMay } from '../../src/core/policy.ts';

const NOW = 1_000_000;
const access: Access = {
  deploy: ['S_DEVS', 'UDEPLOYER'],
  approve: ['S_APPROVERS', 'UAPPROVER'],
  abort: ['S_SUPPORT', 'UABORTER'],
  onCall: ['S_ONCALL'],
  approvals: 1,
  fourEyes: true,
};
const requester: Actor = { kind: 'person', user: 'UREQ', name: 'req' };

const members = (atMs: number): Membership => ({
  S_DEVS: { users: ['UDEV'], atMs },
  S_APPROVERS: { users: ['ULEAD'], atMs },
  S_SUPPORT: { users: ['USUPPORT'], atMs },
  S_ONCALL: { users: ['UONCALL'], atMs },
});

const ask = (verb: Verb, user: string, membership: Membership, plan = { access, requester } as const): Permission =>
  mayDo(verb, user, plan, membership, NOW);

describe('who may do what', () => {
  const verbs = ['deploy', 'approve', 'hold', 'roll back', 'abort'] as const;
  it.each([
    ['a member of the deploy group', 'UDEV', ['deploy', 'roll back', 'abort']],
    ['a person named under deploy', 'UDEPLOYER', ['deploy', 'roll back', 'abort']],
    ['a member of the approve group', 'ULEAD', ['approve', 'hold', 'abort']],
    ['a person named under approve', 'UAPPROVER', ['approve', 'hold', 'abort']],
    ['a member of the abort group', 'USUPPORT', ['abort']],
    ['a person named under abort', 'UABORTER', ['abort']],
    ['a member of the on-call group', 'UONCALL', ['abort']],
    ['the requester', 'UREQ', ['abort']],
    ['a stranger', 'UNOBODY', []],
    ['somebody who calls themselves like a group', 'S_DEVS', []],
  ])('%s may only: %s → %j', (_, user, allowed) => {
    expect(verbs.filter((verb) => ask(verb, user, members(NOW)).kind === 'allowed')).toEqual(
      verbs.filter((verb) => allowed.includes(verb)),
    );
  });

  it('tells a refused person who may', () => {
    expect(ask('approve', 'UNOBODY', members(NOW))).toEqual({ kind: 'denied', groups: ['S_APPROVERS', 'UAPPROVER'] });
    expect(ask('abort', 'UNOBODY', members(NOW))).toEqual({
      kind: 'denied',
      groups: ['UREQ', 'S_DEVS', 'UDEPLOYER', 'S_APPROVERS', 'UAPPROVER', 'S_SUPPORT', 'UABORTER', 'S_ONCALL'],
    });
  });

  it('gives the requester of a command line no rights in Slack', () => {
    const cli: Actor = { kind: 'cli', user: 'UREQ', name: 'req' };
    expect(mayDo('abort', 'UREQ', { access, requester: cli }, members(NOW), NOW).kind).toBe('denied');
    expect(whoMay('abort', access, { kind: 'system' })).not.toContain('UREQ');
  });
});

describe('membership that is old or not there', () => {
  const minute = 60_000;
  it.each([
    ['60 s old', members(NOW - minute), 'deploy', 'UDEV', 'allowed'],
    ['older than 60 s', members(NOW - minute - 1), 'deploy', 'UDEV', 'unknown'],
    ['older than 60 s', members(NOW - minute - 1), 'approve', 'ULEAD', 'unknown'],
    ['older than 60 s', members(NOW - minute - 1), 'roll back', 'UDEV', 'unknown'],
    ['older than 60 s', members(NOW - minute - 1), 'abort', 'UDEV', 'allowed'],
    ['from the future', members(NOW + 1), 'approve', 'ULEAD', 'unknown'],
    ['from the future', members(NOW + 1), 'abort', 'ULEAD', 'allowed'],
    ['from another day', members(0), 'abort', 'UONCALL', 'allowed'],
    ['from another day, of a stranger', members(0), 'abort', 'UNOBODY', 'denied'],
    ['never read', {}, 'deploy', 'UDEV', 'unknown'],
    ['never read', {}, 'abort', 'UDEV', 'unknown'],
    ['never read, of a person who is named', {}, 'deploy', 'UDEPLOYER', 'allowed'],
    ['never read, of the requester', {}, 'abort', 'UREQ', 'allowed'],
    [
      'never read, but another group has the person',
      { S_ONCALL: { users: ['UONCALL'], atMs: 0 } },
      'abort',
      'UONCALL',
      'allowed',
    ],
  ] as const)('%s: %j %s by %s is %s', (_, membership, verb, user, kind) => {
    expect(ask(verb, user, membership).kind).toBe(kind);
  });

  it('names the groups that could not be read', () => {
    const partly: Membership = { S_DEVS: { users: [], atMs: NOW }, S_SUPPORT: undefined };
    expect(ask('deploy', 'UDEV', {})).toEqual({ kind: 'unknown', groups: ['S_DEVS'] });
    expect(ask('abort', 'UNOBODY', partly)).toEqual({
      kind: 'unknown',
      groups: ['S_APPROVERS', 'S_SUPPORT', 'S_ONCALL'],
    });
  });

  it('allows nobody where nobody is named', () => {
    const closed = { ...access, deploy: [], approve: [] };
    expect(mayDo('deploy', 'UDEV', { access: closed, requester: null }, members(NOW), NOW)).toEqual({
      kind: 'denied',
      groups: [],
    });
  });
});
