import { describe, expect, it } from 'vitest';
import { say } from '../../../src/adapters/slack/answers.ts';
import type { Answer } from '../../../src/app/answers.ts';
import type { CommandError } from '../../../src/core/command.ts';
import type { Rejection } from '../../../src/core/event.ts';
import type { Rollout } from '../../../src/core/rollout.ts';
import { writesOf } from '../../../src/core/writes.ts';
import { checkMessage } from '../../support/fake-slack/limits.ts';
import { hurts } from '../../support/fake-slack/reading.ts';
import { ana, bo, gate, inPlace, plan, rollout, T0, waiting } from './support.ts';

const link = 'https://acme.example/archives/C0DEPLOYS/p17';
const running = waiting();
const open = gate();

const errors: readonly CommandError[] = [
  { kind: 'missing service', usage: 'abort <service|id> [--reason "…"]' },
  { kind: 'missing version', service: 'abrot', near: 'abort', usage: '<service> <version> [strategy]' },
  { kind: 'missing version', service: null, near: null, usage: 'rollback <service> [to <version>]' },
  { kind: 'extra word', given: 'redeploy', near: '--redeploy', usage: '<service> <version> [strategy]' },
  { kind: 'unquoted value', flag: '--reason', given: 'login' },
  { kind: 'unknown flag', given: '--dryrun', near: '--dry-run', known: ['--reason', '--dry-run', '--redeploy'] },
  { kind: 'duplicate flag', flag: '--reason' },
  { kind: 'missing value', flag: '--reason' },
  { kind: 'unexpected value', flag: '--dry-run', given: 'yes' },
  { kind: 'unclosed quote', given: '"fix login' },
  { kind: 'control character', code: 'U+202E' },
];

const unreadable =
  'rollout other-4d5e6f cannot be read in Redis (Unexpected end of JSON input): delete it there (DEL a b c), and Sluice finds it by its marks in the cluster and aborts it';
const rejections: readonly (readonly [Extract<Answer, { kind: 'rejected' }>['verb'], Rejection])[] = [
  ['approve', { kind: 'ended' }],
  ['approve', { kind: 'stale' }],
  ['roll back', { kind: 'stale' }],
  ['approve', { kind: 'gate closed', gate: null }],
  [
    'approve',
    {
      kind: 'gate closed',
      gate: gate({
        approvals: [{ actor: bo, at: T0, reason: null }],
        decision: { kind: 'approved', actor: bo, at: T0 },
      }),
    },
  ],
  ['approve', { kind: 'four eyes' }],
  ['approve', { kind: 'already approved', at: T0 }],
  ['approve', { kind: 'needs reason' }],
  ['hold', { kind: 'hold limit' }],
  ['approve', { kind: 'not acceptable', low: 0, high: 50, found: 80 }],
  ['approve', { kind: 'not acceptable', low: 0, high: 50, found: null }],
  ['abort', { kind: 'already aborting' }],
  ['abort', { kind: 'already promoted' }],
];

const tried = plan({ reason: 'fix login', warnings: ['NetworkPolicy hello/world selects stable only'] });

