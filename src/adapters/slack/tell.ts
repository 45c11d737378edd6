/** Tells one person something, where they asked; nobody else sees it. */
import type { WebClient } from '@slack/web-api';
import type { ReplyTo } from '../../app/ports/chat.ts';
import type { Log } from '../../app/ports/log.ts';
import { reasonOf } from './errors.ts';
import { cut, LITERAL } from './mrkdwn.ts';

export type Teller = (to: ReplyTo, text: string) => Promise<void>;

type Deps = {
  readonly client: WebClient;
  readonly apiUrl: string | null;
  readonly log: Log;
  /** Last change before it is shown. */
  readonly draw: (text: string) => string;
};

const TIMEOUT_MS = 5000;
const TEXT_MAX = 4000;

/**
 * By response_url, else as an ephemeral message, else as a direct message; never throws. The address comes with the
 * request: anything but Slack's own host is not called.
 */
export function createTeller({ client, apiUrl, log, draw }: Deps): Teller {
  return async (to, words) => {
    const text = cut(draw(words), TEXT_MAX);
    const ways = [
      ['response_url', () => byResponseUrl(to, text)],
      ['ephemeral', () => ephemeral(to, text)],
      ['direct message', () => direct(to, text)],
    ] as const;
    for (const [way, go] of ways) {
      try {
        if (await go()) return;
      } catch (error) {
        log.info({ user: to.user, way, error: reasonOf(error) }, 'answer not delivered this way');
      }
    }
    log.warn({ user: to.user, channel: to.channel }, 'answer not delivered');
  };

  async function byResponseUrl({ responseUrl, thread }: ReplyTo, text: string): Promise<boolean> {
    if (responseUrl === null || !isSlacks(responseUrl)) return false;
    const body = {
      response_type: 'ephemeral',
      replace_original: false,
      text,
      ...(thread ? { thread_ts: thread } : {}),
    };
    const answer = await fetch(responseUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await answer.arrayBuffer();
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return true;
  }

  async function ephemeral({ user, channel, thread }: ReplyTo, text: string): Promise<boolean> {
    if (channel === '') return false;
    await client.chat.postEphemeral({ channel, user, text, ...(thread ? { thread_ts: thread } : {}) });
    return true;
  }

  async function direct({ user }: ReplyTo, text: string): Promise<boolean> {
    const { channel } = await client.conversations.open({ users: user });
    if (!channel?.id) return false;
    await client.chat.postMessage({ channel: channel.id, text, ...LITERAL });
    return true;
  }

  function isSlacks(address: string): boolean {
    const url = URL.parse(address);
    if (!url) return false;
    if (apiUrl !== null && url.host === URL.parse(apiUrl)?.host) return true;
    return url.protocol === 'https:' && url.host === 'hooks.slack.com';
  }
}
