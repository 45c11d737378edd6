import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Config,
  imageOf,
  isVersion,
  type PlanRequest,
  planOf,
  stepsOf,
  versionOf,
} from '../../src/core/config.ts';
import { parseConfig } from '../../src/core/parse-config.ts';

const world = {
  namespace: 'hello',
  deployment: 'world',
  image: 'buoyantio/world:{version}',
  traffic: { router: 'gateway-api', route: 'world' },
  access: { deploy: ['S_DEVS'], approve: ['S_APPROVERS'] },
};
const file = { slack: { channel: 'deploys' }, services: { world } };

const service = (over: object) => ({ ...file, services: { world: { ...world, ...over } } });
const withCheck = (check: object, over: object = {}) => ({
  ...service({ ...over, checks: [{ name: 'rate', query: 'linkerd/success-rate', min: 99, ...check }] }),
  metrics: { prometheus: 'http://prometheus:9090' },
});
const withSteps = (...steps: readonly object[]) => ({ ...file, strategies: { mine: steps } });

function read(raw: unknown): Config {
  const parsed = parseConfig(raw);
  if (!parsed.ok) throw new Error(parsed.errors.join('\n'));
  return parsed.config;
}

function errorsOf(raw: unknown): readonly string[] {
  const parsed = parseConfig(raw);
  return parsed.ok ? [] : parsed.errors;
}

const NAMERD = {
  router: 'namerd',
  url: 'http://namerd:4180/',
  namespaces: ['internal', 'external', 'internal'],
  path: '/host/world',
  names: '/srv/world-{version}',
};
const SUBSETS = { router: 'istio', virtualService: 'world', destinationRule: 'world' };
const IN_PLACE = { workload: 'in-place', traffic: { router: 'kubernetes', service: 'world' } };
/** The steps of `canary`, or of another strategy, for a service that is written so. */
const stepsFor = (over: object, strategy = 'canary') => {
  const config = read(service(over));
  const found = config.services.world;
  if (!found) throw new Error('no world');
  return stepsOf(config, found, strategy).steps;
};
const worldOf = (raw: unknown) => {
  const found = read(raw).services.world;
  if (!found) throw new Error('no world');
  return found;
};

describe('the smallest file', () => {
  it('leaves everything else to defaults', () => {
    expect(read(file)).toMatchObject({
      env: 'default',
      slack: { channel: 'deploys', onCall: [], fallbackChannel: null, tables: true, teams: [], perMinute: 60 },
      metrics: { prometheus: null },
    });
    expect(worldOf(file)).toEqual({
      name: 'world',
      target: {
        service: 'world',
        namespace: 'hello',
        deployment: 'world',
        container: null,
        workload: 'twin',
        traffic: { router: 'gateway-api', routes: ['hello/world'] },
      },
      image: 'buoyantio/world:{version}',
      versions: '^[A-Za-z0-9_][\\w.-]{0,127}$',
      channel: 'deploys',
      strategies: ['canary', 'blue-green', 'mirror', 'ab'],
      checks: [],
      tests: [],
      access: { deploy: ['S_DEVS'], approve: ['S_APPROVERS'], abort: [], onCall: [], approvals: 1, fourEyes: true },
      coolDownMs: 30_000,
      readyTimeoutMs: 300_000,
      promoteTimeoutMs: null,
    });
  });

  it('has the built-in canary: preview with test and gate, then 10, 50 and 100', () => {
    const gate = { approvals: 1, timeoutMs: 4 * 3_600_000, onTimeout: 'abort' };
    const route = (weight: number) => ({ weight, preview: null, mirror: null });
    const baked = (weight: number) => ({ route: route(weight), test: false, bakeMs: 60_000, gate });
    const preview = { ...route(0), preview: { header: 'x-canary', value: 'always' } };
    const tried = { route: preview, test: true, bakeMs: 0, gate };
    expect(stepsFor({})).toEqual([tried, baked(10), baked(50), baked(100)]);
    expect(stepsFor({}, 'blue-green')).toEqual([tried, baked(100)]);
    const mirrored = { ...baked(0), route: { ...route(0), mirror: 20 }, test: true };
    expect(stepsFor({}, 'mirror')).toEqual([mirrored, baked(10), baked(50), baked(100)]);
    expect(stepsFor({}, 'ab')).toEqual([{ ...tried, bakeMs: 60_000 }, baked(100)]);
  });

  it('has a canary without preview where the router has none: a test and a gate at weight 0', () => {
    const traffic = { router: 'smi', split: 'world' };
    for (const strategy of ['canary', 'blue-green']) {
      const [first] = stepsFor({ traffic }, strategy);
      expect(first).toMatchObject({ route: { weight: 0, preview: null, mirror: null }, test: true, bakeMs: 0 });
      expect(first?.gate).not.toBeNull();
    }
  });
});