const answers: readonly Answer[] = [
  {
    kind: 'help',
    services: [
      { name: 'world', strategies: ['canary', 'careful'] },
      { name: 'hello', strategies: ['canary'] },
    ],
  },
  { kind: 'help', services: [] },
  ...errors.map((error) => ({ kind: 'command error', error }) as const),
  { kind: 'unknown service', given: 'wrold', near: 'world', known: ['hello', 'world'] },
  { kind: 'bad version', service: 'world', given: 'v2;rm', pattern: '^v[0-9][\\w.-]*$', near: 'v2' },
  { kind: 'unknown strategy', given: 'canery', near: 'canary', known: ['canary', 'careful'] },
  { kind: 'already live', service: 'world', version: 'v2' },
  { kind: 'busy', holder: running, link },
  { kind: 'busy', holder: running, link: null },
  {
    kind: 'refused',
    service: 'world',
    version: 'v2',
    refusals: [
      'HTTPRoute hello/world: not found; create it, or correct traffic.route of world',
      '#deploys: the bot is not in this channel',
    ],
  },
  {
    kind: 'refused',
    service: 'world',
    version: 'the version before',
    isRollback: true,
    refusals: ['Deployment hello/world is paused: kubectl rollout resume it first'],
  },
  { kind: 'not allowed', verb: 'approve', service: 'world', groups: ['S_APPROVERS', 'U0CY'] },
  { kind: 'not allowed', verb: 'deploy', service: 'world', groups: ['S_DEVS'] },
  { kind: 'not allowed', verb: 'abort', service: 'world', groups: [] },
  { kind: 'membership unknown', verb: 'approve', service: 'world', error: 'S_APPROVERS' },
  { kind: 'membership unknown', verb: 'abort', service: 'world', error: 'S_APPROVERS' },
  { kind: 'not a member' },
  { kind: 'dry run', plan: tried, writes: writesOf(tried) },
  { kind: 'dry run', plan: inPlace(), writes: writesOf(inPlace()) },
  {
    kind: 'history',
    service: 'world',
    live: 'v1',
    releases: [
      { version: 'v1', at: T0, rollout: 'world-000003', by: ana, rolledBack: true },
      { version: 'v2', at: T0 - 3_600_000, rollout: 'world-000002', by: bo },
      { version: 'v1', at: T0 - 7_200_000, rollout: '' },
    ],
    takes: ['v2'],
    ...{ revisions: [], takesRevisions: false },
  },
  { kind: 'history', service: 'world', live: null, releases: [], takes: [], revisions: [], takesRevisions: false },
  {
    kind: 'history',
    service: 'world',
    live: 'v2',
    releases: [],
    takes: [],
    revisions: [
      { revision: 12, version: 'v2', cause: null, isLive: true },
      { revision: 11, version: 'registry.test/world@sha256:abc', cause: 'kubectl set image <!here>', isLive: false },
    ],
    takesRevisions: true,
  },
  {
    kind: 'history',
    service: 'world',
    live: '7',
    releases: [{ version: '7', at: T0, rollout: 'world-000003', by: ana }],
    takes: [],
    revisions: [{ revision: 3, version: '7', cause: null, isLive: true }],
    takesRevisions: false,
  },
  { kind: 'started', rollout: running, link },
  { kind: 'started', rollout: { ...running, plan: plan({ kind: 'rollback', version: 'v1', from: 'v2' }) }, link: null },
  { kind: 'status', rollouts: [{ rollout: running, link }], unreadable: [], more: 0, service: 'world', live: 'v1' },
  { kind: 'status', rollouts: [], unreadable: [], more: 0, service: 'world', live: null },
  { kind: 'status', rollouts: [], unreadable: [unreadable], more: 0, service: 'world', live: 'v1' },
  {
    kind: 'status',
    rollouts: [
      { rollout: running, link },
      { rollout: rollout({ kind: 'succeeded', since: T0 }), link: null },
    ],
    unreadable: [unreadable],
    more: 7,
    service: null,
    live: null,
  },
  { kind: 'status', rollouts: [], unreadable: [], more: 0, service: null, live: null },
  { kind: 'no rollout', given: 'world-000000' },
  { kind: 'unreadable', problem: unreadable },
  { kind: 'nothing to roll back to', service: 'world', given: null, known: [] },
  { kind: 'nothing to roll back to', service: 'world', given: 'v7', known: ['v1', 'v0'] },
  ...rejections.map(([verb, rejection]) => ({ kind: 'rejected', verb, rejection, rollout: running }) as const),
  {
    kind: 'approved',
    gate: gate({ plan: { ...open.plan, approvals: 2 }, approvals: [{ actor: bo, at: T0, reason: null }] }),
    rollout: running,
  },
  { kind: 'approved', gate: gate({ approvals: [{ actor: bo, at: T0, reason: null }] }), rollout: running },
  { kind: 'held', gate: gate({ heldMs: 900_000 }) },
  { kind: 'noted' },
  { kind: 'aborting', rollout: running },
  { kind: 'aborted blind', service: 'world', id: 'world-7k2q9x' },
  { kind: 'demoted blind', service: 'world', id: 'world-7k2q9x' },
  { kind: 'promoted blind', service: 'world' },
  {
    kind: 'blind abort failed',
    service: 'world',
    id: 'world-7k2q9x',
    error: 'connect ECONNREFUSED',
    command: 'kubectl -n hello edit httproute world',
  },
  { kind: 'not recorded' },
  { kind: 'inbox full' },
  { kind: 'kept' },
  { kind: 'replayed' },
  { kind: 'copied button', link },
  { kind: 'copied button', link: null },
  { kind: 'altered button' },
  { kind: "another installation's button", given: 'staging', own: 'default' },
  { kind: 'too many', seconds: 3 },
  { kind: 'fault', reference: 'a1b2c3d4' },
];

