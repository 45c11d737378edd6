/** What `doctor` says of a world in which exactly one thing is wrong: one line, which names the place and the remedy. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { parse } from 'yaml';
import { kinds } from '../../playground/api-server/kinds.ts';
import type { HttpRoute } from '../../playground/api-server/objects.ts';
import type { Verb } from '../../src/adapters/kubernetes/rights.ts';
import { diagnose } from '../../src/cli/doctor.ts';
import { type PrivateRedis, startPrivateRedis, withRedis } from '../support/redis.ts';
import { type Config, type Office, openOffice } from './support.ts';

let office: Office;
let redis: PrivateRedis;
beforeAll(async () => {
  redis = await startPrivateRedis();
  await configureRedis('appendonly', 'yes');
});
afterAll(() => redis.stop());
beforeEach(async () => {
  office = await openOffice();
  const { playground } = office;
  const users = playground.load({ perSecond: 50, host: 'world.example' });
  await expect.poll(() => users.counts().versions.v1, { interval: 20 }).toBeDefined();
  await users.stop();
  await expect.poll(hasRates, { interval: 20 }).toBe(true);
});
afterEach(() => office.close());

/** After two looks at the same counters. */
async function hasRates(): Promise<boolean> {
  office.playground.scrape();
  const query = encodeURIComponent('sum(rate(response_total[1m]))');
  const answer = await fetch(`${office.playground.prometheusUrl}/api/v1/query?query=${query}`);
  return (await answer.text()).includes('"value"');
}

const configureRedis = (key: string, value: string) =>
  withRedis(redis.url, (client) => client.config('SET', key, value));

type Variables = Record<string, string | undefined>;

const look = async (more: Variables = {}) =>
  (await diagnose({ ...office.environment, REDIS_URL: redis.url, ...more })).map(({ level, subject, text }) =>
    `${level} ${subject}: ${text}`.replaceAll(office.file, 'sluice.yaml').replaceAll(/127\.0\.0\.1:\d+/g, 'here'),
  );

/** Every line that is not "ok". */
const wrong = async (more?: Variables) => (await look(more)).filter((line) => !line.startsWith('ok '));

it('all is well: ok of each thing', async () => {
  expect(await look()).toEqual([
    'ok environment: complete',
    'ok sluice.yaml: world',
    'ok Redis: here keeps what it acknowledges',
    'ok Slack: the bot is @sluice in T-ACME',
    'ok Slack scopes: complete',
    'ok channel deploys: the bot is in it',
    'ok user group S_DEVS: may deploy world: 2 members',
    'ok user group S_APPROVERS: may approve world: 2 members',
    'ok Kubernetes: the API server answers',
    'ok service world: Deployment hello/world serves v1, routed by HTTPRoute hello/world',
    'ok Prometheus: http://here answers',
    'ok check "success rate" of world: its series are there, without requests in the last minutes',
  ]);
});

it('writes nothing: not in the cluster, not in Redis, not in Slack', async () => {
  const keys = () => withRedis(redis.url, (client) => client.keys('*'));
  office.playground.api.forget();
  await look();
  const verbs = office.playground.api.requests({ userAgent: 'sluice' }).map(({ verb }) => verb);
  expect([...new Set(verbs)].sort()).toEqual(['list', 'watch']);
  expect(await keys()).toEqual([]);
  const reading = /^(auth\.test|conversations\.(list|info)|usergroups\.users\.list|users\.info)$/;
  expect(office.slack.calls.map(({ method }) => method).filter((method) => !reading.test(method))).toEqual([]);
});

