/** Buttons that say something else than the bot wrote, or stand somewhere else than it posted them: refused, and told why. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clickOf } from '../../src/adapters/slack/payloads.ts';
import { THREADS } from '../../src/app/requests.ts';
import { openCorner, typed } from '../app/support.ts';
import { loaded, playTo, start } from '../contracts/store.ts';
import { aBot, atGate, clicked, GATE_TS, ROOT_TS } from './support.ts';

let corner: ReturnType<typeof openCorner>;
beforeEach(() => {
  corner = openCorner();
});
afterEach(() => corner.close());

const approve = (rollout: string, gate = `${rollout}.1`) => ({ action: 'approve', rollout, gate }) as const;

describe('Approve', () => {
  it("on the gate's own message counts", async () => {
    const { id, channel } = await atGate(corner.store, corner.env);
    const bot = aBot(corner.store);
    // The change shows itself in the gate.
    expect(await bot.ask(clicked(approve(id), { channel, ts: GATE_TS }))).toBeUndefined();
    expect((await loaded(corner.store, id)).rollout.gates[0]?.decision?.kind).toBe('approved');
  });

  it('counts before the bot has noted where the message is', async () => {
    const { id } = await start(corner.store, 'world', corner.env);
    await playTo(corner.store, id, (phase) => phase.kind === 'waiting');
    const bot = aBot(corner.store);
    await bot.ask(clicked(approve(id), { channel: 'C0DEPLOYS', ts: '1.1' }));
    expect((await loaded(corner.store, id)).rollout.gates[0]?.decision?.kind).toBe('approved');
  });

  it.each([
    ['in another channel', { channel: 'C0OTHER', ts: GATE_TS }],
    ['in another message of the thread', { channel: 'C0DEPLOYS', ts: '1700.9' }],
    ['in the root message', { channel: 'C0DEPLOYS', ts: ROOT_TS }],
  ])('%s is a copy', async (_, at) => {
    const { id, rollout } = await atGate(corner.store, corner.env);
    const bot = aBot(corner.store);
    const link = `https://slack.example/C0DEPLOYS/${GATE_TS}`;
    expect(await bot.ask(clicked(approve(id), at))).toEqual({ kind: 'copied button', link });
    expect((await loaded(corner.store, id)).rollout.version).toBe(rollout.version);
  });

  it.each([
    ['of another rollout', (id: string, other: string) => approve(id, `${other}.1`), 'rejected'],
    ['of a gate that is not there yet', (id: string) => approve(id, `${id}.2`), 'rejected'],
    ['of a rollout that is not there', () => approve('world-aaaaaa'), 'no rollout'],
    ['of a service that is not there', () => approve('moon-aaaaaa'), 'no rollout'],
    ['of no rollout', () => approve('../../etc'), 'no rollout'],
  ])('with the value %s has no effect', async (_, click, kind) => {
    const { id, rollout } = await atGate(corner.store, corner.env);
    const other = await atGate(corner.store, corner.env, 'other');
    const bot = aBot(corner.store);
    expect(await bot.ask(clicked(click(id, other.id)))).toMatchObject({ kind });
    expect((await loaded(corner.store, id)).rollout.version).toBe(rollout.version);
    expect((await loaded(corner.store, other.id)).rollout.version).toBe(other.rollout.version);
  });

  it('of a gate that was decided says by whom', async () => {
    const { id } = await atGate(corner.store, corner.env);
    await playTo(corner.store, id, (_, { gates }) => gates.length === 2);
    const answer = await aBot(corner.store).ask(clicked(approve(id)));
    expect(answer).toMatchObject({
      kind: 'rejected',
      rejection: { kind: 'gate closed', gate: { decision: { kind: 'approved', actor: { user: 'U0BO' } } } },
    });
  });
});

describe('Roll back', () => {
  it('on a copy of the result says so', async () => {
    const { id } = await atGate(corner.store, corner.env);
    const ended = await playTo(corner.store, id, (phase) => phase.kind === 'succeeded');
    const { store } = corner;
    const bot = aBot({
      ...store,
      load: async () => ({ ...ended, rollout: { ...ended.rollout, messages: { result: '1700.5' } } }),
    });
    const click = { action: 'rollback', rollout: id } as const;
    expect(await bot.ask(clicked(click, { channel: 'C0DEPLOYS', ts: '1.1' }))).toMatchObject({ kind: 'copied button' });
  });
});

describe('Abort', () => {
  const abort = (rollout: string, service = 'world', env = 'test') =>
    ({ action: 'abort', rollout, env, service }) as const;

  it('counts wherever its button stands', async () => {
    const { id } = await atGate(corner.store, corner.env);
    const bot = aBot(corner.store);
    await bot.ask(clicked(abort(id), { channel: 'C0OTHER', ts: '1.1' }));
    expect(bot.aborted).toEqual([id]);
  });

  it("of one service's rollout with the rights of another has no effect", async () => {
    const { id } = await atGate(corner.store, corner.env);
    const bot = aBot(corner.store);
    expect(await bot.ask(clicked(abort(id, 'other')))).toEqual({ kind: 'altered button' });
    expect(bot.aborted).toEqual([]);
  });

  it("of another installation's button has no effect", async () => {
    const { id } = await atGate(corner.store, corner.env);
    const bot = aBot(corner.store);
    expect(await bot.ask(clicked(abort(id, 'world', 'production')))).toEqual({
      kind: "another installation's button",
      given: 'production',
      own: 'test',
    });
    expect(bot.aborted).toEqual([]);
  });
});

describe('a value that this version does not write', () => {
  const good = { rollout: 'world-aaaaaa', gate: 'world-aaaaaa.1' };
  it.each([
    ['nothing', undefined],
    ['no JSON', '{"rollout":'],
    ['another type', '"world-aaaaaa"'],
    ['null', 'null'],
    ['a list', '[{"rollout":"world-aaaaaa","gate":"world-aaaaaa.1"}]'],
    ['a number for an id', JSON.stringify({ ...good, gate: 1 })],
    ['a field too few', JSON.stringify({ rollout: 'world-aaaaaa' })],
    ['a field too many', JSON.stringify({ ...good, approvals: 0 })],
    ['a prototype', '{"rollout":"world-aaaaaa","gate":"world-aaaaaa.1","__proto__":{"user":"U0CY"}}'],
  ])('%s is no button', (_, value) => {
    expect(clickOf('approve', value)).toBeNull();
    expect(Object.hasOwn(Object.prototype, 'user')).toBe(false);
  });

  it('what it writes is one', () => {
    expect(clickOf('approve', JSON.stringify(good))).toEqual({ action: 'approve', ...good });
  });
});

describe('the same message delivered twice', () => {
  it.each(['approve --reason "it is fine"'])('%s decides one gate only', async (text) => {
    const { id, channel } = await atGate(corner.store, corner.env);
    const bot = aBot(corner.store);
    const said = { ...typed(text, { channel, ts: ROOT_TS }), user: 'U0BO' };
    await bot.ask(said);
    await playTo(corner.store, id, (phase, { gates }) => phase.kind === 'waiting' && gates.length === 2);
    // What Slack repeats by itself was answered before.
    expect(await bot.ask({ ...said, isRepeated: true })).toBeUndefined();
    expect(await bot.ask(said)).toEqual({ kind: 'replayed' });
    expect((await loaded(corner.store, id)).rollout.gates[1]?.decision).toBeNull();
    expect(await corner.store.intakes('world')).toEqual([]);
    expect(await corner.store.intakes(THREADS)).toEqual([]);
  });
});
