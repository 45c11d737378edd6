/** A person whose commands and clicks reach a bot as Slack sends them, timed from the first byte to the acknowledgement. */
import { createHmac } from 'node:crypto';
import { Agent, request } from 'node:http';
import { TEAM } from '../test/support/fake-slack/workspace.ts';

const CHANNEL = 'C0DEPLOYS';
/** Of the fake Slack: a request of another app's is refused. */
const APP = 'A0SLUICE';
const GIVE_UP_MS = 3_000;

export type Button = {
  readonly action: 'approve' | 'abort';
  readonly value: object;
  /** Of the message that it stands on; an Abort may stand anywhere. */
  readonly ts?: string;
};
export type Person = ReturnType<typeof createPerson>;

let requests = 0;

/** `user`: a handle of the fake Slack's people. Answers with milliseconds. */
export function createPerson(user: string, signingSecret: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const id = `U0${user.toUpperCase()}`;

  function send(url: string, fields: Record<string, string>): Promise<number> {
    const body = new URLSearchParams(fields).toString();
    const timestamp = String(Math.floor(Date.now() / 1_000));
    const signature = createHmac('sha256', signingSecret).update(`v0:${timestamp}:${body}`).digest('hex');
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': Buffer.byteLength(body),
      'x-slack-request-timestamp': timestamp,
      'x-slack-signature': `v0=${signature}`,
    };
    return new Promise((resolve, reject) => {
      const start = performance.now();
      const sent = request(url, { method: 'POST', agent, headers, timeout: GIVE_UP_MS }, (answer) => {
        answer.resume().once('end', () => {
          if (answer.statusCode === 200) resolve(performance.now() - start);
          else reject(new Error(`the bot answered ${answer.statusCode}`));
        });
      });
      sent.once('timeout', () => sent.destroy(new Error('no acknowledgement')));
      sent.once('error', reject);
      sent.end(body);
    });
  }

  const trigger = () => `${process.pid}.${Date.now()}.${requests++}`;

  return {
    /** Types `/deploy <text>`. */
    types: (url: string, text: string) =>
      send(url, {
        command: '/deploy',
        text,
        user_id: id,
        user_name: user,
        team_id: TEAM,
        channel_id: CHANNEL,
        channel_name: 'deploys',
        api_app_id: APP,
        trigger_id: trigger(),
      }),
    clicks: (url: string, { action, value, ts = '1700000000.000001' }: Button) =>
      send(url, {
        payload: JSON.stringify({
          type: 'block_actions',
          user: { id, name: user, username: user, team_id: TEAM },
          team: { id: TEAM, domain: 'acme' },
          api_app_id: APP,
          trigger_id: trigger(),
          channel: { id: CHANNEL, name: 'deploys' },
          message: { type: 'message', ts },
          actions: [
            {
              type: 'button',
              action_id: action,
              block_id: 'b',
              text: { type: 'plain_text', text: action },
              value: JSON.stringify(value),
            },
          ],
        }),
      }),
    leave: () => agent.destroy(),
  };
}