const ENVIRONMENT: readonly (readonly [string, Variables, string])[] = [
  ['no REDIS_URL', { REDIS_URL: undefined }, 'fail environment: REDIS_URL: set it to the address of Redis'],
  ['a bot token that is none', { SLACK_BOT_TOKEN: 'sekret' }, 'fail environment: SLACK_BOT_TOKEN: set it to the bot'],
  ['a wrong bot token', { SLACK_BOT_TOKEN: 'xoxb-other' }, 'fail Slack: invalid_auth: correct SLACK_BOT_TOKEN'],
  [
    'a wrong app token',
    { SLACK_APP_TOKEN: 'xapp-other' },
    'fail Slack app token: Slack refuses it for Socket Mode (invalid_auth): set SLACK_APP_TOKEN',
  ],
  ['no Slack', { SLACK_API_URL: 'http://127.0.0.1:1/api/' }, 'fail Slack: A request error occurred'],
  [
    'no Redis',
    { REDIS_URL: 'redis://127.0.0.1:1' },
    'fail Redis: Redis at here cannot be used (connect ECONNREFUSED here): start it, or correct REDIS_URL.',
  ],
  [
    'no kubeconfig',
    { KUBECONFIG: 'nowhere/config' },
    'fail Kubernetes: KUBECONFIG nowhere/config: it cannot be read (ENOENT',
  ],
  [
    'no sluice.yaml',
    { SLUICE_CONFIG: 'nowhere/sluice.yaml' },
    'fail nowhere/sluice.yaml: there is no such file; write it, or set SLUICE_CONFIG',
  ],
];

it.each(ENVIRONMENT)('%s: one line', async (_, more, line) => {
  const [first = '', ...others] = await wrong(more);
  expect(first.slice(0, line.length)).toBe(line);
  // The rest waits for the file.
  expect(others.filter((other) => !other.includes('looked at when it is right'))).toEqual([]);
});

it('a Redis that forgets or drops: a warning each', async () => {
  await configureRedis('appendonly', 'no');
  await configureRedis('maxmemory-policy', 'allkeys-lru');
  try {
    expect(await wrong()).toEqual([
      'warn Redis: Redis has appendonly off: its restart loses every rollout. Set "appendonly yes".',
      'warn Redis: Redis has maxmemory-policy allkeys-lru: it drops rollouts when it is full. Set "maxmemory-policy noeviction".',
    ]);
  } finally {
    await configureRedis('appendonly', 'yes');
    await configureRedis('maxmemory-policy', 'noeviction');
  }
});

it('a Redis with a password that nobody gave: the remedy', async () => {
  await withRedis(redis.url, async (client) => {
    await client.config('SET', 'requirepass', 'sekret');
    try {
      expect(await wrong()).toEqual([
        expect.stringMatching(/^fail Redis: Redis at here refuses the password \(NOAUTH\): write it into REDIS_URL\.$/),
      ]);
    } finally {
      await client.config('SET', 'requirepass', '');
    }
  });
});

const { oauth_config: wantedOf } = parse(readFileSync('manifests/slack/socket-mode.yaml', 'utf8'));

it.each<string>(wantedOf.scopes.bot)('the scope %s is missing: one line', async (scope) => {
  const { workspace } = office.slack;
  workspace.scopes.splice(workspace.scopes.indexOf(scope), 1);
  const gone = { 'usergroups:read': 'usergroups.users.list', 'channels:read': 'conversations.list' }[scope];
  if (gone) office.slack.fail({ kind: 'error', error: 'missing_scope' }, { method: gone });
  expect(await wrong()).toEqual([
    expect.stringMatching(
      new RegExp(
        `^fail Slack scopes: Slack scope ${scope} is missing \\(.*\\): add it under "OAuth & Permissions" and install`,
      ),
    ),
  ]);
});

const SLACK: readonly (readonly [string, (config: Config) => unknown, RegExp])[] = [
  [
    'the bot is not in the channel',
    ({ slack }) => Object.assign(slack, { channel: 'random' }),
    /^fail channel random: #random: the bot is not in this channel, invite the bot there: `\/invite @sluice`/,
  ],
  [
    'there is no such channel',
    ({ slack }) => Object.assign(slack, { fallbackChannel: 'opps' }),
    /^fail channel opps: #opps: no such channel.*Check the name in sluice\.yaml/,
  ],
  [
    'a user group cannot be read',
    ({ services }) => Object.assign(services.world.access, { abort: 'S_NOBODY' }),
    /^fail user group S_NOBODY: may abort world, but the bot cannot read its members \(no_such_subteam\): check the id in sluice\.yaml/,
  ],
  [
    'a guest may approve',
    ({ services }) => Object.assign(services.world.access, { approve: ['S_APPROVERS', 'U0ELI'] }),
    /^warn person U0ELI: may approve world, but is no full member of the workspace/,
  ],
];

