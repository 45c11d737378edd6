/** One person's flood is theirs alone: they are told once, nobody else is kept waiting, and an abort always goes through. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openCorner, pressedAbort, typed } from '../app/support.ts';
import { aBot, atGate, clicked } from './support.ts';

let corner: ReturnType<typeof openCorner>;
beforeEach(() => {
  corner = openCorner();
});
afterEach(() => corner.close());

const MANY = 1000;
const by = (user: string, text = 'world v2') => ({ ...typed(text), user });
const times = <T>(count: number, work: () => T): T[] => Array.from({ length: count }, work);

it('1000 commands of one person are answered once, and others are served meanwhile', async () => {
  let looked = 0;
  const isFullMember = async () => {
    looked += 1;
    return true;
  };
  const bot = aBot(corner.store, { env: corner.env, chat: { isFullMember } });
  let answered = 0;
  const flood = () =>
    times(MANY / 2, async () => {
      await bot.ask(by('U0EVE'));
      answered += 1;
    });
  const before = flood();
  const served = bot.ask(by('U0BO')).then(() => answered);
  await Promise.all([...before, ...flood()]);
  expect(await served, 'of the flood when Bo, in its middle, has his answer').toBeLessThan(0.75 * MANY);
  const taken = bot.deploys.filter((user) => user === 'U0EVE').length;
  expect(bot.deploys.length, 'with that of Bo').toBe(taken + 1);
  expect(taken).toBeGreaterThan(10);
  expect(taken).toBeLessThan(40);
  expect(looked, 'questions to Slack').toBe(taken + 1);
  expect(bot.told.filter(({ kind }) => kind === 'too many')).toEqual([
    { kind: 'too many', seconds: expect.any(Number) },
  ]);
  expect(await corner.store.intakes('world'), 'nothing is left to be done later').toEqual([]);
}, 20_000);

it('who may not deploy any more may still look', async () => {
  const bot = aBot(corner.store, { env: corner.env });
  await Promise.all(times(100, () => bot.ask(by('U0EVE'))));
  expect(await bot.ask(by('U0EVE', 'status'))).toMatchObject({ kind: 'status' });
  await Promise.all(times(100, () => bot.ask(by('U0EVE', 'status'))));
  expect(bot.told.filter(({ kind }) => kind === 'too many')).toHaveLength(1);
});

it.each([
  ['the button', (id: string) => pressedAbort(id)],
  ['a command', () => by('U0BO', 'abort world')],
  ['a word in the thread', () => ({ ...typed('abort', { channel: 'C0DEPLOYS', ts: '1700.1' }), user: 'U0BO' })],
])('an abort by %s goes through whatever was sent before', async (_, abort) => {
  const { id } = await atGate(corner.store, corner.env);
  const bot = aBot(corner.store);
  await Promise.all(times(100, () => bot.ask(by('U0BO'))));
  await Promise.all(times(100, () => bot.ask(by('U0BO', 'list'))));
  await bot.ask(abort(id));
  expect(bot.aborted).toEqual([id]);
});

it('a channel that many people flood together is slowed as one', async () => {
  const bot = aBot(corner.store, { env: corner.env });
  await Promise.all(times(MANY, () => by(`U0${Math.random()}`)).map((request) => bot.ask(request)));
  expect(bot.deploys.length).toBeGreaterThan(50);
  expect(bot.deploys.length).toBeLessThan(200);
  const elsewhere = by('U0BO');
  await bot.ask({ ...elsewhere, replyTo: { ...elsewhere.replyTo, channel: 'C0OTHER' } });
  expect(bot.deploys.at(-1)).toBe('U0BO');
}, 20_000);

it('clicks count too', async () => {
  const { id } = await atGate(corner.store, corner.env);
  const bot = aBot(corner.store);
  const click = { action: 'approve', rollout: id, gate: `${id}.9` } as const;
  await Promise.all(times(100, () => bot.ask(clicked(click))));
  expect(bot.told.filter(({ kind }) => kind === 'rejected').length).toBeLessThan(40);
});
