/**
 * Two hundred rollouts that step together, carried out by two replicas on the playground, with Slack's published rates in the
 * way: every gate must be posted and every result, once, and how late they are is what Slack lets through.
 */

import { kinds } from '../../playground/api-server/kinds.ts';
import type { Store as Objects } from '../../playground/api-server/store.ts';
import { createPlayground } from '../../playground/playground.ts';
import { NAMESPACE } from '../../playground/world.ts';
import { createStore } from '../../src/adapters/redis/store.ts';
import type { FakeSlack } from '../../test/support/fake-slack/index.ts';
import { BOT } from '../../test/support/fake-slack/workspace.ts';
import { percentile } from '../measure.ts';
import { startBot } from '../programs.ts';
import { limitRow, noteRow, type Row } from '../report.ts';
import { type SlackRates, startSlackRates } from '../slack-rates.ts';
import { NO_LOG, pause } from '../support.ts';

const ROLLOUTS = 200;
const CHANNELS = 10;
const TYPED_EVERY_MS = 50;
const LONGEST_MS = 240_000;
const LOOK_EVERY_MS = 100;
const PRESSES = 5;

type Deps = { readonly slack: FakeSlack; readonly redis: string; readonly env: string };

const names = Array.from({ length: ROLLOUTS }, (_, n) => `step-${String(n).padStart(3, '0')}`);
const channelOf = (n: number) => `steps-${n % CHANNELS}`;

export async function measureSlack({ slack, redis, env }: Deps): Promise<readonly Row[]> {
  const playground = await createPlayground({ world: { replicas: 1 } });
  for (const name of names) createService(playground.store, name);
  for (let n = 0; n < CHANNELS; n++) slack.workspace.channels.push(aChannel(channelOf(n)));
  const rates = await startSlackRates(slack.apiUrl);
  slack.shownAt = new URL(rates.apiUrl).origin;
  const place = { kubeconfig: playground.kubeconfig, prometheus: playground.prometheusUrl, namespace: NAMESPACE };
  const services = Object.fromEntries(names.map((name, n) => [name, entryOf(name, channelOf(n))]));
  const options = { slack, redis, env, place, services, slackApi: rates.apiUrl };
  const bots = [await startBot(options), await startBot(options)];
  const store = createStore({ url: redis, env, log: NO_LOG });
  try {
    const [first] = bots;
    slack.botUrl = first?.url ?? '';
    for (const name of names) {
      void slack.command('ana', `${name} v2`);
      await pause(TYPED_EVERY_MS);
    }
    const began = Date.now();
    const gates = await posted(rates, (key) => key === 'gate:1');
    for (const name of names) await approve(slack, name);
    const results = await posted(rates, (key) => key === 'result');
    const seconds = Math.round((Date.now() - began) / 1_000);
    return await report(store, rates, { gates, results, seconds });
  } finally {
    await Promise.all(bots.map((bot) => bot.stop()));
    await store.close();
    await rates.stop();
    await playground.stop();
  }
}

