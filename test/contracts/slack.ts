/**
 * What a Slack for tests must take and refuse, as Slack itself does: the small fake of `npm test` and the strict Slack of the
 * e2e tests both pass it, so that what passes on the one passes on the other.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

type Reaction = { readonly acked: boolean; readonly body: unknown };

/** A Slack with channels deploys (the bot is in it) and random (it is not), ana, bo, cy and the groups S_DEVS and S_APPROVERS. */
export type SlackForTests = {
  /** `http://…/api/` */
  readonly apiUrl: string;
  readonly token: string;
  setBotUrl(url: string): Promise<void>;
  command(user: string, text: string): Promise<Reaction>;
  click(user: string, message: { readonly channel: string; readonly ts: string }, label: string): Promise<Reaction>;
  submit(user: string, values: Readonly<Record<string, string>>): Promise<Reaction>;
  /** Texts that only this person sees in deploys. */
  ephemerals(user: string): Promise<readonly string[]>;
  stop(): Promise<void>;
};

type Answer = { readonly ok: boolean; readonly error?: string; readonly [field: string]: unknown };
type Args = Readonly<Record<string, unknown>>;

const DEPLOYS = 'C0DEPLOYS';
const words = (length: number) => 'x'.repeat(length);
const mrkdwn = (length: number) => ({ type: 'mrkdwn', text: words(length) });
const plain = (length: number) => ({ type: 'plain_text', text: words(length) });
const many = <T>(count: number, make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i));
const button = (fields: Args = {}) => ({ type: 'button', action_id: 'a', text: plain(75), ...fields });
const actions = (...elements: object[]) => [{ type: 'actions', elements }];
const table = (rows: number, cells: number, text = 'x') => ({
  type: 'table',
  rows: many(rows, () => many(cells, () => ({ type: 'raw_text', text }))),
});
const confirm = (fields: Args = {}) => ({
  title: plain(100),
  text: plain(300),
  confirm: plain(30),
  deny: plain(30),
  ...fields,
});

const TAKEN: readonly (readonly [string, readonly object[]])[] = [
  ['50 blocks', many(50, () => ({ type: 'divider' }))],
  ['a header of 150 characters', [{ type: 'header', text: plain(150) }]],
  ['a section of 3000 characters', [{ type: 'section', text: mrkdwn(3000) }]],
  ['10 fields', [{ type: 'section', fields: many(10, () => mrkdwn(100)) }]],
  ['a field of 2000 characters', [{ type: 'section', fields: [mrkdwn(2000)] }]],
  ['10 elements of context', [{ type: 'context', elements: many(10, () => mrkdwn(10)) }]],
  ['25 buttons', actions(...many(25, (i) => button({ action_id: `a${i}` })))],
  [
    'a button with everything',
    actions(button({ value: words(2000), url: 'https://example.com', style: 'danger', confirm: confirm() })),
  ],
  ['a table of 100 rows', [table(100, 4)]],
  ['a table of 20 columns', [table(2, 20)]],
];

