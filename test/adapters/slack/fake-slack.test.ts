import { slackContract } from '../../contracts/slack.ts';
import { type Message, type Name, startFakeSlack } from '../../support/fake-slack/index.ts';

const names: readonly Name[] = ['ana', 'bo', 'cy', 'dee', 'eli'];
const nameOf = (user: string): Name => {
  const found = names.find((name) => name === user);
  if (!found) throw new Error(`nobody is called ${user}`);
  return found;
};

slackContract('the fake', async () => {
  const fake = await startFakeSlack();
  const find = (ts: string): Message | undefined => fake.workspace.messages.find((message) => message.ts === ts);
  return {
    apiUrl: fake.apiUrl,
    token: fake.token,
    setBotUrl: async (url) => {
      fake.botUrl = url;
    },
    command: async (user, text) => acked(await fake.command(nameOf(user), text)),
    click: async (user, { ts }, label) => acked(await fake.click(nameOf(user), find(ts), label)),
    submit: async (user, values) => acked(await fake.submit(nameOf(user), values)),
    ephemerals: async (user) => fake.ephemerals(nameOf(user)),
    stop: () => fake.stop(),
  };
});

const acked = ({ ackedMs, body }: { ackedMs: number | null; body: unknown }) => ({ acked: ackedMs !== null, body });
