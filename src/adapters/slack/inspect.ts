/** For `doctor`: what the tokens are good for. Nothing is posted and no socket is opened. */
import { LogLevel, WebClient } from '@slack/web-api';
import type { Chat } from '../../app/ports/chat.ts';
import type { Log } from '../../app/ports/log.ts';
import { createDirectory } from './directory.ts';
import { reasonOf, slackError } from './errors.ts';

/** What the app's manifest asks for, and what each is for. */
const SCOPES = {
  'app_mentions:read': 'commands by @sluice in a thread',
  'channels:read': 'finding channels',
  'chat:write': 'all messages',
  commands: '/deploy',
  'files:write': "the picture of a gate's checks",
  'groups:read': 'finding private channels',
  'im:write': 'answers that cannot be shown in the channel',
  'usergroups:read': 'who may deploy and approve',
  'users:read': 'who is a full member',
} as const;

type MissingScope = { readonly scope: string; readonly purpose: string };

export const scopeSentence = ({ scope, purpose }: MissingScope): string =>
  `Slack scope ${scope} is missing (${purpose}): add it under "OAuth & Permissions" and install the app again.`;

const TIMEOUT_MS = 4_500;

export type SlackInspector = {
  readonly chat: Pick<Chat, 'channel' | 'groupMembers' | 'isFullMember'>;
  /** Who the bot is; throws when Slack refuses the token or does not answer. */
  identity(): Promise<{ readonly name: string; readonly team: string }>;
  /** What the token lacks, with what it is for; null: Slack did not say. */
  missingScopes(): Promise<readonly MissingScope[] | null>;
  /** null: Slack takes it for Socket Mode; else Slack's word. Throws when Slack does not answer. */
  refusesAppToken(appToken: string): Promise<string | null>;
};

export function inspectSlack({
  botToken,
  apiUrl,
  log,
}: {
  readonly botToken: string;
  readonly apiUrl: string | undefined;
  readonly log: Log;
}): SlackInspector {
  const options = {
    ...(apiUrl === undefined ? {} : { slackApiUrl: apiUrl }),
    timeout: TIMEOUT_MS,
    logLevel: LogLevel.ERROR,
    allowAbsoluteUrls: false,
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
  };
  const client = new WebClient(botToken, options);
  const { channel, groupMembers, isFullMember } = createDirectory(client, log);

  return {
    chat: { channel, groupMembers, isFullMember },

    async identity() {
      const { user, team, team_id } = await client.auth.test().catch((error: unknown) => {
        throw new Error(reasonOf(error));
      });
      return { name: user ?? 'sluice', team: team ?? team_id ?? '' };
    },

    async missingScopes() {
      const granted = (await client.auth.test()).response_metadata?.scopes;
      if (!granted) return null;
      return Object.entries(SCOPES)
        .filter(([scope]) => !granted.includes(scope))
        .map(([scope, purpose]) => ({ scope, purpose }));
    },

    async refusesAppToken(appToken) {
      try {
        // Only gives an address; a socket that nobody opens is none.
        await new WebClient(appToken, options).apps.connections.open();
        return null;
      } catch (error) {
        const word = slackError(error);
        if (word === null) throw new Error(reasonOf(error));
        return word;
      }
    },
  };
}
