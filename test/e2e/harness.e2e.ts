/** The scenarios are only worth what their observers see: here they watch changes made by hand, good ones and bad ones. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startApiProxy } from './support/api-proxy.ts';
import { calls } from './support/audit.ts';
import { complaints, watchHistory } from './support/history.ts';
import { apiServer, createKube } from './support/kube.ts';
import { startMetricsProxy } from './support/metrics-proxy.ts';
import { startRedis } from './support/redis.ts';
import { type Message, type Slack, startSlack } from './support/slack.ts';
import { until } from './support/wait.ts';
import { createWorld, type World } from './support/world.ts';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.remove());

it('sees each revision of the route, counts who answered, and finds what should not have happened', async () => {
  const { kube, paths, users } = world;
  const history = await watchHistory(world);
  const labels = { app: 'world-canary' };
  const { template } = world.before;
  const containers = template.spec.containers.map((container) => ({ ...container, image: 'buoyantio/world:v2' }));
  await kube.create(paths.deployment, {
    metadata: { name: 'world-canary', labels },
    spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } },
  });
  await kube.create(paths.service, {
    metadata: { name: 'world-canary' },
    spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
  });
  await until('the canary is available', async () => {
    return (await world.getDeployment('world-canary')).status.availableReplicas === 1;
  });
  expect(await world.leftovers()).toEqual(['world-canary', 'world-canary']);

  const started = Date.now();
  const load = users.stream(100);
  const refs = (weight: number) => [
    { name: 'world', port: 80, weight: 100 - weight },
    { name: 'world-canary', port: 80, weight },
  ];
  const setWeight = (weight: number, marks: Record<string, string>) =>
    kube.jsonPatch(`${paths.route}/world`, [
      { op: 'replace', path: '/spec/rules/0/backendRefs', value: refs(weight) },
      { op: 'add', path: '/metadata/annotations', value: marks },
    ]);
  const marks = { 'sluice.dev/rollout': 'r1', 'sluice.dev/epoch': '1' };
  await setWeight(10, marks);
  await history.reaches(10);
  await until('the canary answers', () => load.count.byVersion.v2);
  const share = await users.send(300);
  expect(share.byVersion.v2).toBeGreaterThan(30 - 16);
  expect(share.byVersion.v2).toBeLessThan(30 + 16);
  await setWeight(100, marks);
  await setWeight(0, { ...marks, 'sluice.dev/epoch': '2' });
  await history.reaches(0, { from: started });
  const { sent, failed, byVersion } = await load.stop();
  expect({ failed, all: (byVersion.v1 ?? 0) + (byVersion.v2 ?? 0) }).toEqual({ failed: [], all: sent });
  await history.stop();

  expect(history.weights()).toEqual([0, 10, 100, 0]);
  const found = complaints(history.revisions, [0, 10, 50, 100], [started]).map((each) => each.slice(0, 2));
  expect(found).toEqual(['I3', 'I5']);
  expect(complaints(history.revisions, [0, 10, 100], [started, started])).toEqual([]);
});

it('holds a request back until its sender has given up, and still passes it on', async () => {
  const api = await startApiProxy();
  const before = Date.now();
  const direct = apiServer();
  const through = createKube({ ...direct, ...apiServer(api.kubeconfig) });
  const held = api.hold(({ method }) => method === 'PATCH');
  const patch = [{ op: 'add', path: '/metadata/labels', value: { late: 'yes' } }];
  const sent = expect(through.jsonPatch(`${world.paths.route}/world`, patch)).rejects.toThrow('aborted due to timeout');
  const { release } = await held.arrived;
  expect((await world.getRoute()).metadata.labels).toBeUndefined();
  await sent;
  expect(await release()).toBe(200);
  expect((await world.getRoute()).metadata.labels).toEqual({ late: 'yes' });
  await until('the audit log has it', () =>
    calls(api.agentName, before).some(({ verb, code }) => verb === 'patch' && code === 200),
  );
  await api.stop();
});

it('has a Redis that keeps what it acknowledged over a SIGKILL', async () => {
  const redis = await startRedis();
  await redis.kill();
  await redis.restart();
  await redis.loseEverything();
  await redis.stop();
});

it('shows what Prometheus was asked and answered', async () => {
  const metrics = await startMetricsProxy();
  const ask = () => fetch(`${metrics.url}/api/v1/query?query=vector(42)`);
  expect((await ask()).ok).toBe(true);
  metrics.goAway();
  await expect(ask()).rejects.toThrow();
  await metrics.comeBack();
  expect((await ask()).ok).toBe(true);
  expect(metrics.samples.map(({ query, values }) => ({ query, values }))).toEqual([
    { query: 'vector(42)', values: [42] },
    { query: 'vector(42)', values: [42] },
  ]);
  metrics.stop();
});

it('reads the channel as people do', async () => {
  const slack = await startSlack();
  const root = await post(slack, { text: 'world v1 to v2', blocks: [section('*world* v1 to v2')] });
  const button = { type: 'button', action_id: 'approve', text: { type: 'plain_text', text: 'Approve 10%' } };
  const gate = { text: 'Gate 1 of 4', blocks: [section('Go to 10%?'), { type: 'actions', elements: [button] }] };
  const { ts } = await post(slack, { ...gate, thread_ts: root.ts });
  const gates = await slack.gates(root);
  expect(gates.map((each) => each.ts)).toEqual([ts]);
  const [open] = gates;
  if (!open) throw new Error('the gate was seen just now');
  await expect(slack.approve('bo', open)).rejects.toThrow('bo pressed Approve 10%');
  expect((await slack.said(/go to 10%\?/i)).ts).toBe(ts);
  expect(await slack.violations()).toEqual([]);
  await slack.stop();
});

const section = (text: string) => ({ type: 'section', text: { type: 'mrkdwn', text } });

async function post({ env }: Slack, message: object): Promise<Message> {
  const answer = await fetch(`${env.SLACK_API_URL}chat.postMessage`, {
    method: 'POST',
    headers: { 'content-type': 'application/json; charset=utf-8', authorization: `Bearer ${env.SLACK_BOT_TOKEN}` },
    body: JSON.stringify({ channel: 'C0DEPLOYS', ...message }),
  });
  return (await answer.json()) as Message;
}