describe('what may be written', () => {
  const check = (raw: object) => worldOf(withCheck(raw)).checks[0];
  const step = (raw: object) => read(withSteps(raw, { weight: 100 })).strategies.mine?.[0];
  it.each([
    [
      'one id instead of a list',
      () => worldOf(service({ access: { deploy: 'U1', approve: 'W2' } })).access.approve,
      ['W2'],
    ],
    ['a channel with #', () => worldOf(service({ channel: '#world' })).channel, 'world'],
    [
      'several routes',
      () => worldOf(service({ traffic: { router: 'gateway-api', routes: ['a', 'edge/b'] } })).target.traffic,
      { router: 'gateway-api', routes: ['hello/a', 'edge/b'] },
    ],
    [
      'dtabs of namerd',
      () => worldOf(service({ traffic: NAMERD })).target.traffic,
      { ...NAMERD, url: 'http://namerd:4180', namespaces: ['internal', 'external'] },
    ],
    [
      'a VirtualService with its subsets',
      () => worldOf(service({ traffic: { ...SUBSETS, virtualService: 'edge/world' } })).target.traffic,
      { router: 'istio', virtualService: 'edge/world', http: [], destinationRule: 'hello/world' },
    ],
    ['a duration in hours', () => worldOf(service({ promoteTimeout: '2h' })).promoteTimeoutMs, 7_200_000],
    ['no cool-down, where a controller confirms the route', () => worldOf(service({ coolDown: '0s' })).coolDownMs, 0],
    [
      'the status of a test left out',
      () => worldOf(service({ tests: [{ name: 'smoke', get: '/' }] })).tests,
      [{ name: 'smoke', get: '/', status: 200 }],
    ],
    [
      'the port of a test, by number and by name',
      () => worldOf(service({ tests: [8080, 'admin'].map((port) => ({ name: `at ${port}`, get: '/', port })) })).tests,
      [
        { name: 'at 8080', get: '/', port: 8080, status: 200 },
        { name: 'at admin', get: '/', port: 'admin', status: 200 },
      ],
    ],
    ['the unit of a rate', () => check({})?.unit, '%'],
    ['the unit of a latency', () => check({ query: 'traefik/latency-p95', min: undefined, max: 500 })?.unit, 'ms'],
    ['a limit as a duration', () => check({ query: 'sum(x)', min: undefined, max: '1s' }), { max: 1000, unit: 'ms' }],
    ['a limit as a number', () => check({ query: 'sum(x)', min: undefined, max: 7 }), { max: 7, unit: '' }],
    ['the defaults of a check', () => check({}), { intervalMs: 15_000, windowMs: 60_000, fails: 2, minRequests: 20 }],
    [
      'PromQL with variables',
      () => check({ query: 'sum(x{a="{{workload}}",b="{{ namespace }}"}[{{window}}]) / y' })?.unit,
      '',
    ],
    ['a step without weight', () => step({ test: true })?.route.weight, 0],
    [
      'a header with a colon in its value',
      () => step({ preview: { header: 'x-user:a:b c ' } })?.route.preview,
      { header: 'x-user', value: 'a:b c' },
    ],
    [
      'gate: true',
      () => step({ weight: 5, gate: true })?.gate,
      { approvals: 1, timeoutMs: 14_400_000, onTimeout: 'abort' },
    ],
    [
      'a gate of its own',
      () => step({ weight: 5, gate: { approvals: 2, onTimeout: 'hold' } })?.gate,
      { approvals: 2, timeoutMs: 14_400_000, onTimeout: 'hold' },
    ],
    ['no gate', () => step({ weight: 5 })?.gate, null],
    [
      'who is on call, in the access of each service',
      () => worldOf({ ...file, slack: { channel: 'c', onCall: 'S_ON' } }).access.onCall,
      ['S_ON'],
    ],
    [
      'a strategy of the file among the defaults',
      () => worldOf(withSteps({ weight: 100 })).strategies,
      ['canary', 'blue-green', 'mirror', 'ab', 'mine'],
    ],
    [
      'by default what an Ingress can carry out',
      () => worldOf(service({ traffic: { router: 'ingress-nginx', ingress: 'world' } })).strategies,
      ['canary', 'blue-green', 'ab'],
    ],
    [
      'by default what a TrafficSplit can carry out',
      () => worldOf(service({ traffic: { router: 'smi', split: 'world' } })).strategies,
      ['canary', 'blue-green'],
    ],
    [
      'by default what namerd can carry out: testers have a preview, users are not told apart',
      () => worldOf(service({ traffic: NAMERD })).strategies,
      ['canary', 'blue-green'],
    ],
    [
      'strategies that are named although the router cannot: it is said when one is typed',
      () => worldOf(service({ traffic: { router: 'smi', split: 'world' }, strategies: ['mirror'] })).strategies,
      ['mirror'],
    ],
    [
      'a pattern of a header',
      () => step({ preview: { header: 'x-user', pattern: '^qa-.*' } })?.route.preview,
      { header: 'x-user', pattern: '^qa-.*' },
    ],
    [
      'a cookie with a = in its value',
      () => step({ preview: { cookie: 'canary=a=b' } })?.route.preview,
      { cookie: 'canary', value: 'a=b' },
    ],
    ['a mirror', () => step({ mirror: 25 })?.route, { weight: 0, preview: null, mirror: 25 }],
    ['another canary', () => read({ ...file, strategies: { canary: [{ weight: 100 }] } }).strategies.canary?.length, 1],
  ])('%s', (_, value, expected) => {
    if (typeof expected === 'object' && expected !== null && !Array.isArray(expected))
      expect(value()).toMatchObject(expected);
    else expect(value()).toEqual(expected);
  });
});

