/** Who is of this installation: everybody else is refused, whatever Slack hands over, and told so. */
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { startAdapter } from '../adapters/slack/support.ts';

let bench: Awaited<ReturnType<typeof startAdapter>> | undefined;
afterEach(async () => {
  await bench?.stop();
  bench = undefined;
});

async function start(...options: Parameters<typeof startAdapter>) {
  bench = await startAdapter(...options);
  return bench;
}

describe('a command', () => {
  it.each([
    ['of another workspace', { team: 'T-OTHER' }],
    ['of another app', { app: 'A0OTHER' }],
    ['of another organisation', { enterprise: 'E0OTHER' }],
    ['of no workspace', { team: '' }],
  ])('%s is refused and answered', async (_, forgery) => {
    const { fake, bot } = await start();
    await fake.command('ana', 'world v2', forgery);
    await fake.mention('ana', null, 'world v2', forgery);
    expect(fake.ephemerals('ana')[0]).toContain('Only full members');
    await fake.until(() => fake.ephemerals('ana').length === 2);
    expect(bot.requests).toEqual([]);
  });

  it('of a workspace that the operator named is taken', async () => {
    const { fake, bot, chat } = await start({ teams: ['T-SISTER'] });
    fake.workspace.people.ana.team = 'T-SISTER';
    await fake.command('ana', 'world v2');
    expect(bot.requests).toHaveLength(1);
    expect(await chat.isFullMember('U0ANA')).toBe(true);
  });

  it('has no effect while Slack has not said whose the bot is', async () => {
    const { fake, bot } = await start({}, { before: (slack) => slack.fail({ kind: 'down' }, { method: 'auth.test' }) });
    await fake.command('ana', 'world v2');
    expect(fake.ephemerals('ana')).toEqual([expect.stringContaining('Not recorded')]);
    expect(bot.requests).toEqual([]);
  });
});

describe('a person', () => {
  it.each([
    ['who is a guest', { guest: true }, false],
    ['who left', { deleted: true }, false],
    ['who is a program', { kind: 'bot' as const }, false],
    ['of another organisation in a shared channel', { kind: 'stranger' as const }, false],
    ['of another workspace', { team: 'T-OTHER' }, false],
    ['of this workspace', {}, true],
  ])('%s: %j makes a full member: %s', async (_, marks, full) => {
    const { fake, chat } = await start();
    Object.assign(fake.workspace.people.bo, marks);
    expect(await chat.isFullMember('U0BO')).toBe(full);
  });

  it('whom Slack does not know may nothing', async () => {
    const { chat } = await start();
    expect(await chat.isFullMember('U0NOBODY')).toBe(false);
  });

  it('is unknown while Slack does not answer: that is no yes', async () => {
    const { fake, chat } = await start();
    fake.fail({ kind: 'down' }, { method: 'users.info' });
    await expect(chat.isFullMember('U0BO')).rejects.toThrow('look up user');
  });
});

it('a channel that another organisation reads is none for rollouts, a minute after it was shared at the latest', async () => {
  const { fake, chat } = await start();
  const [deploys] = fake.workspace.channels;
  if (!deploys) throw new Error('there is a channel');
  expect(await chat.channel('deploys')).toMatchObject({ ok: true });
  deploys.isShared = true;
  vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 60_000);
  onTestFinished(() => void vi.restoreAllMocks());
  expect(await chat.channel('deploys')).toMatchObject({ ok: false, problem: expect.stringContaining('shared with') });
});
