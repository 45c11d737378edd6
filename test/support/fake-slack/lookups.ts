/** The methods that only look something up: channels, people, groups. */
import { type Answer, type Args, no, ok, text } from './answers.ts';
import { BOT, type Channel, personOf, type Workspace } from './workspace.ts';

export function lookups(workspace: Workspace): Readonly<Record<string, (args: Args) => Answer>> {
  return {
    'conversations.list': () =>
      ok({
        channels: workspace.channels.filter((one) => !one.isPrivate || one.members.includes(BOT)).map(channelObject),
      }),
    'conversations.info'(args) {
      const found = workspace.channels.find(({ id }) => id === args.channel);
      return found && (!found.isPrivate || found.members.includes(BOT))
        ? ok({ channel: channelObject(found) })
        : no('channel_not_found');
    },
    'usergroups.users.list'(args) {
      const users = workspace.groups[text(args.usergroup)];
      return users ? ok({ users }) : no('no_such_subteam');
    },
    'users.info'(args) {
      const person = personOf(workspace, text(args.user));
      if (!person) return no('user_not_found');
      const { id, name, team, deleted, guest, kind } = person;
      const marks = { is_bot: kind === 'bot', is_stranger: kind === 'stranger', is_restricted: guest };
      return ok({ user: { id, name, team_id: team, deleted, ...marks, is_ultra_restricted: false } });
    },
  };
}

function channelObject({ id, name, members, archived, isPrivate, isShared = false }: Channel) {
  const marks = { is_archived: archived, is_private: isPrivate, is_ext_shared: isShared };
  return { id, name, ...marks, is_member: members.includes(BOT) };
}