async function report(
  store: ReturnType<typeof createStore>,
  rates: SlackRates,
  { gates, results, seconds }: { gates: readonly string[]; results: readonly string[]; seconds: number },
): Promise<readonly Row[]> {
  const late: number[] = [];
  const ends: number[] = [];
  const succeeded: string[] = [];
  for (const id of gates) {
    const rollout = (await store.load(id))?.rollout;
    const at = (key: string) => rates.posts.find((one) => one.rollout === id && one.key === key)?.at;
    const [gate] = rollout?.gates ?? [];
    const [gateAt, resultAt] = [at('gate:1'), at('result')];
    if (gate && gateAt !== undefined) late.push(gateAt - gate.openedAt);
    // It is told when the route is back on stable.
    const back = (await store.events(id)).findLast(({ event }) => event.type === 'confirmed')?.at;
    if (back !== undefined && resultAt !== undefined) ends.push(resultAt - back);
    if (rollout?.phase.kind === 'succeeded') succeeded.push(id);
  }
  const twice = rates.posts.length - new Set(rates.posts.map(({ rollout, key }) => `${rollout} ${key}`)).size;
  const refused = [...rates.refused].map(([method, count]) => `${method} ${count}`).join(', ');
  const s = (ms: readonly number[], share: number) => `${(percentile(ms, share) / 1_000).toFixed(1)} s`;
  return [
    exactly(
      `Slack, ${ROLLOUTS} rollouts that step together in ${CHANNELS} channels, two replicas: gates posted`,
      gates.length,
    ),
    {
      ...exactly('… results posted', results.length),
      measured: `${results.length} (in ${seconds} s; ${succeeded.length} ended meanwhile)`,
    },
    limitRow('… messages posted twice', twice, 0),
    noteRow('… a gate after it was made', `p50 ${s(late, 0.5)}, p95 ${s(late, 0.95)}`),
    noteRow(
      '… a result after what it tells',
      ends.length > 0 ? `p50 ${s(ends, 0.5)}, p95 ${s(ends, 0.95)}` : 'not known',
    ),
    noteRow('… calls that Slack refused with 429', refused || 'none'),
    noteRow('… rollouts with an edit that still waits then', `${await store.backlog()}`),
  ];
}

const exactly = (what: string, count: number): Row => ({
  what,
  measured: String(count),
  bar: String(ROLLOUTS),
  holds: count === ROLLOUTS,
});

/** Ids of the rollouts with such a message, when all have it or no more come. */
async function posted(rates: SlackRates, isMeant: (key: string) => boolean): Promise<readonly string[]> {
  const deadline = Date.now() + LONGEST_MS;
  for (;;) {
    const ids = [...new Set(rates.posts.filter(({ key }) => isMeant(key)).map(({ rollout }) => rollout))];
    if (ids.length >= ROLLOUTS || Date.now() > deadline) return ids;
    await pause(LOOK_EVERY_MS);
  }
}

async function approve(slack: FakeSlack, name: string): Promise<void> {
  const message = slack.workspace.messages.find(
    (one) =>
      one.thread !== null &&
      JSON.stringify(one.metadata).includes(`"${name}-`) &&
      slack.buttons(one).includes('Promote'),
  );
  if (!message) return;
  // Who sees Slack's warning sign presses again.
  for (let tries = 1; ; tries++) {
    const { error } = await slack.click('bo', message, 'Promote');
    if (!error) return;
    if (tries === PRESSES) throw new Error(`${name}: ${error}`);
  }
}

const entryOf = (name: string, channel: string) => ({
  namespace: NAMESPACE,
  deployment: name,
  image: `registry.example/${name}:{version}`,
  channel,
  traffic: { router: 'gateway-api', route: name },
  strategies: ['once'],
  access: { deploy: ['S_DEVS'], approve: ['S_APPROVERS'] },
  coolDown: '1s',
});

const aChannel = (name: string) => ({
  id: `C0${name.replace('-', '').toUpperCase()}`,
  name,
  members: ['U0ANA', 'U0BO', BOT],
  archived: false,
  isPrivate: false,
});

function createService(objects: Objects, name: string): void {
  const metadata = { name, namespace: NAMESPACE };
  const labels = { app: name };
  const containers = [{ name, image: `registry.example/${name}:v1`, ports: [{ containerPort: 7778 }] }];
  objects.create(kinds.deployments, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { ...metadata, labels },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: { metadata: { labels }, spec: { containers } },
    },
  });
  objects.create(kinds.services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: { selector: labels, ports: [{ name: 'http', port: 80, targetPort: 7778 }] },
  });
  objects.create(kinds.httpRoutes, {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata,
    spec: {
      parentRefs: [{ name: 'public', namespace: 'default' }],
      hostnames: [`${name}.example`],
      rules: [{ backendRefs: [{ name, port: 80 }] }],
    },
  });
}