const REFUSED: readonly (readonly [string, readonly object[]])[] = [
  ['51 blocks', many(51, () => ({ type: 'divider' }))],
  ['a header of 151 characters', [{ type: 'header', text: plain(151) }]],
  ['a header in mrkdwn', [{ type: 'header', text: mrkdwn(5) }]],
  ['a section of 3001 characters', [{ type: 'section', text: mrkdwn(3001) }]],
  ['an empty section', [{ type: 'section' }]],
  ['a section with an empty text', [{ type: 'section', text: mrkdwn(0) }]],
  ['11 fields', [{ type: 'section', fields: many(11, () => mrkdwn(1)) }]],
  ['a field of 2001 characters', [{ type: 'section', fields: [mrkdwn(2001)] }]],
  ['11 elements of context', [{ type: 'context', elements: many(11, () => mrkdwn(1)) }]],
  ['an empty context', [{ type: 'context', elements: [] }]],
  ['26 buttons', actions(...many(26, (i) => button({ action_id: `a${i}` })))],
  ['actions without a button', actions()],
  ['a button of 76 characters', actions(button({ text: plain(76) }))],
  ['a button in mrkdwn', actions(button({ text: mrkdwn(5) }))],
  ['a button with a value of 2001 characters', actions(button({ value: words(2001) }))],
  ['a button in an unknown style', actions(button({ style: 'warning' }))],
  ['a button with an unknown field', actions(button({ colour: 'red' }))],
  ['two buttons with one action id', actions(button(), button())],
  ['a dialog with a title of 101 characters', actions(button({ confirm: confirm({ title: plain(101) }) }))],
  ['a dialog with a text of 301 characters', actions(button({ confirm: confirm({ text: plain(301) }) }))],
  ['a dialog with a button of 31 characters', actions(button({ confirm: confirm({ confirm: plain(31) }) }))],
  ['an unknown block', [{ type: 'marquee', text: plain(5) }]],
  ['an unknown field', [{ type: 'section', text: mrkdwn(5), colour: 'red' }]],
  ['two blocks with one id', many(2, () => ({ type: 'divider', block_id: 'same' }))],
  ['a table of 101 rows', [table(101, 2)]],
  ['a table of 21 columns', [table(2, 21)]],
  ['a table with an empty cell', [table(2, 2, '')]],
  ['a table with over 10,000 characters', [table(10, 10, words(101))]],
  ['two tables', [table(1, 1), table(1, 1)]],
];

const form = (fields: Args = {}) => ({
  type: 'modal',
  callback_id: 'form',
  private_metadata: '{}',
  title: plain(24),
  submit: plain(24),
  close: plain(24),
  blocks: [
    {
      type: 'input',
      block_id: 'reason',
      label: plain(20),
      element: { type: 'plain_text_input', action_id: 'reason', max_length: 3000 },
    },
  ],
  ...fields,
});

const REFUSED_FORMS: readonly (readonly [string, object])[] = [
  ['a title of 25 characters', form({ title: plain(25) })],
  ['a submit button of 25 characters', form({ submit: plain(25) })],
  ['no submit button', form({ submit: undefined })],
  ['3001 characters of private metadata', form({ private_metadata: words(3001) })],
  ['no blocks', form({ blocks: [] })],
  ['a table', form({ blocks: [table(1, 1)] })],
];