describe('what is wrong is told in one line: the place and the remedy', () => {
  const rows: readonly (readonly [what: string, raw: unknown, line: string])[] = [
    ['an empty file', null, 'the file: write slack, services …, not nothing'],
    ['no channel', { ...file, slack: {} }, "slack.channel: missing; write a channel's name or id"],
    ['an unknown key', { ...file, slak: 1 }, 'slak: unknown key; did you mean "slack"?'],
    [
      'an unknown key that is near nothing',
      { ...file, colours: 1 },
      'colours: unknown key; known: env, slack, metrics, services, strategies',
    ],
    [
      'an unknown key of a service',
      service({ chekcs: [] }),
      'services.world.chekcs: unknown key; did you mean "checks"?',
    ],
    [
      'an unknown key of a check',
      withCheck({ windw: '1m' }),
      'services.world.checks[0].windw: unknown key; did you mean "window"?',
    ],
    [
      'an unknown key of a gate',
      withSteps({ weight: 100, gate: { timout: '1h' } }),
      'strategies.mine[0].gate.timout: unknown key; did you mean "timeout"?',
    ],
    [
      'a service without a name Kubernetes takes',
      { ...file, services: { World: world } },
      'services.World: write a name: lower-case letters, digits and "-", at most 40, not "World"',
    ],
    [
      'a service name that is too long',
      { ...file, services: { ['w'.repeat(41)]: world } },
      `services.${'w'.repeat(41)}: write a name: lower-case letters, digits and "-", at most 40, not "${'w'.repeat(41)}"`,
    ],
    [
      'an image without a version',
      service({ image: 'world:v1' }),
      'services.world.image: write an image with {version} in it, such as team/world:{version}, not "world:v1"',
    ],
    [
      'versions that are no pattern',
      service({ versions: '[' }),
      'services.world.versions: write a regular expression: this one is not valid',
    ],
    [
      'an unknown workload',
      service({ workload: 'triplet' }),
      'services.world.workload: unknown workload "triplet"; known: twin, versioned, in-place',
    ],
    [
      'what Traefik counts where old and new pods share what it counts by',
      withCheck({ query: 'traefik/success-rate' }, IN_PLACE),
      'services.world.checks[0].query: write another preset, or PromQL: those of traefik/ measure by HTTPRoute, which router kubernetes does not have',
    ],
    [
      'PromQL that says the same of old and new pods',
      withCheck({ query: 'up{app="{{ workload }}"}' }, IN_PLACE),
      'services.world.checks[0].query: tell the pods apart, by pod=~"{{pods}}" say: old and new ones share a Deployment and a Kubernetes Service with workload in-place',
    ],
    [
      'versions behind an Ingress, which never says what serves',
      service({ workload: 'versioned', traffic: { router: 'ingress-nginx', ingress: 'world' } }),
      'services.world.traffic.router: the stable Ingress, which says what serves, is never written: use workload twin, or another router with workload versioned',
    ],
    [
      'versions of a Deployment whose name leaves no room for them',
      service({ workload: 'versioned', deployment: 'w'.repeat(41) }),
      'services.world.deployment: write a name of at most 40 characters that begins with a letter: those of the versions begin with it',
    ],
    [
      'an unknown router',
      service({ traffic: { router: 'envoy' } }),
      'services.world.traffic.router: unknown router "envoy"; known: gateway-api, namerd, smi, istio, ingress-nginx, kubernetes',
    ],
    [
      'no router',
      service({ traffic: { route: 'x' } }),
      'services.world.traffic.router: missing; known: gateway-api, namerd, smi, istio, ingress-nginx, kubernetes',
    ],
    [
      'neither route nor routes',
      service({ traffic: { router: 'gateway-api' } }),
      'services.world.traffic: write either route (one HTTPRoute) or routes (several)',
    ],
    [
      'a key of another router',
      service({ traffic: { ...NAMERD, ingress: 'world' } }),
      'services.world.traffic.ingress: unknown key; known: router, url, namespaces, path, names',
    ],
    [
      'a namerd that no controller can be',
      service({ traffic: { ...NAMERD, url: 'http://a:b@namerd:4180' } }),
      'services.world.traffic.url: write an address such as http://namerd:4180, without user or query',
    ],
    [
      'no dtab namespace',
      service({ traffic: { ...NAMERD, namespaces: [] } }),
      'services.world.traffic.namespaces: write at least one dtab namespace',
    ],
    [
      'a dentry that is no prefix',
      service({ traffic: { ...NAMERD, path: 'world' } }),
      'services.world.traffic.path: write a dentry\'s prefix, such as /host/world, not "world"',
    ],
    [
      "a dentry among Sluice's own marks",
      service({ traffic: { ...NAMERD, path: '/sluice/world' } }),
      'services.world.traffic.path: write a dentry\'s prefix, such as /host/world, not "/sluice/world"',
    ],
    [
      'a name of the canary without a place for it',
      service({ traffic: { ...NAMERD, names: '/srv/world-v2' } }),
      'services.world.traffic.names: write the canary\'s name with {version} in it, such as /srv/world-{version}, not "/srv/world-v2"',
    ],
    [
      'subsets where each version has a Kubernetes Service',
      service({ traffic: SUBSETS, workload: 'versioned' }),
      'services.world.traffic.destinationRule: leave it out: only the workload twin keeps both sides behind one Kubernetes Service',
    ],
    [
      'nobody may deploy',
      service({ access: { deploy: [], approve: ['U1'] } }),
      'services.world.access.deploy: write at least one id: nobody may by default',
    ],
    [
      'no word on who approves',
      service({ access: { deploy: ['U1'] } }),
      'services.world.access.approve: missing; write an id or a list of ids (U…, W…, S…)',
    ],
    [
      'a name instead of an id',
      service({ access: { deploy: ['@ana'], approve: ['U1'] } }),
      'services.world.access.deploy[0]: write the id of a Slack person (U…, W…) or user group (S…), not "@ana"',
    ],
    [
      'more approvals than approvers',
      service({ access: { deploy: 'U1', approve: ['U1', 'U1'], approvals: 2 } }),
      'services.world.access.approvals: write at most 1: no more people may approve',
    ],
    [
      'a cool-down that is none, where nothing confirms a route',
      service({ traffic: { router: 'smi', split: 'world' }, coolDown: '0s' }),
      'services.world.coolDown: write at least 1s, better 10s: nothing says when the proxies have a route of smi, and where requests still go to the canary they fail once it is gone',
    ],
    [
      'a preset of Traefik where it serves no HTTPRoute',
      withCheck({ query: 'traefik/success-rate' }, { traffic: { router: 'smi', split: 'world' } }),
      'services.world.checks[0].query: write another preset, or PromQL: those of traefik/ measure by HTTPRoute, which router smi does not have',
    ],
    [
      'a duration without a unit',
      service({ coolDown: 30 }),
      'services.world.coolDown: write a duration such as 30s, not 30',
    ],
    [
      'a check more often than every second',
      withCheck({ interval: '500ms' }),
      'services.world.checks[0].interval: write a duration such as 15s, at least 1s and at most 720h',
    ],
    [
      'an unknown preset',
      withCheck({ query: 'linkred/success-rate' }),
      'services.world.checks[0].query: unknown preset "linkred/success-rate"; did you mean "linkerd/success-rate"? (a division has spaces around /)',
    ],
    [
      'an unknown variable',
      withCheck({ query: 'x{a="{{worklod}}"}' }),
      'services.world.checks[0].query: unknown variable "{{worklod}}"; did you mean "workload"?',
    ],
    [
      'a check without a limit',
      withCheck({ min: undefined }),
      'services.world.checks[0].min: missing; write min or max',
    ],
    [
      'limits the wrong way round',
      withCheck({ min: 5, max: 2 }),
      'services.world.checks[0].min: write at most 2, which is max',
    ],
    [
      'a rate of more than all',
      withCheck({ min: 990 }),
      'services.world.checks[0].min: write a percentage from 0 to 100',
    ],
    [
      'a rate in milliseconds',
      withCheck({ min: undefined, max: '5ms' }),
      'services.world.checks[0].max: write a percentage: this preset has no duration',
    ],
    [
      'a name that every object has',
      withCheck({ name: 'constructor' }),
      'services.world.checks[0].name: write another name: this one is reserved',
    ],
    [
      'checks without Prometheus',
      service({ checks: [{ name: 'a', query: 'x', min: 1 }] }),
      "metrics.prometheus: missing; write Prometheus' address, since services.world has checks",
    ],
    [
      'a password in an address',
      { ...file, metrics: { prometheus: 'http://a:b@c' } },
      'metrics.prometheus: write an address such as http://prometheus:9090, without user or query',
    ],
    [
      'an unknown strategy',
      service({ strategies: ['canery'] }),
      'services.world.strategies[0]: unknown strategy "canery"; did you mean "canary"?',
    ],
    [
      'weights that fall',
      withSteps({ weight: 50 }, { weight: 20 }, { weight: 100 }),
      'strategies.mine[1].weight: write a weight of at least 50: the step before has it, and weights never fall (a step without weight has 0)',
    ],
    [
      'a preview after traffic',
      withSteps({ weight: 50 }, { test: true }, { weight: 100 }),
      'strategies.mine[1].weight: write a weight of at least 50: the step before has it, and weights never fall (a step without weight has 0)',
    ],
    [
      'an end before all traffic',
      withSteps({ weight: 50 }),
      'strategies.mine[0].weight: write 100: the last step carries all traffic',
    ],
    ['no steps', withSteps(), 'strategies.mine: write at least one step'],
    [
      'a step that does nothing',
      withSteps({}, { weight: 100 }),
      'strategies.mine[0]: write what the step does: weight, preview, mirror, test, bake or gate',
    ],
    [
      'half a percent',
      withSteps({ weight: 0.5 }, { weight: 100 }),
      'strategies.mine[0].weight: write a percentage from 0 to 100, not 0.5',
    ],
    [
      'a gate that is a number',
      withSteps({ weight: 100, gate: 2 }),
      'strategies.mine[0].gate: write true, or approvals, timeout, onTimeout, not 2',
    ],
    [
      'a preview of nothing',
      withSteps({ preview: {} }, { weight: 100 }),
      'strategies.mine[0].preview.header: write either a header or a cookie: "x-canary: always", or cookie: "canary=always"',
    ],
    [
      'a preview by header and by cookie',
      withSteps({ preview: { header: 'a: b', cookie: 'c=d' } }, { weight: 100 }),
      'strategies.mine[0].preview.header: write either a header or a cookie: "x-canary: always", or cookie: "canary=always"',
    ],
    [
      'a cookie without a value',
      withSteps({ preview: { cookie: 'canary' } }, { weight: 100 }),
      'strategies.mine[0].preview.cookie: write a cookie and its value, such as "canary=always", not "canary"',
    ],
    [
      'a cookie with a pattern',
      withSteps({ preview: { cookie: 'canary=always', pattern: '.*' } }, { weight: 100 }),
      'strategies.mine[0].preview.pattern: write it with a header: a cookie has one value, such as "canary=always"',
    ],
    [
      'a pattern beside a value',
      withSteps({ preview: { header: 'x-user: qa', pattern: '^qa-' } }, { weight: 100 }),
      'strategies.mine[0].preview.header: write only the header\'s name, since pattern says its value, not "x-user: qa"',
    ],
    [
      'a pattern that is none',
      withSteps({ preview: { header: 'x-user', pattern: '(' } }, { weight: 100 }),
      'strategies.mine[0].preview.pattern: write a regular expression: this one is not valid',
    ],
    [
      'a misspelt key of a preview',
      withSteps({ preview: { heador: 'a: b' } }, { weight: 100 }),
      'strategies.mine[0].preview.heador: unknown key; did you mean "header"?',
    ],
    [
      'copies of more than all',
      withSteps({ mirror: 200 }, { weight: 100 }),
      'strategies.mine[0].mirror: write a percentage of the requests to copy, from 1 to 100, not 200',
    ],
    [
      'a header without a value',
      withSteps({ preview: { header: 'x-canary' } }, { weight: 100 }),
      'strategies.mine[0].preview.header: write a header and its value, such as "x-canary: always", not "x-canary"',
    ],
  ];
  it.each(rows)('%s', (_, raw, line) => {
    expect(errorsOf(raw)).toEqual([line]);
  });

  it('refuses two services on one Deployment or HTTPRoute, however it is written', () => {
    const other = { ...world, traffic: { router: 'gateway-api', routes: ['api', 'hello/world'] } };
    expect(errorsOf({ ...file, services: { world, other } })).toEqual([
      'services.other.deployment: write another one: Deployment hello/world is of services.world',
      'services.other.traffic: write another one: HTTPRoute hello/world is of services.world',
    ]);
  });

  it('refuses two services on one DestinationRule', () => {
    const [first, other] = ['one', 'two'].map((name) => ({
      ...world,
      deployment: name,
      traffic: { ...SUBSETS, virtualService: name },
    }));
    expect(errorsOf({ ...file, services: { first, other } })).toEqual([
      'services.other.traffic: write another one: DestinationRule hello/world is of services.first',
    ]);
  });

  it('refuses two services on one dentry of one dtab', () => {
    const [first, other] = ['one', 'two'].map((deployment, index) => ({
      ...world,
      deployment,
      traffic: { ...NAMERD, namespaces: index === 0 ? ['internal', 'external'] : ['external', 'edge'] },
    }));
    expect(errorsOf({ ...file, services: { first, other } })).toEqual([
      'services.other.traffic: write another one: dtab external of http://namerd:4180, dentry /host/world is of services.first',
    ]);
  });

  it('refuses two checks or tests of one name', () => {
    const twice = [
      { name: 'a', query: 'x', min: 1 },
      { name: 'a', query: 'y', min: 1 },
    ];
    const tests = [
      { name: 'b', get: '/' },
      { name: 'b', get: '/b' },
    ];
    expect(errorsOf({ ...service({ checks: twice, tests }), metrics: { prometheus: 'http://p' } })).toEqual([
      'services.world.checks[1].name: write another name: "a" is taken',
      'services.world.tests[1].name: write another name: "b" is taken',
    ]);
  });

  it('tells everything at once', () => {
    const raw = {
      slack: { chanel: 'x' },
      services: { a: { ...world, coolDown: 1 }, b: { ...world, strategies: ['nope'] } },
      strategies: { s: [{ weight: 101 }] },
    };
    expect(errorsOf(raw)).toEqual([
      "slack.channel: missing; write a channel's name or id",
      'slack.chanel: unknown key; did you mean "channel"?',
      'services.a.coolDown: write a duration such as 30s, not 1',
      'strategies.s[0].weight: write a percentage from 0 to 100, not 101',
      'services.b.strategies[0]: unknown strategy "nope"; known: canary, blue-green, mirror, ab, rolling, s',
    ]);
  });

  it('never throws, whatever the file holds', () => {
    const known = fc.constantFrom('slack', 'services', 'strategies', 'metrics', 'env', 'world', 'traffic', '__proto__');
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.string(),
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('value')),
        fc.dictionary(known, tie('value')),
      ),
    }));
    fc.assert(fc.property(value, (raw) => void parseConfig(raw)));
  });
});