it.each(SLACK)('%s: one line', async (_, change, line) => {
  office.write(change);
  expect(await wrong()).toEqual([expect.stringMatching(line)]);
});

it('an empty user group: a warning', async () => {
  office.slack.workspace.groups.S_APPROVERS = [];
  expect(await wrong()).toEqual([
    'warn user group S_APPROVERS: may approve world, but it is empty: add people to it in Slack.',
  ]);
});

it('Prometheus is away: one line, and none for its checks', async () => {
  await office.playground.prometheus.stop();
  expect(await wrong()).toEqual([
    'fail Prometheus: http://here: Prometheus does not answer (ECONNREFUSED). Correct metrics.prometheus in sluice.yaml, or let the bot reach it.',
  ]);
});

it.each([
  [
    'a query that finds no series',
    'sum(nothing)',
    /^warn .*sum\(nothing\) finds no series.*: try the query in Prometheus/,
  ],
  ['a query that is none', 'sum(', /^fail check "mine" of world: .*parse error.*: correct query in sluice\.yaml/],
])('%s: one line', async (_, query, line) => {
  office.write(({ services }) => {
    services.world.checks = [{ name: 'mine', query, min: 1 }];
  });
  expect(await wrong()).toEqual([expect.stringMatching(line)]);
});

it.each([
  ['linkerd/success-rate', "mesh the Deployment's pods with Linkerd"],
  ['traefik/success-rate', "turn on Traefik's Prometheus metrics"],
])('%s finds no series: one line with where they come from', async (query, remedy) => {
  await office.close();
  office = await openOffice();
  office.write(({ services }) => {
    services.world.checks = [{ name: 'mine', query, min: 1 }];
  });
  expect(await wrong()).toEqual([
    expect.stringContaining(
      `warn check "mine" of world: ${query} finds no series, so its gates will say "no data": ${remedy}`,
    ),
  ]);
});

// ---- the cluster -----------------------------------------------------------------------------------------------------

/** Every right of the Role that the manifests grant. */
const RIGHTS: readonly { readonly verb: Verb; readonly resource: string }[] = parse(
  readFileSync('manifests/namespace/role.yaml', 'utf8'),
).rules.flatMap(({ resources, verbs }: { resources: readonly string[]; verbs: readonly Verb[] }) =>
  resources.flatMap((resource) => verbs.map((verb) => ({ verb, resource }))),
);

it('each right missing in turn: one line with what does not work and what to add to the Role', async () => {
  const { api, store } = office.playground;
  const { rights } = api;
  store.create(kinds.autoscalers, autoscaler());
  for (const { verb, resource } of RIGHTS) {
    // Only a route elsewhere needs a grant; and without TLS policies a rollout can do.
    if (resource === 'referencegrants' || resource === 'backendtlspolicies') continue;
    rights.deny({ verb, resource });
    expect(await wrong(), `without ${verb} ${resource}`).toEqual([
      expect.stringMatching(
        new RegExp(
          `^fail service world: The bot may not ${verb} ${resource} in namespace hello, so it cannot .+: add to its Role: - .*"${resource}".*\\[${verb}\\]`,
        ),
      ),
    ]);
    rights.allowEverything();
  }
}, 60_000);

it('the right to see TLS policies missing: one line that warns, with what to add to the Role', async () => {
  office.playground.api.rights.deny({ verb: 'list', resource: 'backendtlspolicies' });
  expect(await wrong()).toEqual([
    expect.stringMatching(
      /^warn service world: The bot may not list backendtlspolicies in namespace hello, so it cannot .+: add to its Role: - .*\[list\]/,
    ),
  ]);
});