export function slackContract(name: string, start: () => Promise<SlackForTests>): void {
  describe(`${name} as a Slack for tests`, () => {
    let slack: SlackForTests;
    let bot: Awaited<ReturnType<typeof startBot>>;

    beforeAll(async () => {
      slack = await start();
      bot = await startBot();
      await slack.setBotUrl(bot.url);
    });
    beforeEach(() => bot.reset());
    afterAll(async () => {
      await slack?.stop();
      await bot?.stop();
    });

    async function call(method: string, args: Args, token = slack.token): Promise<Answer> {
      const answer = await fetch(slack.apiUrl + method, {
        method: 'POST',
        headers: { 'content-type': 'application/json; charset=utf-8', authorization: `Bearer ${token}` },
        body: JSON.stringify(args),
      });
      return (await answer.json()) as Answer;
    }
    const post = (fields: Args) => call('chat.postMessage', { channel: DEPLOYS, text: 'hello', ...fields });
    const errorOf = async (answer: Promise<Answer>) => (await answer).error ?? 'ok';
    const tsOf = async (answer: Promise<Answer>) => String((await answer).ts);

    describe('messages', () => {
      it.each(TAKEN)('takes %s', async (_, blocks) => {
        expect(await errorOf(post({ blocks }))).toBe('ok');
      });

      it.each(REFUSED)('refuses %s', async (_, blocks) => {
        expect(await errorOf(post({ blocks }))).toBe('invalid_blocks');
      });

      it('refuses 13,201 characters in all', async () => {
        const blocks = many(5, () => ({ type: 'section', text: mrkdwn(2700) }));
        expect(await errorOf(post({ blocks }))).toBe('msg_blocks_too_long');
      });

      it('refuses nothing to say', async () => {
        expect(await errorOf(post({ text: '' }))).toBe('no_text');
      });

      it.each([
        ['random', 'not_in_channel'],
        ['nowhere', 'channel_not_found'],
      ])('refuses to post in %s (%s)', async (channel, error) => {
        expect(await errorOf(post({ channel: `C0${channel.toUpperCase()}` }))).toBe(error);
      });

      it('edits only what is there', async () => {
        const ts = await tsOf(post({}));
        expect(await errorOf(call('chat.update', { channel: DEPLOYS, ts, text: 'changed' }))).toBe('ok');
        expect(await errorOf(call('chat.update', { channel: DEPLOYS, ts: '1.000001', text: 'changed' }))).toBe(
          'message_not_found',
        );
        expect(await errorOf(call('chat.update', { channel: DEPLOYS, ts, text: words(4001) }))).toBe('msg_too_long');
      });

      it('gives metadata to those who ask for it, in threads too', async () => {
        const metadata = { event_type: 'sluice_message', event_payload: { key: 'root' } };
        const ts = await tsOf(post({ metadata }));
        const reply = await tsOf(post({ metadata, thread_ts: ts }));
        const found = async (args: Args) => {
          const { messages } = await call('conversations.replies', { channel: DEPLOYS, ts, ...args });
          return Array.isArray(messages)
            ? messages.map((message) => [message.ts, message.metadata?.event_payload?.key])
            : messages;
        };
        expect(await found({ include_all_metadata: true })).toEqual([
          [ts, 'root'],
          [reply, 'root'],
        ]);
        expect(await found({})).toEqual([
          [ts, undefined],
          [reply, undefined],
        ]);
      });

      it('shows ephemeral messages to members of the channel only', async () => {
        expect(await errorOf(call('chat.postEphemeral', { channel: DEPLOYS, user: 'U0ANA', text: 'for ana' }))).toBe(
          'ok',
        );
        expect(await slack.ephemerals('ana')).toContain('for ana');
        expect(await slack.ephemerals('bo')).not.toContain('for ana');
        expect(await errorOf(call('chat.postEphemeral', { channel: DEPLOYS, user: 'U0NOBODY', text: 'x' }))).toBe(
          'user_not_in_channel',
        );
      });
    });

    describe('who may call', () => {
      it.each(['xoxb-wrong', 'xapp-wrong'])('refuses the token %s', async (token) => {
        expect(await errorOf(call('auth.test', {}, token))).toBe('invalid_auth');
      });

      it('tells the bot who it is', async () => {
        expect(await call('auth.test', {})).toMatchObject({ ok: true, team_id: 'T-ACME', user_id: 'U0SLUICE' });
      });
    });

    it('knows people, groups and channels', async () => {
      expect(await call('usergroups.users.list', { usergroup: 'S_APPROVERS' })).toMatchObject({
        users: ['U0BO', 'U0CY'],
      });
      expect(await errorOf(call('usergroups.users.list', { usergroup: 'S_NONE' }))).toBe('no_such_subteam');
      expect(await call('users.info', { user: 'U0ELI' })).toMatchObject({
        user: { team_id: 'T-ACME', is_restricted: true },
      });
      expect(await errorOf(call('users.info', { user: 'U0NOBODY' }))).toBe('user_not_found');
      expect(await call('conversations.info', { channel: 'C0RANDOM' })).toMatchObject({
        channel: { is_member: false, is_archived: false },
      });
      expect(await errorOf(call('conversations.info', { channel: 'C0NOWHERE' }))).toBe('channel_not_found');
    });

    describe('what people do', () => {
      it('reaches the bot as a signed form, and its answer reaches the person', async () => {
        bot.answer = { response_type: 'ephemeral', text: 'started' };
        const { acked } = await slack.command('ana', 'world v2');
        expect(acked).toBe(true);
        expect(bot.payloads[0]).toMatchObject({
          command: '/deploy',
          text: 'world v2',
          user_id: 'U0ANA',
          team_id: 'T-ACME',
          channel_id: DEPLOYS,
        });
        expect(await slack.ephemerals('ana')).toContain('started');
      });

      it('carries the button that was clicked', async () => {
        const blocks = actions({
          type: 'button',
          action_id: 'approve',
          text: { type: 'plain_text', text: 'Approve 50%' },
          value: '{"gate":"g1"}',
        });
        const root = await tsOf(post({}));
        const ts = await tsOf(post({ blocks, thread_ts: root }));
        const { acked } = await slack.click('bo', { channel: DEPLOYS, ts }, 'Approve 50%');
        expect(acked).toBe(true);
        expect(bot.payloads[0]).toMatchObject({
          type: 'block_actions',
          user: { id: 'U0BO', team_id: 'T-ACME' },
          channel: { id: DEPLOYS },
          message: { ts, thread_ts: root },
          actions: [{ action_id: 'approve', value: '{"gate":"g1"}' }],
        });
      });

      it('gives a response_url for five answers', async () => {
        await slack.command('cy', 'status');
        const url = String(bot.payloads[0]?.response_url);
        const answer = (text: string) =>
          fetch(url, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ text }),
          });
        const statuses = [];
        for (const text of ['one', 'two', 'three', 'four', 'five', 'six']) statuses.push((await answer(text)).ok);
        expect(statuses).toEqual([true, true, true, true, true, false]);
        expect(await slack.ephemerals('cy')).toEqual(expect.arrayContaining(['one', 'five']));
      });

      it('opens a form once for each trigger, and hands on what was typed', async () => {
        await slack.command('bo', 'approve');
        const trigger_id = String(bot.payloads[0]?.trigger_id);
        expect(await errorOf(call('views.open', { trigger_id, view: form() }))).toBe('ok');
        expect(await errorOf(call('views.open', { trigger_id, view: form() }))).toBe('exchanged_trigger_id');
        expect(await errorOf(call('views.open', { trigger_id: 'unknown', view: form() }))).toBe('invalid_trigger_id');
        bot.reset();
        await slack.submit('bo', { reason: 'known' });
        expect(bot.payloads[0]).toMatchObject({
          type: 'view_submission',
          user: { id: 'U0BO' },
          view: {
            callback_id: 'form',
            private_metadata: '{}',
            state: { values: { reason: { reason: { value: 'known' } } } },
          },
        });
      });

      it.each(REFUSED_FORMS)('refuses a form with %s', async (_, view) => {
        await slack.command('bo', 'approve');
        expect(await errorOf(call('views.open', { trigger_id: bot.payloads[0]?.trigger_id, view }))).toBe(
          'invalid_arguments',
        );
      });
    });
  });
}

type Payload = { readonly [field: string]: unknown };

/** Takes payloads, answers what the test says. */
async function startBot() {
  const bot = { url: '', payloads: [] as Payload[], answer: null as object | null };
  const server = createServer(async (request, response) => {
    bot.payloads.push(await payloadOf(request));
    response.writeHead(200, { 'content-type': 'application/json' }).end(bot.answer ? JSON.stringify(bot.answer) : '');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return Object.assign(bot, {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/slack/events`,
    reset() {
      bot.payloads.length = 0;
      bot.answer = null;
    },
    async stop() {
      server.closeAllConnections();
      server.close();
    },
  });
}

async function payloadOf(request: IncomingMessage): Promise<Payload> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  if (request.headers['content-type']?.includes('json')) return JSON.parse(body);
  const form = Object.fromEntries(new URLSearchParams(body));
  return typeof form.payload === 'string' ? JSON.parse(form.payload) : form;
}
