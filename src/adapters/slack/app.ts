/** Everything that is Slack: the app that listens and the port that speaks. */
import type { RequestListener } from 'node:http';
import { App, HTTPReceiver, type Logger, LogLevel, SocketModeReceiver } from '@slack/bolt';
import { WebClient } from '@slack/web-api';
import type { Chat } from '../../app/ports/chat.ts';
import type { Log } from '../../app/ports/log.ts';
import type { Bot } from '../../app/requests.ts';
import type { Rollout } from '../../core/rollout.ts';
import { createChat, type Picture } from './chat.ts';
import { createDirectory } from './directory.ts';
import { reasonOf, slackError } from './errors.ts';
import { createGuard } from './http.ts';
import { listen } from './intake.ts';
import { inWords } from './local-page.ts';
import { createTeller } from './tell.ts';

export type SlackOptions = {
  readonly botToken: string;
  /** Present: Socket Mode. Absent: signed HTTP, mounted by the web server. */
  readonly appToken: string | null;
  readonly signingSecret: string | null;
  /** Only for a local Slack: `http://127.0.0.1:3100/api/` */
  readonly apiUrl?: string;
  readonly bot: () => Bot;
  /** Whether snapshots are table blocks; false: sections with fields. */
  readonly tables: boolean;
  /** Workspaces besides the bot's own whose people count. */
  readonly teams?: readonly string[];
  /** Name or id of the channel for what cannot be shown in a rollout's own. */
  readonly fallbackChannel?: string;
  /** The picture of a gate's checks; null: there is nothing to draw. */
  readonly chart: (rollout: Rollout, gate: number) => Promise<Picture | null>;
  /** In place of the global one. */
  readonly fetch?: typeof globalThis.fetch;
  readonly log: Log;
};

export type Slack = {
  readonly chat: Chat;
  /** Under HTTP, for POST /slack/events; null under Socket Mode. */
  readonly requestListener: RequestListener | null;
  /**
   * Resolves within seconds when Slack is away: it connects as soon as Slack is back. Throws when Slack refuses the tokens,
   * unless `isGuarding`: then it goes on trying.
   */
  start(isGuarding: () => Promise<boolean>): Promise<void>;
  /** Takes nothing more, then waits for what is being worked on (6 s at most). */
  stop(): Promise<void>;
};

const TIMEOUT_MS = 5000;
const START_MS = 5000;
const STOP_MS = 6000;
const RECONNECT_MS = 5000;
/** Tokens that were refused are hardly ever taken a moment later. */
const LONGEST_RECONNECT_MS = 60_000;

export function createSlack(options: SlackOptions): Slack {
  const { botToken, appToken, signingSecret, apiUrl, log } = options;
  const logger = boltLogger(log);
  const clientOptions = {
    ...(apiUrl ? { slackApiUrl: apiUrl } : {}),
    timeout: TIMEOUT_MS,
    allowAbsoluteUrls: false,
    logger,
  };
  const client = new WebClient(botToken, {
    ...clientOptions,
    ...(options.fetch && { fetch: options.fetch }),
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
  });
  const directory = createDirectory(client, log, options.teams);
  const isLocalPage = apiUrl !== undefined && !options.tables;
  const draw = isLocalPage ? inWords : <T>(message: T) => message;
  const tell = createTeller({ client, apiUrl: apiUrl ?? null, log, draw });
  const chat = createChat({
    ...options,
    fallbackChannel: options.fallbackChannel ?? null,
    client,
    directory,
    tell,
    draw,
  });

  // Bolt's own client keeps its retries: Socket Mode reconnects with them.
  const socket = appToken ? new SocketModeReceiver({ appToken, logger, installerOptions: { clientOptions } }) : null;
  const receiver = socket ?? httpReceiver();
  const app = new App({
    receiver,
    clientOptions,
    logger,
    convoStore: false,
    // The token is checked by `start`; Bolt would ask Slack before each first payload.
    authorize: () => Promise.resolve({ botToken }),
  });
  app.error(async (error) => log.error({ error: reasonOf(error.original ?? error) }, 'listener failed'));
  const intake = listen(app, { bot: options.bot, client, directory, tell, log });

  let stopped = false;
  const requestListener = socket ? null : createGuard({ signingSecret: signingSecret ?? '', next: takeIn, tell, log });

  return {
    chat,
    requestListener,
    async start(isGuarding) {
      let isStarting = true;
      // In this order: asking takes time, in which the start may go on without Slack.
      const mayGiveUp = async () => !(await isGuarding()) && isStarting;
      const connected = await Promise.race([connect(mayGiveUp).then(() => true), pause(START_MS).then(() => false)]);
      isStarting = false;
      if (!connected) log.warn({}, 'starting without Slack: it is connected as soon as it answers');
    },
    async stop() {
      stopped = true;
      const closed = socket ? socket.client.disconnect() : Promise.resolve();
      await Promise.race([Promise.allSettled([closed, intake.settled()]), pause(STOP_MS)]);
    },
  };

  function httpReceiver(): HTTPReceiver {
    if (!signingSecret) {
      throw new Error('Slack: set SLACK_APP_TOKEN for Socket Mode, or SLACK_SIGNING_SECRET for signed HTTP requests');
    }
    return new HTTPReceiver({ signingSecret, logger });
  }

  function takeIn(...[request, response]: Parameters<RequestListener>): void {
    if (receiver instanceof HTTPReceiver && !stopped) {
      receiver.requestListener(request, response);
      return;
    }
    // Slack sends events again; people see that it did not work.
    response.writeHead(503).end();
  }

  /** Goes on trying in the background; throws only where the tokens are refused and it may give up. */
  async function connect(mayGiveUp: () => Promise<boolean>): Promise<void> {
    for (let refusals = 0; !stopped; ) {
      try {
        const { name, team } = await directory.identity();
        if (socket) await socket.client.start();
        log.info({ name, team, socket: socket !== null }, 'connected to Slack');
        return;
      } catch (error) {
        const refused = slackError(error);
        if (refused === null || !REFUSED_TOKENS.has(refused)) {
          log.warn({ error: reasonOf(error) }, 'Slack does not answer, trying again');
          await pause(RECONNECT_MS);
          continue;
        }
        const problem = `Slack refuses the tokens (${refused}): check SLACK_BOT_TOKEN and SLACK_APP_TOKEN`;
        if (await mayGiveUp()) throw new Error(problem, { cause: error });
        log.error({}, `${problem}. Going on without Slack, trying again`);
        await pause(Math.min(RECONNECT_MS * 2 ** refusals++, LONGEST_RECONNECT_MS));
      }
    }
  }
}

const REFUSED_TOKENS = new Set([
  'invalid_auth',
  'not_authed',
  'account_inactive',
  'token_revoked',
  'token_expired',
  'not_allowed_token_type',
]);

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}

/** The libraries' debug lines hold whole payloads: they are not taken over. */
function boltLogger(log: Log): Logger {
  const words = (parts: unknown[]) => ({ detail: parts.map(String).join(' ') });
  return {
    debug: () => undefined,
    info: (...parts) => log.debug(words(parts), 'slack library'),
    warn: (...parts) => log.info(words(parts), 'slack library'),
    error: (...parts) => log.warn(words(parts), 'slack library'),
    setLevel: () => undefined,
    getLevel: () => LogLevel.INFO,
    setName: () => undefined,
  };
}
