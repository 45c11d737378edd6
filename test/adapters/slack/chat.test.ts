import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Outgoing } from '../../../src/core/event.ts';
import type { Rollout } from '../../../src/core/rollout.ts';
import type { FakeSlack } from '../../support/fake-slack/index.ts';
import { bo, gate, plan, rollout, startAdapter, system, T0, waiting } from './support.ts';

let bench: Awaited<ReturnType<typeof startAdapter>>;
let fake: FakeSlack;
const png = new Uint8Array([137, 80, 78, 71]);

beforeEach(async () => {
  bench = await startAdapter({
    chart: async () => ({ png, alt: 'success rate: canary 99.9%, stable 99.97%' }),
    fallbackChannel: 'general',
  });
  fake = bench.fake;
});
afterEach(() => {
  vi.useRealTimers();
  return bench.stop();
});

const withMessages = (state: Rollout, messages: Rollout['messages']): Rollout => ({ ...state, messages });

async function shown(state: Rollout, key: string): Promise<string> {
  const sent = await bench.chat.show(state, { key });
  if (sent.kind !== 'sent') throw new Error(`${key} was not sent: ${JSON.stringify(sent)}`);
  return sent.ts;
}

/** Root and gate in the channel, and the rollout that knows them. */
async function posted(state: Rollout = waiting()): Promise<Rollout> {
  const root = await shown(state, 'root');
  const asked = await shown(withMessages(state, { root }), 'gate:1');
  return withMessages(state, { root, 'gate:1': asked });
}

describe('showing', () => {
  it('posts the root in the channel, the rest in its thread, and marks them', async () => {
    const state = await posted();
    expect(fake.roots()).toHaveLength(1);
    expect(fake.thread()).toHaveLength(1);
    expect(fake.thread()[0]).toMatchObject({
      thread: state.messages.root,
      broadcast: false,
      metadata: { event_type: 'sluice_message', event_payload: { rollout: 'world-7k2q9x', key: 'gate:1' } },
    });
  });

  it('edits what is there, with a link to the open gate', async () => {
    const state = await posted();
    expect(await shown(state, 'root')).toBe(state.messages.root);
    expect(fake.roots()).toHaveLength(1);
    expect(fake.buttons(fake.root())).toEqual(['Open gate', 'Abort']);
    expect(JSON.stringify(fake.root()?.blocks)).toContain('https://acme.example/archives/C0DEPLOYS/p');
  });

  it('takes back what stands twice, and leaves the rest', async () => {
    const state = await posted();
    const twice = await shown(withMessages(state, { root: state.messages.root ?? '' }), 'gate:1');
    await bench.chat.retract(state, twice);
    expect(fake.thread().map(({ ts }) => ts)).toEqual([state.messages['gate:1']]);
    fake.fail({ kind: 'error', error: 'cant_delete_message' }, { method: 'chat.delete' });
    await bench.chat.retract(state, twice);
  });

  it('takes the buttons away with the decision', async () => {
    const state = await posted();
    const decided = gate({
      approvals: [{ actor: bo, at: T0, reason: null }],
      decision: { kind: 'approved', actor: bo, at: T0 },
    });
    await shown({ ...state, phase: { kind: 'stepping', stage: 'scale', since: T0 }, gates: [decided] }, 'gate:1');
    expect(fake.buttons(fake.thread()[0])).toEqual([]);
    expect(fake.thread()[0]?.text).toContain('Approved by @bo');
  });

  it.each([
    [
      'halted',
      'gate:1',
      rollout({ kind: 'halted', since: T0, why: 'not Ready', kept: false }, { gates: [gate({ kind: 'halted' })] }),
    ],
    [
      'an abort that nobody asked for',
      'result',
      rollout({ kind: 'aborted', since: T0, cause: { kind: 'expired', gate: 'x.1' }, from: 'at 10%' }),
    ],
  ])('broadcasts %s', async (_, key, state) => {
    const root = await shown(state, 'root');
    await shown(withMessages(state, { root }), key);
    expect(fake.thread()[0]?.broadcast).toBe(true);
  });

  it('does not broadcast what a person did', async () => {
    const state = rollout({
      kind: 'aborted',
      since: T0,
      cause: { kind: 'person', actor: bo, reason: null },
      from: 'at 10%',
    });
    const root = await shown(state, 'root');
    await shown(withMessages(state, { root }), 'result');
    expect(fake.thread()[0]?.broadcast).toBe(false);
  });

  it('puts the picture into the thread, with words for those who cannot see it', async () => {
    const state = await posted();
    const file = await shown(state, 'chart:1');
    expect(fake.thread().at(-1)?.files).toEqual([
      { id: file, name: 'world-7k2q9x-chart-1.png', alt: 'success rate: canary 99.9%, stable 99.97%', bytes: 4 },
    ]);
    await shown(withMessages(state, { ...state.messages, 'chart:1': file }), 'chart:1');
    expect(fake.thread()).toHaveLength(2);
  });
});