describe('a plan', () => {
  const config = read({
    ...withCheck({}),
    env: 'prod',
    services: {
      world: {
        ...world,
        checks: [{ name: 'rate', query: 'linkerd/success-rate', min: 99 }],
        tests: [{ name: 'smoke', get: '/' }],
        strategies: ['mine', 'canary'],
        access: { ...world.access, approvals: 2 },
      },
    },
    strategies: { mine: [{ weight: 50, gate: { approvals: 3 } }, { weight: 60 }, { weight: 100, gate: true }] },
  });
  const request: PlanRequest = {
    service: 'world',
    kind: 'deploy',
    version: 'v2',
    from: 'v1',
    strategy: null,
    template: null,
    image: null,
    container: 'app',
    requester: { kind: 'person', user: 'U1', name: 'ana' },
    reason: 'login',
    channelId: 'C1',
    warnings: ['careful'],
  };

  it('holds everything the rollout will need', () => {
    expect(planOf(config, request)).toMatchObject({
      kind: 'deploy',
      env: 'prod',
      target: { service: 'world', container: 'app', deployment: 'world' },
      version: 'v2',
      from: 'v1',
      image: 'buoyantio/world:v2',
      strategy: 'mine',
      checks: [{ name: 'rate' }],
      tests: [{ name: 'smoke' }],
      access: { deploy: ['S_DEVS'], approvals: 2 },
      channel: 'C1',
      reason: 'login',
      warnings: ['careful'],
      coolDownMs: 30_000,
    });
  });

  it('takes the strategy that was asked for', () => {
    expect(planOf(config, { ...request, strategy: 'canary' })).toMatchObject({
      strategy: 'canary',
      steps: { length: 4 },
    });
  });

  it('asks at every gate for at least as many approvals as the service does', () => {
    expect(planOf(config, request).steps.map((step) => step.gate?.approvals)).toEqual([3, undefined, 2]);
  });

  it.each([
    ["the service's own", 1000, 2000, 1000],
    ["the Deployment's", null, 2000, 2000],
    ['what Kubernetes takes by default', null, undefined, 600_000],
  ])('waits for a promotion as long as %s', (_, promoteTimeoutMs, progressDeadlineMs, expected) => {
    const services = { world: { ...worldOf(file), promoteTimeoutMs } };
    const known = progressDeadlineMs === undefined ? {} : { progressDeadlineMs };
    expect(planOf({ ...config, services }, { ...request, strategy: 'canary', ...known }).promoteTimeoutMs).toBe(
      expected,
    );
  });

  it('of a rollback goes to all traffic at once, without gates, checks and tests', () => {
    const template = { spec: {} };
    const plan = planOf(config, { ...request, kind: 'rollback', version: 'v1', image: 'old/world:v1', template });
    expect(plan).toMatchObject({
      kind: 'rollback',
      strategy: 'rollback',
      image: 'old/world:v1',
      template,
      checks: [],
      tests: [],
    });
    expect(plan.steps).toEqual([
      { route: { weight: 100, preview: null, mirror: null }, test: false, bakeMs: 0, gate: null },
    ]);
  });

  it('is not made of a service or strategy that nobody configured', () => {
    expect(() => planOf(config, { ...request, service: 'toString' })).toThrow('no service "toString"');
    expect(() => planOf(config, { ...request, strategy: 'toString' })).toThrow('no strategy "toString"');
    expect(config.services.toString).toBeUndefined();
  });
});

