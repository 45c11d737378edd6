/** What Sluice's acknowledgements are compared with: a Bolt app on its HTTP receiver whose listeners only acknowledge. */
import { App, HTTPReceiver, LogLevel } from '@slack/bolt';

const receiver = new HTTPReceiver({
  signingSecret: process.env.SLACK_SIGNING_SECRET ?? '',
  logLevel: LogLevel.ERROR,
});
const app = new App({
  receiver,
  convoStore: false,
  authorize: () => Promise.resolve({ botToken: 'xoxb-bare' }),
  logLevel: LogLevel.ERROR,
});
app.command('/deploy', async ({ ack }) => {
  await ack();
});
app.action('approve', async ({ ack }) => {
  await ack();
});
const server = await app.start({ port: 0, host: '127.0.0.1' });
const address = server.address();
if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
process.stdout.write(`"port":${address.port} is ready\n`);