describe('when Slack does not do as asked', () => {
  it('waits as long as Slack says', async () => {
    fake.fail({ kind: 'rate limit', seconds: 7 }, { times: 1 });
    expect(await bench.chat.show(waiting(), { key: 'root' })).toEqual({ kind: 'later', ms: 7000 });
    expect(fake.roots()).toEqual([]);
  });

  it.each([
    [{ kind: 'down' } as const],
    [{ kind: 'unknown outcome' } as const],
    [{ kind: 'error', error: 'internal_error' } as const],
  ])('throws on a fault, after one try (%j)', async (fault) => {
    fake.fail(fault, { method: 'chat.postMessage' });
    await expect(bench.chat.show(waiting(), { key: 'root' })).rejects.toThrow('Slack did not answer');
    expect(fake.calls.filter(({ method }) => method === 'chat.postMessage')).toHaveLength(1);
  });

  it('finds a message whose outcome was unknown', async () => {
    const asked = { ...waiting(), requestedAt: Date.now() };
    fake.fail({ kind: 'unknown outcome' }, { times: 1 });
    await bench.chat.show(asked, { key: 'root' }).catch(() => undefined);
    expect(await bench.chat.find(asked, 'root')).toBe(fake.root()?.ts);
    const state = withMessages(asked, { root: fake.root()?.ts ?? '' });
    fake.fail({ kind: 'unknown outcome' }, { times: 1, method: 'chat.postMessage' });
    await bench.chat.show(state, { key: 'gate:1' }).catch(() => undefined);
    expect(await bench.chat.find(state, 'gate:1')).toBe(fake.thread()[0]?.ts);
    expect(await bench.chat.find(state, 'result')).toBeNull();
  });

  it.each(['root', 'gate:1'])('finds a second %s, and not the one that is known', async (key) => {
    const asked = { ...waiting(), requestedAt: Date.now() };
    const root = await shown(asked, 'root');
    const first = key === 'root' ? root : await shown(withMessages(asked, { root }), key);
    const state = withMessages(asked, { root, [key]: first });
    expect(await bench.chat.findOther(state, key)).toBeNull();
    const second = await shown(withMessages(asked, key === 'root' ? {} : { root }), key);
    expect(await bench.chat.findOther(state, key)).toBe(second);
    expect(await bench.chat.findOther(asked, key)).toBeNull();
  });

  it('finds the message of a rollout that Redis had lost, though it was asked for long before', async () => {
    const found = { ...waiting(), requestedAt: Date.now() + 3_600_000 };
    const ts = await shown(found, 'root');
    expect(await bench.chat.find(found, 'root')).toBeNull();
    const recovered: Rollout = { ...found, plan: plan({ requester: system }) };
    expect(await bench.chat.find(recovered, 'root')).toBe(ts);
  });

  it('looks through the last 1,000 messages for one of a rollout that Redis had lost, and no further', async () => {
    const recovered: Rollout = { ...waiting(), plan: plan({ requester: system }) };
    const chatter = (count: number) => {
      const [sample] = fake.roots();
      if (!sample) throw new Error('nothing was posted');
      for (let n = 0; n < count; n++)
        fake.workspace.messages.push({ ...sample, ts: `${Date.now() / 1000 + n}`, metadata: null });
    };
    const root = await shown(recovered, 'root');
    chatter(999);
    expect(await bench.chat.find(recovered, 'root')).toBe(root);
    chatter(1);
    const before = fake.calls.length;
    expect(await bench.chat.find(recovered, 'root')).toBeNull();
    const calls = fake.calls.slice(before).filter(({ method }) => method === 'conversations.history');
    expect(calls.map(({ args }) => args.channel)).toEqual([...Array(5).fill('C0DEPLOYS'), 'C0GENERAL']);
    // What was posted instead is found by who comes after a crash, and not posted a third time.
    const again = await shown(recovered, 'root');
    expect(await bench.chat.find(recovered, 'root')).toBe(again);
  });

  it('says how long Slack wants not to be asked', async () => {
    fake.fail({ kind: 'rate limit', seconds: 30 }, { method: 'conversations.history' });
    await expect(bench.chat.find(waiting(), 'root')).rejects.toMatchObject({ retryAfterMs: 30_000 });
  });

  it('finds what stands in the fallback channel, there', async () => {
    const state = { ...waiting(), plan: plan({ channel: 'C0NOWHERE' }), requestedAt: Date.now() };
    const root = await shown(state, 'root');
    expect(root).toMatch(/^C0GENERAL\//);
    expect(await bench.chat.find(state, 'root')).toBe(root);
    const started = withMessages(state, { root });
    const asked = await shown(started, 'gate:1');
    expect(await bench.chat.find(started, 'gate:1')).toBe(asked);
  });

  it('finds the gate in the fallback channel of a rollout whose own was archived meanwhile', async () => {
    const state = { ...waiting(), requestedAt: Date.now() };
    const started = withMessages(state, { root: await shown(state, 'root') });
    const [deploys] = fake.workspace.channels;
    if (deploys) deploys.archived = true;
    const asked = await shown(started, 'gate:1');
    expect(asked).toMatch(/^C0GENERAL\//);
    expect(await bench.chat.find(started, 'gate:1')).toBe(asked);
    expect(await bench.chat.find(started, 'result')).toBeNull();
  });

  it('posts and finds in the channel that a rollout knows by its name only, since Slack was away when it was found', async () => {
    const state = { ...waiting(), plan: plan({ channel: 'deploys' }), requestedAt: Date.now() };
    const root = await shown(state, 'root');
    expect(root).toMatch(/^C0DEPLOYS\//);
    expect(await bench.chat.find(state, 'root')).toBe(root);
    await shown(withMessages(state, { root }), 'result');
    expect(fake.thread()).toHaveLength(1);
  });

  it.each<[string, string, object]>([
    ['the channel it knows by id', 'C0DEPLOYS', { channel: 'C0DEPLOYS' }],
    ['the channel it knows by its name only', 'C0DEPLOYS', { channel: 'deploys' }],
    ['the name where Slack knows none', 'nowhere', { channel: 'nowhere' }],
  ])('a rollout is at home in %s', async (_, home, more) => {
    expect(await bench.chat.home({ ...waiting(), plan: plan(more) })).toBe(home);
  });

  it('a rollout is at home where its first message stands', async () => {
    const state = { ...waiting(), plan: plan({ channel: 'C0NOWHERE' }) };
    expect(await bench.chat.home(withMessages(state, { root: await shown(state, 'root') }))).toBe('C0GENERAL');
  });

  it.each([
    ['C0NOWHERE', '<#C0NOWHERE>'],
    ['nowhere', '#nowhere'],
  ])('says in the fallback channel that %s cannot be used', async (channel, words) => {
    await shown({ ...waiting(), plan: plan({ channel }) }, 'root');
    const [there] = fake.workspace.messages;
    expect(there?.channel).toBe('C0GENERAL');
    expect(JSON.stringify(there?.blocks)).toContain(`Shown here because ${words} cannot be used (channel_not_found).`);
  });

  it('posts nothing twice where the fallback channel is its own, known by its name only', async () => {
    const state = { ...waiting(), plan: plan({ channel: 'general' }) };
    const root = await shown(state, 'root');
    fake.fail({ kind: 'error', error: 'is_archived' }, { method: 'chat.postMessage' });
    const before = fake.calls.length;
    const sent = await bench.chat.show(withMessages(state, { root }), { key: 'gate:1' });
    expect(sent).toEqual({ kind: 'impossible', error: 'is_archived' });
    expect(fake.calls.slice(before).filter(({ method }) => method === 'chat.postMessage')).toHaveLength(1);
  });

  it('finds nothing without the scope to look', async () => {
    fake.fail({ kind: 'error', error: 'missing_scope' }, { method: 'conversations.history' });
    expect(await bench.chat.find(waiting(), 'root')).toBeNull();
  });

  it.each<[string, Outgoing, object]>([
    ['a note', { key: 'note:9', note: JSON.parse('{ "kind": "made up" }') }, {}],
    ['a kind of message', { key: 'digest:1' }, {}],
    ['a phase', { key: 'root' }, { phase: { kind: 'resting', since: T0 } }],
    ['a kind of gate', { key: 'gate:1' }, { gates: [{ ...gate(), kind: 'resting' }] }],
  ])('leaves %s that only a newer Sluice knows to that one, and posts nothing', async (_, outgoing, newer) => {
    const state = withMessages(waiting(), { root: await shown(waiting(), 'root') });
    const before = fake.calls.length;
    await expect(bench.chat.show({ ...state, ...newer }, outgoing)).rejects.toThrow(/newer Sluice has to show/);
    expect(fake.calls.slice(before).filter(({ method }) => method.startsWith('chat.post'))).toEqual([]);
  });

  it('posts a deleted root once more, and the thread goes on under it', async () => {
    const state = await posted();
    const old = fake.root();
    if (old) fake.remove(old);
    const ts = await shown(state, 'root');
    expect(ts).not.toBe(state.messages.root);
    expect(await shown(state, 'root')).toBe(ts);
    expect(fake.roots()).toHaveLength(1);
    await shown(state, 'result');
    expect(fake.thread()[0]?.thread).toBe(ts);
  });

  it('drops the edit of a deleted message that nobody waits for', async () => {
    const decided = gate({ decision: { kind: 'approved', actor: bo, at: T0 } });
    const state = await posted();
    const message = fake.thread()[0];
    if (message) fake.remove(message);
    const sent = await bench.chat.show(
      { ...state, phase: { kind: 'stepping', stage: 'bake', since: T0 }, gates: [decided] },
      { key: 'gate:1' },
    );
    expect(sent).toEqual({ kind: 'impossible', error: 'message_not_found' });
  });

  it('uses fields from then on when the workspace takes no tables', async () => {
    fake.fail({ kind: 'invalid block', block: 'table' });
    const state = await posted();
    expect(fake.thread()[0]?.blocks.map(({ type }) => type)).not.toContain('table');
    expect(fake.words(fake.thread()[0])).toContain('p99 latency');
    const before = fake.calls.length;
    await shown(state, 'gate:1');
    expect(fake.calls.slice(before).filter(({ method }) => method === 'chat.update')).toHaveLength(1);
  });

  it('keeps the buttons even when every block is refused', async () => {
    fake.fail({ kind: 'invalid block', block: 'context' });
    await posted();
    expect(fake.buttons(fake.thread()[0])).toEqual(['Approve 50%', 'Abort', 'Hold 15 min']);
  });

  it('shows a gate in the fallback channel when its own is archived, and edits it there', async () => {
    const root = await shown(waiting(), 'root');
    const [deploys] = fake.workspace.channels;
    if (deploys) deploys.archived = true;
    const state = withMessages(waiting(), { root });
    const asked = await shown(state, 'gate:1');
    const elsewhere = fake.root('C0GENERAL');
    expect(fake.buttons(elsewhere)).toContain('Approve 50%');
    expect(fake.words(elsewhere)).toContain('is_archived');
    const decided = gate({
      approvals: [{ actor: bo, at: T0, reason: null }],
      decision: { kind: 'approved', actor: bo, at: T0 },
    });
    await shown({ ...withMessages(state, { root, 'gate:1': asked }), gates: [decided] }, 'gate:1');
    expect(fake.buttons(fake.root('C0GENERAL'))).toEqual([]);
  });

  it('keeps a whole rollout together in the fallback channel', async () => {
    const state = { ...waiting(), plan: plan({ channel: 'C0RANDOM' }) };
    const root = await shown(state, 'root');
    const asked = await shown(withMessages(state, { root }), 'gate:1');
    const known = withMessages(state, { root, 'gate:1': asked });
    expect(await shown(known, 'gate:1')).toBe(asked);
    const [start] = fake.roots('C0GENERAL');
    expect(fake.thread(start)).toHaveLength(1);
    expect(await bench.chat.permalink('C0RANDOM', root)).toContain('C0GENERAL');
  });

  it('says impossible where there is no other way', async () => {
    const state = { ...waiting(), plan: plan({ channel: 'C0NOWHERE' }) };
    const general = fake.workspace.channels.find(({ name }) => name === 'general');
    if (general) general.members = [];
    expect(await bench.chat.show(state, { key: 'root' })).toEqual({ kind: 'impossible', error: 'channel_not_found' });
  });
});

describe('telling one person', () => {
  const to = { user: 'U0BO', channel: 'C0DEPLOYS', thread: null, responseUrl: null };

  it('answers where they asked, seen by nobody else', async () => {
    await bench.chat.tell(to, { kind: 'not a member' });
    expect(fake.ephemerals('bo')).toEqual([expect.stringContaining('full members')]);
    expect(fake.ephemerals('ana')).toEqual([]);
  });

  it('writes to them directly when they cannot be reached in the channel', async () => {
    await bench.chat.tell({ ...to, channel: 'C0NOWHERE' }, { kind: 'not a member' });
    expect(fake.ephemerals('bo')).toHaveLength(1);
    expect(fake.calls.map(({ method }) => method)).toContain('conversations.open');
  });

  it('unfolds nothing, wherever it is posted', async () => {
    await bench.chat.tell({ ...to, channel: 'C0NOWHERE' }, { kind: 'not a member' });
    await bench.chat.show(waiting(), { key: 'root' });
    expect(fake.violations.filter(({ what }) => /unfurl/.test(what))).toEqual([]);
  });

  it.each([
    'http://127.0.0.1:1/steal',
    'https://hooks.slack.com.evil.example/x',
    'http://hooks.slack.com/x',
    'file:///etc/passwd',
    'nonsense',
  ])('never calls %s', async (responseUrl) => {
    await bench.chat.tell({ ...to, responseUrl }, { kind: 'not a member' });
    expect(fake.ephemerals('bo')).toHaveLength(1);
    expect(bench.log.lines.filter(({ fields }) => fields.way === 'response_url')).toEqual([]);
  });

  it('never throws', async () => {
    fake.fail({ kind: 'down' });
    await bench.chat.tell(to, { kind: 'not a member' });
    expect(bench.log.lines.at(-1)?.message).toBe('answer not delivered');
  });
});

describe('looking up', () => {
  it.each(['deploys', '#deploys', 'C0DEPLOYS'])('the channel %s', async (name) => {
    expect(await bench.chat.channel(name)).toEqual({ ok: true, id: 'C0DEPLOYS' });
  });

  it.each([
    ['random', '/invite @sluice'],
    ['nowhere', 'no such channel'],
    ['C0NOWHERE', 'no such channel'],
  ])('the channel %s says what to do (%s)', async (name, remedy) => {
    expect(await bench.chat.channel(name)).toEqual({ ok: false, problem: expect.stringContaining(remedy) });
  });

  it('a channel sees the invitation at once', async () => {
    await bench.chat.channel('random');
    fake.workspace.channels.find(({ name }) => name === 'random')?.members.push('U0SLUICE');
    expect(await bench.chat.channel('random')).toEqual({ ok: true, id: 'C0RANDOM' });
  });

  it('an archived channel names the remedy', async () => {
    const [deploys] = fake.workspace.channels;
    if (deploys) deploys.archived = true;
    expect(await bench.chat.channel('deploys')).toEqual({ ok: false, problem: expect.stringContaining('unarchive') });
  });

  it('the list of channels is read once', async () => {
    await bench.chat.channel('deploys');
    await bench.chat.channel('general');
    expect(fake.calls.filter(({ method }) => method === 'conversations.list')).toHaveLength(1);
  });

  it('the members of a group, or why not', async () => {
    expect(await bench.chat.groupMembers('S_APPROVERS')).toEqual({ ok: true, users: ['U0BO', 'U0CY'] });
    expect(await bench.chat.groupMembers('S_NONE')).toEqual({ ok: false, error: 'no_such_subteam' });
    fake.fail({ kind: 'down' });
    expect(await bench.chat.groupMembers('S_DEVS')).toMatchObject({ ok: false });
  });

  it('full members only', async () => {
    fake.workspace.people.cy.deleted = true;
    fake.workspace.people.dee.team = 'T-OTHER';
    const found = await Promise.all(
      ['U0BO', 'U0CY', 'U0DEE', 'U0ELI', 'U0NOBODY'].map((user) => bench.chat.isFullMember(user)),
    );
    expect(found).toEqual([true, false, false, false, false]);
  });

  it('asks Slack once a minute who is a full member and whether a channel is there, however many want to know', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'] });
    const asked = (method: string) => fake.calls.filter((call) => call.method === method).length;
    const look = () => Promise.all([bench.chat.isFullMember('U0BO'), bench.chat.channel('C0DEPLOYS')]);
    await Promise.all([look(), look()]);
    await look();
    expect([asked('users.info'), asked('conversations.info')]).toEqual([1, 1]);
    fake.workspace.people.bo.deleted = true;
    vi.advanceTimersByTime(60_000);
    // Somebody corrects the clock of the machine.
    vi.setSystemTime(Date.now() - 3_600_000);
    expect(await bench.chat.isFullMember('U0BO')).toBe(false);
  });

  it('asks again at once about somebody who was none, or when Slack did not answer', async () => {
    fake.workspace.people.bo.deleted = true;
    expect(await bench.chat.isFullMember('U0BO')).toBe(false);
    fake.workspace.people.bo.deleted = false;
    fake.fail({ kind: 'down' }, { method: 'users.info', times: 1 });
    await expect(bench.chat.isFullMember('U0BO')).rejects.toThrow();
    expect(await bench.chat.isFullMember('U0BO')).toBe(true);
  });

  it('throws when Slack does not say who somebody is', async () => {
    fake.fail({ kind: 'down' });
    await expect(bench.chat.isFullMember('U0BO')).rejects.toThrow('look up user U0BO');
  });

  it('a permalink once', async () => {
    const { messages } = await posted();
    const links = [
      await bench.chat.permalink('C0DEPLOYS', messages.root ?? ''),
      await bench.chat.permalink('C0DEPLOYS', messages.root ?? ''),
    ];
    expect(new Set(links).size).toBe(1);
    expect(await bench.chat.permalink('C0DEPLOYS', '1.1')).toBeNull();
  });
});