it('an HTTPRoute in another namespace: the rights there, and to read the grants here', async () => {
  office.write(({ services }) => Object.assign(services.world.traffic, { route: 'edge/world' }));
  office.playground.api.rights.deny(
    { verb: 'patch', resource: 'httproutes', namespace: 'edge' },
    { verb: 'list', resource: 'referencegrants' },
  );
  expect(await wrong()).toEqual([
    expect.stringMatching(
      /may not list referencegrants in namespace hello, so it cannot see whether a route .*: add to/,
    ),
    expect.stringMatching(/may not patch httproutes in namespace edge, so it cannot move traffic: add to its Role/),
  ]);
});

it('an expired kubeconfig: one line', async () => {
  const path = join(office.folder, 'expired');
  const { token } = office.playground.api;
  writeFileSync(path, readFileSync(office.playground.kubeconfig, 'utf8').replace(token, 'expired'));
  expect(await wrong({ KUBECONFIG: path })).toEqual([
    'fail Kubernetes: The API server does not take the credentials (401 Unauthorized): they have expired or belong to another cluster; renew the kubeconfig that KUBECONFIG names.',
  ]);
});

it('an API server that is away: one line', async () => {
  await office.playground.api.stop();
  expect(await wrong()).toEqual([
    expect.stringMatching(/^fail Kubernetes: .*ECONNREFUSED here: check that KUBECONFIG names the right cluster/),
  ]);
});

const refs = (rules: HttpRoute['spec']['rules']) => rules[0]?.backendRefs ?? [];

function changeRules(change: (rules: HttpRoute['spec']['rules']) => HttpRoute['spec']['rules']): void {
  const { store } = office.playground;
  const route = store.get(kinds.httpRoutes, 'hello', 'world');
  if (!route) throw new Error('the world has a route');
  store.update(kinds.httpRoutes, { ...route, spec: { ...route.spec, rules: change(route.spec.rules) } }, 'main');
}

/** Selected by `tier`, which Sluice does not change; the Kubernetes Service goes along. */
function relabel(): void {
  const { store } = office.playground;
  const [deployment, service] = [
    store.get(kinds.deployments, 'hello', 'world'),
    store.get(kinds.services, 'hello', 'world'),
  ];
  if (!deployment || !service) throw new Error('the world has a Deployment and a Kubernetes Service');
  const labels = { tier: 'web' };
  const template = { ...deployment.spec.template, metadata: { labels } };
  const metadata = { name: 'world', namespace: 'hello' };
  store.remove(kinds.deployments, 'hello', 'world');
  store.create(kinds.deployments, {
    ...deployment,
    metadata,
    spec: { ...deployment.spec, selector: { matchLabels: labels }, template },
  });
  store.update(kinds.services, { ...service, spec: { ...service.spec, selector: labels } }, 'main');
}

const autoscaler = (labels: Readonly<Record<string, string>> = {}) => ({
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { name: 'world', namespace: 'hello', labels },
  spec: {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'world' },
    minReplicas: 1,
    maxReplicas: 3,
  },
});
const BUDGET = {
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: { name: 'world', namespace: 'hello' },
  spec: { minAvailable: 1, selector: { matchLabels: { app: 'world' } } },
};

