/**
 * The port `Chat` on Slack's Web API. Its client neither retries nor waits: the outbox decides what is repeated, since a
 * repeated post is a second message.
 */
import type { KnownBlock } from '@slack/types';
import type { WebClient } from '@slack/web-api';
import type { Chat, Sent } from '../../app/ports/chat.ts';
import type { Log } from '../../app/ports/log.ts';
import type { MessageKey, Outgoing } from '../../core/event.ts';
import { type Place, parsePlace, writePlace } from '../../core/place.ts';
import { openGate, type Rollout } from '../../core/rollout.ts';
import { say } from './answers.ts';
import type { Message } from './block-kit.ts';
import { type Directory, isChannelId } from './directory.ts';
import { reasonOf, troubleOf } from './errors.ts';
import { render, simplest } from './message.ts';
import { cut, LITERAL, plain } from './mrkdwn.ts';
import { createPlaces } from './places.ts';
import { createSearch, markOf } from './search.ts';
import type { Teller } from './tell.ts';
import { gateKey } from './words.ts';

export type Picture = { readonly png: Uint8Array; readonly alt: string };

type Deps = {
  readonly client: WebClient;
  readonly directory: Directory;
  readonly tell: Teller;
  readonly log: Log;
  readonly tables: boolean;
  /** Name or id of the channel for what cannot be shown in a rollout's own. */
  readonly fallbackChannel: string | null;
  readonly chart: (rollout: Rollout, gate: number) => Promise<Picture | null>;
  /** Last change before it is shown. */
  readonly draw: (message: Message) => Message;
};

