/** Who and where: channels, user groups and people of the workspace, as Slack knows them now. */
import type { WebClient } from '@slack/web-api';
import type { Chat } from '../../app/ports/chat.ts';
import type { Log } from '../../app/ports/log.ts';
import { reasonOf, slackError, troubleOf } from './errors.ts';
import { plain } from './mrkdwn.ts';
import { keepRecent } from './recent.ts';

/** `enterprise` and `app` null: Slack does not say. */
type Identity = {
  readonly team: string;
  readonly enterprise: string | null;
  readonly app: string | null;
  readonly user: string;
  readonly name: string;
};

/** Where a payload says that it comes from: `team` is the person's own, the others null where the payload is silent. */
export type Origin = { readonly team: string; readonly enterprise: string | null; readonly app: string | null };

export type Directory = Pick<Chat, 'channel' | 'groupMembers' | 'isFullMember'> & {
  /** The bot itself; asked once. Throws on faults. */
  identity(): Promise<Identity>;
  /** Whether it is of this app, this organisation, and a workspace whose people count. Throws on faults. */
  isOwn(origin: Origin): Promise<boolean>;
  /** A person's handle, for events that carry the id only; the id when Slack does not say. */
  nameOf(user: string): Promise<string>;
};

/** A name has no capitals. */
export const isChannelId = (nameOrId: string): boolean => /^[CG][A-Z0-9_]{2,}$/.test(nameOrId);

const NAMES_FRESH_MS = 600_000;
const PAGE = 1000;
const PAGES = 20;

/** `teams`: workspaces besides the bot's own whose people count. */
export function createDirectory(client: WebClient, log: Log, teams: readonly string[] = []): Directory {
  let names: { readonly ids: ReadonlyMap<string, string>; readonly at: number } | null = null;
  let self: Promise<Identity> | null = null;
  const handles = new Map<string, string>();

  function identity(): Promise<Identity> {
    self ??= client.auth
      .test()
      .then(({ team_id, enterprise_id, app_id, user_id, user }) => {
        if (!team_id) throw new Error('Slack does not say which workspace the bot is of');
        const [enterprise, app] = [enterprise_id || null, app_id || null];
        return { team: team_id, enterprise, app, user: user_id ?? '', name: user ?? 'sluice' };
      })
      .catch((error: unknown) => {
        self = null;
        throw error;
      });
    return self;
  }

  async function isOwn({ team, enterprise, app }: Origin): Promise<boolean> {
    const own = await identity();
    const differs = (theirs: string | null, ours: string | null) => theirs !== null && ours !== null && theirs !== ours;
    return isOwnTeam(team, own) && !differs(enterprise, own.enterprise) && !differs(app, own.app);
  }

  const isOwnTeam = (team: string, own: Identity) => team === own.team || teams.includes(team);

  async function channel(nameOrId: string): ReturnType<Chat['channel']> {
    const wanted = nameOrId.replace(/^#/, '');
    const id = isChannelId(wanted) ? wanted : await idOf(wanted);
    const shown = `#${plain(wanted, 80)}`;
    const bot = `@${(await identity()).name}`;
    const invite = `invite the bot there: \`/invite ${bot}\``;
    const unknown = `${shown}: no such channel, or a private one without the bot. Check the name in sluice.yaml, and ${invite}.`;
    if (id === null) return { ok: false, problem: unknown };
    try {
      const { channel: found } = await client.conversations.info({ channel: id });
      if (found?.is_archived)
        return { ok: false, problem: `${shown} is archived: unarchive it, or name another channel in sluice.yaml.` };
      if (!found?.is_member) return { ok: false, problem: `${shown}: the bot is not in this channel, ${invite}.` };
      if (found.is_ext_shared || found.is_pending_ext_shared)
        return {
          ok: false,
          problem: `${shown} is shared with another organisation, whose people would read along: name another channel in sluice.yaml.`,
        };
      return { ok: true, id };
    } catch (error) {
      if (slackError(error) !== 'channel_not_found')
        throw new Error(`look up channel ${wanted}: ${reasonOf(error)}`, { cause: error });
      names = null;
      return { ok: false, problem: unknown };
    }
  }

  /** Slack has no look-up by name: the list is read, and kept for a while since it is long and rarely changes. */
  async function idOf(name: string): Promise<string | null> {
    const kept = names !== null && performance.now() - names.at < NAMES_FRESH_MS ? names.ids.get(name) : undefined;
    if (kept !== undefined) return kept;
    names = { ids: await listChannels(), at: performance.now() };
    return names.ids.get(name) ?? null;
  }

  async function listChannels(): Promise<ReadonlyMap<string, string>> {
    const ids = new Map<string, string>();
    let cursor: string | undefined;
    for (let page = 0; page < PAGES; page++) {
      const answer = await client.conversations
        .list({ types: 'public_channel,private_channel', limit: PAGE, ...(cursor ? { cursor } : {}) })
        .catch((error: unknown) => {
          throw new Error(`list channels: ${reasonOf(error)}`, { cause: error });
        });
      for (const { id, name } of answer.channels ?? []) if (id && name) ids.set(name, id);
      cursor = answer.response_metadata?.next_cursor || undefined;
      if (!cursor) break;
    }
    return ids;
  }

  async function groupMembers(group: string): ReturnType<Chat['groupMembers']> {
    try {
      const { users } = await client.usergroups.users.list({ usergroup: group });
      return { ok: true, users: users ?? [] };
    } catch (error) {
      return { ok: false, error: reasonOf(error) };
    }
  }

  async function isFullMember(user: string): Promise<boolean> {
    const own = await identity();
    try {
      const { user: found } = await client.users.info({ user });
      if (!found || !isOwnTeam(found.team_id ?? '', own)) return false;
      return !(found.deleted || found.is_bot || found.is_restricted || found.is_ultra_restricted || found.is_stranger);
    } catch (error) {
      if (troubleOf(error).kind === 'refused') return false;
      throw new Error(`look up user ${user}: ${reasonOf(error)}`, { cause: error });
    }
  }

  async function nameOf(user: string): Promise<string> {
    const kept = handles.get(user);
    if (kept !== undefined) return kept;
    try {
      const { user: found } = await client.users.info({ user });
      if (!found?.name) return user;
      if (handles.size > PAGE) handles.clear();
      handles.set(user, found.name);
      return found.name;
    } catch (error) {
      log.info({ user, error: reasonOf(error) }, 'name unknown');
      return user;
    }
  }

  return {
    identity,
    isOwn,
    channel: keepRecent(channel, ({ ok }) => ok),
    groupMembers,
    isFullMember: keepRecent(isFullMember, (isMember) => isMember),
    nameOf,
  };
}