describe('images and versions', () => {
  const pattern = 'registry.example/team/world:{version}';
  it.each([
    ['a tag', pattern, 'registry.example/team/world:v2', 'v2'],
    ['a tag with a digest', pattern, 'registry.example/team/world:v2@sha256:00ff', 'v2'],
    ['something after the version', 'world:{version}-slim', 'world:v2-slim', 'v2'],
    ['another image', pattern, 'registry.example/team/hello:v2', null],
    ['no tag', pattern, 'registry.example/team/world', null],
    ['an empty tag', pattern, 'registry.example/team/world:', null],
    ['more than a tag', 'world{version}', 'world/other:v2', null],
    ['less than what surrounds the version', 'a-{version}-a', 'a-a', null],
  ])('of %s', (_, image, given, version) => {
    expect(versionOf(image, given)).toBe(version);
  });

  it('an image gives back the version it was made of', () => {
    const tag = fc.stringMatching(/^[A-Za-z0-9_][\w.-]{0,40}$/);
    const patterns = fc.constantFrom(pattern, 'world:{version}', 'world:{version}-slim', 'w:a{version}a');
    fc.assert(
      fc.property(patterns, tag, (image, version) => {
        expect(versionOf(image, imageOf({ image }, version))).toBe(version);
      }),
    );
  });

  it('takes what people type literally', () => {
    expect(imageOf({ image: 'world:{version}' }, '$&{version}')).toBe('world:$&{version}');
  });

  it.each([
    ['v2', '^v[0-9][\\w.-]*$', true],
    ['2', '^v[0-9][\\w.-]*$', false],
    ['v2;rm', '^v[0-9][\\w.-]*$', false],
    ['v2\n', '^v[0-9][\\w.-]*$', false],
    ['xv2x', 'v[0-9]', false],
    ['v2', 'v1|v2', true],
    ['v22', 'v1|v2', false],
    ['latest', '.*', false],
    ['a'.repeat(129), '.*', false],
    ['', '.*', true],
  ])('%j by the pattern %s: %s', (version, versions, matches) => {
    expect(isVersion({ versions }, version)).toBe(matches);
  });
});