export function createChat(deps: Deps): Chat {
  const { client, directory, log } = deps;
  /** Turns off for good when the workspace refuses a table. */
  let tables = deps.tables;
  const places = createPlaces(client, log);
  const search = createSearch(client);
  const { placeOf, permalink } = places;

  return {
    show,
    retract,
    find,
    findOther,
    permalink,
    home,
    channel: directory.channel,
    groupMembers: directory.groupMembers,
    isFullMember: directory.isFullMember,
    tell: (to, answer) => deps.tell(to, say(answer)),
  };

  async function show(rollout: Rollout, outgoing: Outgoing): Promise<Sent> {
    const { key } = outgoing;
    if (key.startsWith('chart:')) return picture(rollout, key);
    const there = placeOf(rollout, key);
    const isLinking = key === 'root' || outgoing.note !== undefined;
    const known = { now: Date.now(), gateLink: isLinking ? await places.gateLink(rollout) : null };
    const draw = () => {
      const message = render(rollout, outgoing, { ...known, tables });
      return message && deps.draw(message);
    };
    const message = draw();
    if (!message) return { kind: 'impossible', error: `nothing to show under ${key}` };
    let sent = await send(rollout, key, there, message);
    if (isTooRich(sent) && hasTable(message)) {
      log.warn({ rollout: rollout.id, key }, 'Slack takes no tables: fields from now on');
      tables = false;
      sent = await send(rollout, key, there, draw() ?? message);
    }
    if (isTooRich(sent)) {
      log.warn({ rollout: rollout.id, key }, 'Slack refuses the blocks: words and buttons only');
      sent = await send(rollout, key, there, simplest(message));
    }
    return sent;
  }

  async function send(rollout: Rollout, key: MessageKey, there: Place | null, message: Message): Promise<Sent> {
    const sent = await attempted(() => (there ? edit(rollout, there, message) : post(rollout, key, message)));
    if (sent.kind !== 'impossible') return sent;
    if (there && sent.error === 'message_not_found' && isWorthRepeating(rollout, key)) {
      log.warn({ rollout: rollout.id, key }, 'message was deleted, posting it again');
      const again = await attempted(() => post(rollout, key, message));
      if (again.kind === 'sent') places.move(there, again.ts);
      return again;
    }
    if (!there && CLOSED.has(sent.error)) return fallBack(rollout, key, message, sent.error);
    return sent;
  }

  async function post(rollout: Rollout, key: MessageKey, message: Message): Promise<string> {
    const root = key === 'root' ? null : placeOf(rollout, 'root');
    const channel = root?.channel ?? (await ownChannel(rollout));
    const ts = await postTo(channel, { ...message, metadata: markOf(rollout, key), thread: root?.ts ?? null });
    return writePlace({ channel, ts }, rollout.plan.channel);
  }

  async function home(rollout: Rollout): Promise<string> {
    return placeOf(rollout, 'root')?.channel ?? ownChannel(rollout);
  }

  /** A rollout that was written down again while Slack was away knows its channel by the name in the configuration. */
  async function ownChannel({ plan: { channel } }: Rollout): Promise<string> {
    if (isChannelId(channel)) return channel;
    const own = await directory.channel(channel);
    return own.ok ? own.id : channel;
  }

  type Posted = Pick<Message, 'text' | 'blocks' | 'broadcast'> & {
    readonly metadata: object;
    readonly thread: string | null;
  };

  async function postTo(channel: string, { text, blocks, broadcast, metadata, thread }: Posted): Promise<string> {
    const answer = await client.apiCall('chat.postMessage', {
      channel,
      text,
      blocks,
      metadata,
      ...(thread ? { thread_ts: thread, reply_broadcast: broadcast ?? false } : {}),
      ...LITERAL,
    });
    return 'ts' in answer ? String(answer.ts) : '';
  }

  async function edit(rollout: Rollout, { channel, ts }: Place, { text, blocks }: Message): Promise<string> {
    await client.apiCall('chat.update', { channel, ts, text, blocks, parse: 'none', link_names: false });
    return writePlace({ channel, ts }, rollout.plan.channel);
  }

  /** A gate nobody can see must still be decidable: its buttons work from any channel. */
  async function fallBack(rollout: Rollout, key: MessageKey, message: Message, error: string): Promise<Sent> {
    const own = await ownChannel(rollout);
    const channel = await otherThan(own);
    if (channel === null) return { kind: 'impossible', error };
    const shut = isChannelId(own) ? `<#${own}>` : `#${plain(own, 80)}`;
    const note: KnownBlock = {
      type: 'context',
      elements: [{ type: 'mrkdwn', text: `Shown here because ${shut} cannot be used (${plain(error, 40)}).` }],
    };
    return attempted(async () => {
      const { text, blocks } = message;
      const metadata = markOf(rollout, key);
      const ts = await postTo(channel, { text, blocks: [...blocks, note], metadata, thread: null });
      return writePlace({ channel, ts }, rollout.plan.channel);
    });
  }

  async function otherThan(own: string): Promise<string | null> {
    if (deps.fallbackChannel === null) return null;
    const other = await directory.channel(deps.fallbackChannel);
    return other.ok && other.id !== own ? other.id : null;
  }

  /** Says how it ended as a value where that is known; throws where it is not. */
  async function attempted(call: () => Promise<string>): Promise<Sent> {
    try {
      return { kind: 'sent', ts: await call() };
    } catch (error) {
      const trouble = troubleOf(error);
      if (trouble.kind === 'later') return trouble;
      if (trouble.kind === 'refused') return { kind: 'impossible', error: trouble.error };
      throw new Error(`Slack did not answer: ${reasonOf(error)}`, { cause: error });
    }
  }

  async function retract(rollout: Rollout, posted: string): Promise<void> {
    try {
      await client.apiCall('chat.delete', { ...parsePlace(posted, rollout.plan.channel) });
    } catch (error) {
      log.warn({ rollout: rollout.id, error: reasonOf(error) }, 'a message stands twice');
    }
  }

  async function picture(rollout: Rollout, key: MessageKey): Promise<Sent> {
    const done = rollout.messages[key];
    const root = placeOf(rollout, 'root');
    if (done !== undefined || !root) return { kind: 'sent', ts: done ?? '' };
    const drawn = await deps.chart(rollout, Number(key.slice('chart:'.length)));
    if (!drawn) return { kind: 'sent', ts: '' };
    return attempted(async () => {
      const uploaded = await client.filesUploadV2({
        file: Buffer.from(drawn.png),
        filename: `${rollout.id}-${key.replace(':', '-')}.png`,
        title: 'Canary and stable',
        alt_text: cut(drawn.alt, 1000),
        channel_id: root.channel,
        thread_ts: root.ts,
      });
      return uploaded.files[0]?.files?.[0]?.id ?? '';
    });
  }

  /** In its own place, else where it would have been posted instead. */
  async function find(rollout: Rollout, key: MessageKey): Promise<string | null> {
    const root = placeOf(rollout, 'root');
    if (key !== 'root' && !root) return null;
    const place = root ?? { channel: await ownChannel(rollout) };
    const found = (await search(rollout, key, place)) ?? (await searchElsewhere(rollout, key));
    return found && writePlace(found, rollout.plan.channel);
  }

  async function findOther(rollout: Rollout, key: MessageKey): Promise<string | null> {
    const [known, root] = [placeOf(rollout, key), placeOf(rollout, 'root')];
    if (!known || !root) return null;
    // What could not be shown in its thread stands in the fallback channel itself.
    const isInThread = key !== 'root' && known.channel === root.channel;
    const where = isInThread ? root : { channel: known.channel };
    const found = await search(rollout, key, where, known.ts);
    return found && writePlace(found, rollout.plan.channel);
  }

  async function searchElsewhere(rollout: Rollout, key: MessageKey): Promise<Place | null> {
    const channel = await otherThan(await ownChannel(rollout));
    return channel === null ? null : search(rollout, key, { channel });
  }
}

const isTooRich = (sent: Sent) => sent.kind === 'impossible' && /blocks|msg_too_long/.test(sent.error);
const hasTable = ({ blocks }: Message) => blocks.some(({ type }) => type === 'table');

/** The channel itself is shut for the bot. */
const CLOSED = new Set(['is_archived', 'channel_not_found', 'not_in_channel', 'restricted_action']);

/** The root is where everybody looks, an open gate what everybody waits for; the rest is history. */
function isWorthRepeating(rollout: Rollout, key: MessageKey): boolean {
  const gate = openGate(rollout);
  return key === 'root' || (gate !== null && gateKey(gate) === key);
}
