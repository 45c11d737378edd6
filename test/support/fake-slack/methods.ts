/** The Web API methods that Sluice calls, as strict as Slack is with tokens, membership and limits. */
import { type Answer, type Args, no, ok, text } from './answers.ts';
import { checkMessage, checkModal, type Refusal } from './limits.ts';
import { lookups } from './lookups.ts';
import { hurts } from './reading.ts';
import {
  type Block,
  BOT,
  type Channel,
  INSTALLATION,
  type Message,
  personOf,
  TEAM,
  type Version,
  type Workspace,
} from './workspace.ts';

type Violation = { readonly level: 'error' | 'warning'; readonly method: string; readonly what: string };

export type View = { readonly id: string; readonly user: string; readonly body: Record<string, unknown> };
type Trigger = { readonly user: string; readonly at: number; used: boolean };
type Upload = { readonly name: string; readonly alt: string; bytes: Uint8Array | null };

const TRIGGER_MS = 3000;

const isYes = (value: unknown) => value === true || value === 'true';

export function createMethods({
  workspace,
  token,
  base,
  changed,
}: {
  workspace: Workspace;
  token: string;
  base: () => string;
  changed: () => void;
}) {
  const violations: Violation[] = [];
  const triggers = new Map<string, Trigger>();
  const views = new Map<string, View>();
  const uploads = new Map<string, Upload>();
  let sequence = 0;

  const next = () => String(++sequence).padStart(6, '0');

  function call(method: string, args: Args, given: string | null): Answer {
    const answer = perform(method, args, given);
    if (answer.ok)
      for (const what of 'text' in args || 'blocks' in args ? hurts(args) : [])
        violations.push({ level: 'warning', method, what });
    else violations.push({ level: 'error', method, what: [answer.error, ...detailsOf(answer)].join(' ') });
    return answer;
  }

  function perform(method: string, args: Args, given: string | null): Answer {
    if (given === null) return no('not_authed');
    if (given !== token) return no('invalid_auth');
    const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined;
    return handler ? handler(args) : no('unknown_method');
  }

  // ---- messages ----

  /** The channel, or why the bot may not act there. */
  function enter(args: Args, isWrite = true): Channel | Answer {
    const found = workspace.channels.find(({ id }) => id === args.channel);
    if (!found) return no('channel_not_found');
    if (!found.members.includes(BOT)) return no(found.isPrivate ? 'channel_not_found' : 'not_in_channel');
    return isWrite && found.archived ? no('is_archived') : found;
  }

  function add(fields: Partial<Message> & Pick<Message, 'channel' | 'user'>): Message {
    const blocks = fields.blocks ?? [];
    const message: Message = {
      ts: `${Math.floor(Date.now() / 1000)}.${next()}`,
      text: '',
      thread: null,
      broadcast: false,
      ephemeralTo: null,
      metadata: null,
      files: [],
      deleted: false,
      ...fields,
      blocks,
      versions: [{ text: fields.text ?? '', blocks }],
    };
    workspace.messages.push(message);
    changed();
    return message;
  }

  function post(args: Args, ephemeralTo: string | null): Message | Answer {
    const channel = enter(args);
    if ('ok' in channel) return channel;
    if (ephemeralTo !== null && !channel.members.includes(ephemeralTo)) return no('user_not_in_channel');
    const refusal = checkMessage(args, 'post');
    if (refusal) return refused(refusal);
    const thread = typeof args.thread_ts === 'string' ? args.thread_ts : null;
    const parent = workspace.messages.find((one) => one.ts === thread);
    if (thread !== null && !parent)
      violations.push({ level: 'warning', method: 'chat.postMessage', what: 'reply to a message that is not there' });
    if (parent?.thread) violations.push({ level: 'warning', method: 'chat.postMessage', what: 'reply to a reply' });
    return add({
      channel: channel.id,
      user: BOT,
      text: text(args.text),
      blocks: blocksOf(args),
      thread,
      broadcast: isYes(args.reply_broadcast),
      ephemeralTo,
      metadata: args.metadata ?? null,
    });
  }

  function own(args: Args): Message | Answer {
    const message = workspace.messages.find(({ channel, ts }) => channel === args.channel && ts === args.ts);
    if (!message || message.deleted || message.ephemeralTo !== null) return no('message_not_found');
    return message.user === BOT ? message : no('cant_update_message');
  }

  function edit(message: Message, args: Args): void {
    const version: Version = { text: text(args.text), blocks: blocksOf(args) };
    message.text = version.text;
    message.blocks = version.blocks;
    message.versions.push(version);
    changed();
  }

  /** As the history methods give it: metadata only when asked for, nothing ephemeral. */
  function listed(messages: readonly Message[], args: Args) {
    const from = Number(args.oldest ?? 0);
    return messages
      .filter((one) => one.ephemeralTo === null && !one.deleted && Number(one.ts) >= from)
      .map((one) => ({
        ts: one.ts,
        user: one.user,
        text: one.text,
        ...(one.thread === null ? {} : { thread_ts: one.thread }),
        ...(one.metadata !== null && isYes(args.include_all_metadata) ? { metadata: one.metadata } : {}),
      }));
  }

  /** The cursor is how many came before. */
  function paged(messages: readonly object[], args: Args) {
    const from = Number(args.cursor ?? 0);
    const to = from + Number(args.limit ?? 100);
    const more = to < messages.length;
    return { messages: messages.slice(from, to), response_metadata: { next_cursor: more ? String(to) : '' } };
  }

  // ---- the methods ----

  const handlers: Readonly<Record<string, (args: Args) => Answer>> = {
    ...lookups(workspace),
    'auth.test': () => ok({ ...INSTALLATION, team_id: TEAM, user_id: BOT, user: 'sluice', bot_id: 'B0SLUICE' }),

    'chat.postMessage'(args) {
      for (const unfolds of ['unfurl_links', 'unfurl_media'])
        if (text(args[unfolds]) !== 'false')
          violations.push({ level: 'warning', method: 'chat.postMessage', what: `no ${unfolds}: false` });
      const posted = post(args, null);
      return 'ok' in posted ? posted : ok({ channel: posted.channel, ts: posted.ts });
    },
    'chat.postEphemeral'(args) {
      const posted = post(args, text(args.user));
      return 'ok' in posted ? posted : ok({ message_ts: posted.ts });
    },
    'chat.update'(args) {
      const channel = enter(args);
      if ('ok' in channel) return channel;
      const message = own(args);
      if ('ok' in message) return message;
      const refusal = checkMessage(args, 'update');
      if (refusal) return refused(refusal);
      edit(message, args);
      return ok({ channel: message.channel, ts: message.ts });
    },
    'chat.delete'(args) {
      const channel = enter(args);
      if ('ok' in channel) return channel;
      const message = own(args);
      if ('ok' in message) return message;
      message.deleted = true;
      changed();
      return ok({ channel: message.channel, ts: message.ts });
    },
    'chat.getPermalink'(args) {
      const found = workspace.messages.some(({ channel, ts }) => channel === args.channel && ts === args.message_ts);
      return found
        ? ok({
            permalink: `https://acme.example/archives/${text(args.channel)}/p${text(args.message_ts).replace('.', '')}`,
          })
        : no('message_not_found');
    },

    'conversations.replies'(args) {
      const channel = enter(args, false);
      if ('ok' in channel) return channel;
      const found = workspace.messages.filter(
        (one) => one.channel === channel.id && (one.ts === args.ts || one.thread === args.ts),
      );
      return found.length > 0 ? ok(paged(listed(found, args), args)) : no('thread_not_found');
    },
    'conversations.history'(args) {
      const channel = enter(args, false);
      if ('ok' in channel) return channel;
      const found = workspace.messages.filter((one) => one.channel === channel.id && one.thread === null);
      return ok(paged(listed(found, args).reverse(), args));
    },
    'conversations.open'(args) {
      const person = personOf(workspace, text(args.users));
      if (!person) return no('user_not_found');
      const id = `D${person.id.slice(1)}`;
      if (!workspace.channels.some((one) => one.id === id)) {
        workspace.channels.push({
          id,
          name: `dm-${person.name}`,
          members: [person.id, BOT],
          archived: false,
          isPrivate: true,
        });
      }
      return ok({ channel: { id } });
    },

    'views.open'(args) {
      const trigger = triggers.get(text(args.trigger_id));
      if (!trigger) return no('invalid_trigger_id');
      if (trigger.used) return no('exchanged_trigger_id');
      if (Date.now() - trigger.at > TRIGGER_MS) return no('expired_trigger_id');
      const refusal = checkModal(args.view);
      if (refusal) return refused(refusal);
      trigger.used = true;
      const view = { id: `V${next()}`, user: trigger.user, body: { ...Object(args.view) } };
      views.set(trigger.user, view);
      changed();
      return ok({ view: { id: view.id } });
    },

    'files.getUploadURLExternal'(args) {
      if (!args.filename || !Number(args.length)) return no('invalid_arguments');
      const id = `F${next()}`;
      uploads.set(id, { name: text(args.filename), alt: text(args.alt_text), bytes: null });
      return ok({ upload_url: `${base()}/upload/${id}`, file_id: id });
    },
    'files.completeUploadExternal'(args) {
      const channel = enter({ channel: args.channel_id });
      if ('ok' in channel) return channel;
      const asked: unknown[] = Array.isArray(args.files) ? args.files : [];
      const ids = asked.map((file) => text(Object(file).id));
      if (ids.length === 0 || ids.some((id) => !uploads.get(id)?.bytes)) return no('file_not_found');
      const files = ids.map((id) => ({
        id,
        name: uploads.get(id)?.name ?? '',
        alt: uploads.get(id)?.alt ?? '',
        bytes: uploads.get(id)?.bytes?.length ?? 0,
      }));
      const thread = typeof args.thread_ts === 'string' ? args.thread_ts : null;
      add({ channel: channel.id, user: BOT, text: text(args.initial_comment), thread, files });
      return ok({ files: ids.map((id) => ({ id })) });
    },
  };

  return {
    call,
    violations,
    views,
    add,
    /** `chat.postMessage` and friends as a response_url takes them. */
    respond(args: Args, user: string): Refusal | null {
      const refusal = checkMessage(args, 'post');
      if (refusal) return refusal;
      const thread = typeof args.thread_ts === 'string' ? args.thread_ts : null;
      const ephemeralTo = args.response_type === 'in_channel' ? null : user;
      add({
        channel: text(args.channel),
        user: BOT,
        text: text(args.text),
        blocks: blocksOf(args),
        thread,
        ephemeralTo,
      });
      return null;
    },
    newTrigger(user: string): string {
      const id = `${next()}.trigger`;
      triggers.set(id, { user, at: Date.now(), used: false });
      return id;
    },
    expireTriggers(): void {
      for (const [id, trigger] of triggers) triggers.set(id, { ...trigger, at: 0 });
    },
    upload(id: string, bytes: Uint8Array): boolean {
      const upload = uploads.get(id);
      if (!upload) return false;
      upload.bytes = bytes;
      return true;
    },
    reset(): void {
      violations.length = 0;
      workspace.messages.length = 0;
      views.clear();
    },
  };
}

function refused({ error, details }: Refusal): Answer {
  return no(error, { response_metadata: { messages: details.map((detail) => `[ERROR] ${detail}`) } });
}

function detailsOf(answer: Answer): readonly string[] {
  const messages: unknown = Object(answer.response_metadata).messages;
  return Array.isArray(messages) ? messages.map(String) : [];
}

function blocksOf(args: Args): readonly Block[] {
  return Array.isArray(args.blocks) ? args.blocks : [];
}