it('reads well', async () => {
  const pages = answers.map((answer) => `=== ${[answer.kind, ...detailOf(answer)].join(', ')}\n${say(answer)}`);
  await expect(`${pages.join('\n\n')}\n`).toMatchFileSnapshot('answers.txt');
});

function detailOf(answer: Answer): string[] {
  if (answer.kind === 'rejected') return [answer.verb, answer.rejection.kind];
  return answer.kind === 'command error' ? [answer.error.kind] : [];
}

it.each(answers.map((answer) => [[answer.kind, ...detailOf(answer)].join(', '), answer] as const))(
  '%s is taken by Slack and short',
  (_, answer) => {
    const text = say(answer);
    expect(checkMessage({ text }, 'update')).toBeNull();
    expect(text.length).toBeLessThan(1500);
  },
);

describe('an older Sluice, while a newer one runs too, says in neutral words', () => {
  const newer: Pick<Rollout, 'phase'> = JSON.parse(
    `{ "phase": { "kind": "aborted", "since": ${T0}, "cause": { "kind": "made up" }, "from": "at 10%" } }`,
  );
  const unknown = { ...running, ...newer, gates: [] };
  const state = 'aborted, in a way that only a newer Sluice has words for; see the thread';
  const rejected = (kind: string): Answer => ({
    ...{ kind: 'rejected', verb: 'approve', rollout: unknown },
    rejection: JSON.parse(`{ "kind": "${kind}", "gate": null }`),
  });

  it.each<[string, Answer, string]>([
    ['that a rollout has ended', rejected('ended'), `has ended (${state})`],
    ['that a rollout has moved on', rejected('stale'), `has moved on (${state})`],
    ['that a gate is closed', rejected('gate closed'), `No such gate is open. world v2: ${state}.`],
    ['that it aborts already', rejected('already aborting'), `aborting already: ${state}.`],
    ['why it refuses', rejected('made up'), `Only a newer Sluice has words for why. world v2: ${state}.`],
    ['who is busy', { kind: 'busy', holder: unknown, link }, state],
    ['what it was told to say', JSON.parse('{ "kind": "made up" }'), 'Only a newer Sluice has words for the answer'],
  ])('%s', (_, answer, words) => {
    expect(say(answer)).toContain(words);
  });

  it('what runs, and the others as ever', () => {
    const rollouts = [unknown, running].map((one) => ({ rollout: one, link: null }));
    const [first, second] = say({
      ...{ kind: 'status', rollouts, unreadable: [], more: 0, service: null, live: null },
    }).split('\n');
    expect(first).toContain(`• *world v2*: ${state}; by <@U0ANA>`);
    expect(second).toContain('waiting for approval at gate 2 of 4');
  });
});

/** Every string in the answer that came from outside. */
function hostile<T>(value: T, words: string): T;
function hostile(value: unknown, words: string): unknown {
  if (Array.isArray(value)) return value.map((item) => hostile(item, words));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => {
      const isForeign =
        typeof item === 'string' &&
        !['kind', 'verb', 'link', 'verdict', 'unit', 'onTimeout', 'stage', 'router'].includes(name);
      return [name, isForeign ? words : hostile(item, words)];
    }),
  );
}

describe('hostile words', () => {
  const words = ['x'.repeat(5000), '<!channel> <@U0BO> <https://evil.example|click> ``` \u202E\n&'.repeat(50)];
  it.each(
    answers.flatMap((answer) =>
      words.map((word) => [[answer.kind, ...detailOf(answer)].join(', '), answer, word] as const),
    ),
  )('in %s ping nobody and fit', (_, answer, word) => {
    const text = say(hostile(answer, word));
    expect(text.length).toBeLessThan(20_000);
    expect(hurts({ text: text.slice(0, 4000) })).toEqual([]);
    expect(text).not.toMatch(/<!channel|<@U0BO>|<https:\/\/evil|\u202E/);
  });
});