const CLUSTER: readonly (readonly [string, () => unknown, RegExp])[] = [
  [
    'no HTTPRoute',
    () => office.write(({ services }) => Object.assign(services.world.traffic, { route: 'wrold' })),
    /^fail service world: HTTPRoute hello\/wrold does not exist: name an existing one in traffic\.route/,
  ],
  [
    'a rule that shares its traffic with others',
    () => {
      const { store } = office.playground;
      const service = store.get(kinds.services, 'hello', 'world');
      if (!service) throw new Error('the world has a Kubernetes Service');
      const { ports = [] } = service.spec;
      store.create(kinds.services, { ...service, metadata: { name: 'other', namespace: 'hello' }, spec: { ports } });
      changeRules((rules) => [
        {
          ...rules[0],
          matches: [],
          backendRefs: [...refs(rules), ...refs(rules).map((ref) => ({ ...ref, name: 'other' }))],
        },
      ]);
    },
    /^fail service world: HTTPRoute hello\/world: world shares these rules with other backends.*1\. \/ to world, other/,
  ],
  [
    'a preview that its route has no room for',
    () => {
      office.write(({ services }) => Object.assign(services.world, { strategies: ['canary'] }));
      const more = (rules: HttpRoute['spec']['rules'], n: number) => ({
        matches: [{ path: { type: 'PathPrefix' as const, value: `/${n}` } }],
        backendRefs: refs(rules),
      });
      changeRules((rules) => [...rules, ...Array.from({ length: 15 }, (_, n) => more(rules, n))]);
    },
    /^fail service world: HTTPRoute hello\/world has no room for preview rules/,
  ],
  [
    'labels without a usable key',
    relabel,
    /^fail service world: Deployment hello\/world selects its pods by none of app, app\.kubernetes\.io\/name, name/,
  ],
  [
    "KEDA's autoscaler",
    () => void office.playground.store.create(kinds.autoscalers, autoscaler({ 'scaledobject.keda.sh/name': 'load' })),
    /^fail service world: HorizontalPodAutoscaler hello\/world belongs to KEDA's ScaledObject load, .*pause that/,
  ],
  [
    'a PodDisruptionBudget for stable only',
    () => void office.playground.store.create(kinds.disruptionBudgets, BUDGET),
    /^warn service world: PodDisruptionBudget hello\/world selects stable pods only: it does not protect the canary/,
  ],
  [
    'an image of another name',
    () => office.write(({ services }) => Object.assign(services.world, { image: 'team/world:{version}' })),
    /^warn service world: its image does not follow team\/world:\{version\}: correct image in sluice\.yaml/,
  ],
];

it.each(CLUSTER)('%s: one line', async (_, change, line) => {
  change();
  expect(await wrong()).toEqual([expect.stringMatching(line)]);
});

it('a strategy that copies requests: whether the Gateway can', async () => {
  office.write(({ services }) => {
    services.world.strategies = ['brisk', 'mirror'];
  });
  expect(await look()).toContain('ok service world: requests can be copied (mirror)');
  const found = office.playground.store.get(kinds.gatewayClasses, '', 'proxy');
  if (!found) throw new Error('the world has a GatewayClass');
  office.playground.store.update(kinds.gatewayClasses, { ...found, status: {} }, 'status');
  expect(await wrong()).toEqual([
    expect.stringMatching(
      /^warn service world: mirror would be refused\. .*GatewayClass proxy does not list HTTPRouteRequestMirror/,
    ),
  ]);
});

it('two rules that qualify are both routed: said, with what to do if one should not', async () => {
  changeRules((rules) => [
    ...rules,
    { matches: [{ path: { type: 'PathPrefix', value: '/v2' } }], backendRefs: refs(rules) },
  ]);
  expect(await wrong()).toEqual([
    expect.stringMatching(
      /^warn service world: HTTPRoute hello\/world: 2 rules send to world.*Move a rule to a route of its own/,
    ),
  ]);
});

it('what hangs hides nothing else, and nothing takes longer than 5 s for each step', async () => {
  office.slack.fail({ kind: 'hang' });
  office.playground.api.disturb({ resource: 'deployments', times: 100, effect: { kind: 'hang' } });
  office.playground.prometheus.disturb({ kind: 'hang' });
  const lines = await look();
  expect(lines.filter((line) => line.startsWith('fail')).map((line) => line.split(':')[0])).toEqual([
    'fail Slack',
    'fail service world',
    'fail Prometheus',
  ]);
}, 15_000);

it('several things at once are all said, with exit code 1', async () => {
  office.write(({ services }) => Object.assign(services.world, { deploymnet: 'world' }));
  const { code, out } = await office.sluice(['doctor'], { REDIS_URL: redis.url, SLACK_BOT_TOKEN: undefined });
  expect(code).toBe(1);
  expect(out).toContain('FAIL  environment: SLACK_BOT_TOKEN: set it');
  expect(out).toContain(`FAIL  ${office.file}: services.world.deploymnet: unknown key; did you mean "deployment"?`);
  expect(out).toContain('ok    Kubernetes: the API server answers');
});

it('when all is well it ends with 0', async () => {
  expect(await office.sluice(['doctor'], { REDIS_URL: redis.url })).toMatchObject({ code: 0, err: '' });
});
