/** The manifests on a real API server: valid, restricted, and enough for everything the bot does, with nothing to spare. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { purposeOf } from '../../src/adapters/kubernetes/needs.ts';
import { diagnose } from '../../src/cli/doctor.ts';
import { type Account, createAccount, type Manifest, type Rule, readManifests, roleRules } from './support/account.ts';
import { type History, watchHistory } from './support/history.ts';
import { apiServer, createKube, type Meta } from './support/kube.ts';
import { freePort, type Running, start } from './support/processes.ts';
import { startRedis } from './support/redis.ts';
import { deploy, expectOneResult } from './support/rollout.ts';
import { type Slack, startSlack, wordsOf } from './support/slack.ts';
import { until } from './support/wait.ts';
import { createWorld, marksOf, type World } from './support/world.ts';

const kube = createKube();
const suffix = randomBytes(3).toString('hex');

describe('applied as they are', () => {
  const names: Readonly<Record<string, string>> = { sluice: `e2e-sluice-${suffix}`, hello: `e2e-hello-${suffix}` };
  const all = [...readManifests('manifests/demo'), ...readManifests('manifests/examples')];

  beforeAll(() => {
    // A warning of Pod Security, of a deprecated version or of an unknown field is an error.
    const input = all.map((one) => stringify(moved(one, names))).join('---\n');
    kubectl(['apply', '--warnings-as-errors', '--validate=strict', '-f', '-'], input);
  });
  afterAll(async () => {
    for (const name of Object.values(names)) await kube.delete(`/api/v1/namespaces/${name}`);
  });

  it.each(['sluice', 'hello'])('Pod Security "restricted" takes the pods of %s, and no others', async (name) => {
    const namespace = names[name] ?? '';
    const deployment = name === 'hello' ? 'world' : name;
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/${deployment}`;
    type Status = { status: { replicas?: number; conditions?: readonly { type: string; message: string }[] } };
    const made = await until('both pods are made', async () => {
      const { status } = await kube.get<Status>(path);
      const refused = status.conditions?.find(({ type }) => type === 'ReplicaFailure');
      return refused?.message ?? (status.replicas === 2 && 'made');
    });
    expect(made).toBe('made');
    const loose = { metadata: { name: 'loose' }, spec: { containers: [{ name: 'a', image: 'a' }] } };
    await expect(kube.create(`/api/v1/namespaces/${namespace}/pods`, loose)).rejects.toThrow(/violates PodSecurity/);
  });

  it('grant nothing cluster-wide', () => {
    expect(all.filter(({ kind }) => /^Cluster/.test(kind))).toEqual([]);
  });

  it('the bot mounts sluice.yaml as it is in the example', () => {
    const config = all.find(({ kind }) => kind === 'ConfigMap');
    const { services } = parse(String(Object(config?.data)['sluice.yaml']));
    expect(Object.keys(services)).toEqual(['world']);
  });
});

describe('the examples of traffic systems', () => {
  const names = { hello: `e2e-examples-${suffix}` };
  const folder = (name: string) => join('manifests/examples', name);
  const worlds = readdirSync('manifests/examples').filter((name) => existsSync(join(folder(name), 'world.yaml')));
  const tryOut = (manifests: readonly Manifest[]) => {
    const args = ['apply', '--server-side', '--dry-run=server', '--validate=strict', '--warnings-as-errors', '-f', '-'];
    return kubectl(args, manifests.map((one) => stringify(moved(one, names))).join('---\n'));
  };
  const worldOf = (name: string): readonly Manifest[] =>
    parseAllDocuments(readFileSync(join(folder(name), 'world.yaml'), 'utf8')).map((document) => document.toJS());

  beforeAll(() => kube.create('/api/v1/namespaces', { metadata: { name: names.hello } }));
  afterAll(() => kube.delete(`/api/v1/namespaces/${names.hello}`));

  it.each(worlds)('%s: the API server takes its world, and the rights of the bot in it', (name) => {
    const world = worldOf(name);
    const rights = existsSync(join(folder(name), 'kustomization.yaml')) ? readManifests(folder(name)) : [];
    const taken = tryOut([...world, ...rights])
      .trim()
      .split('\n');
    expect(taken).toHaveLength(world.length + rights.length);
    expect(taken).toEqual(taken.map(() => expect.stringContaining('serverside-applied (server dry run)')));
  });

  it('a field that nobody knows would be told', () => {
    const [first, ...others] = worldOf('istio-subsets').toReversed();
    expect(first?.kind).toBe('VirtualService');
    const wrong = { ...first, spec: { ...Object(first?.spec), htpp: [] } } as Manifest;
    expect(() => tryOut([...others, wrong])).toThrow(/htpp/);
  });
});

describe("with the ServiceAccount's rights only", () => {
  const home = `e2e-bot-${suffix}`;
  let world: World;
  let account: Account;
  let slack: Slack;
  let redis: Awaited<ReturnType<typeof startRedis>>;
  let folder: string;
  let environment: Record<string, string>;

  beforeAll(async () => {
    await kube.create('/api/v1/namespaces', { metadata: { name: home } });
    world = await createWorld(kube);
    await kube.create(scalers(), {
      metadata: { name: 'world' },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'world' },
        minReplicas: 1,
        maxReplicas: 4,
      },
    });
    account = await createAccount(kube, home, [world.namespace]);
    slack = await startSlack();
    redis = await startRedis();
    folder = mkdtempSync(join(tmpdir(), 'sluice-e2e-manifests-'));
    writeFileSync(join(folder, 'sluice.yaml'), stringify(configFor(world)));
    environment = {
      PATH: process.env.PATH ?? '',
      HOME: process.env.HOME ?? '',
      ...slack.env,
      REDIS_URL: redis.url,
      KUBECONFIG: account.kubeconfig,
      SLUICE_CONFIG: join(folder, 'sluice.yaml'),
    };
  });
  afterAll(async () => {
    account.remove();
    rmSync(folder, { recursive: true, force: true });
    await slack.stop();
    await redis.stop();
    await world.remove();
    await kube.delete(`/api/v1/namespaces/${home}`);
  });

  const scalers = () => `/apis/autoscaling/v2/namespaces/${world.namespace}/horizontalpodautoscalers`;
  type Scaler = { readonly metadata: Meta; readonly spec: { readonly minReplicas: number } };
  const scaler = () => kube.get<Scaler>(`${scalers()}/world`);

  const doctor = async (more: Record<string, string | undefined> = {}) =>
    (await diagnose({ ...environment, ...more }))
      .filter(({ level }) => level !== 'ok')
      .map(({ level, subject, text }) => `${level} ${subject}: ${text}`);
  /** Without Slack, which would ask to wait if it were looked at so often. */
  const doctorOfCluster = async (more: Record<string, string | undefined> = {}) =>
    (await doctor({ ...more, SLACK_BOT_TOKEN: undefined })).filter((line) => /^fail (service|Kubernetes)/.test(line));

  it('doctor finds nothing wrong', async () => {
    await world.users.send(5);
    // Its cool-down is as short as a test wants it.
    const expected = /^warn check|gets its minReplicas back 1 s \(coolDown\)/;
    expect((await doctor()).filter((line) => !expected.test(line))).toEqual([]);
  });

  describe('a bot', () => {
    let bot: Running;
    let history: History;
    beforeAll(async () => {
      history = await watchHistory(world);
      const port = await freePort();
      const args = ['--disable-warning=ExperimentalWarning', 'src/main.ts'];
      bot = start(process.execPath, args, { ...environment, PORT: `${port}`, LOG_LEVEL: 'debug' });
      const isReady = async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
      await until('the bot is ready', isReady, { seen: bot.output });
    });
    afterAll(async () => {
      await bot.kill();
      await history.stop();
    });

    const newest = async () =>
      (await slack.all())
        .map(({ ts }) => ts)
        .toSorted()
        .at(-1) ?? '0';
    /** What only ana reads when she has typed it. */
    const answerTo = async (text: string) => {
      const after = await newest();
      await slack.deploy('ana', text);
      return wordsOf(await slack.said(/\bworld\b/, { to: 'ana', after }));
    };
    const tryOut = () => answerTo('world v2 short --dry-run');

    it.each(eachVerb().filter(([, resource]) => resource !== WARNED))(
      'without %s %s it cannot %s: says so, and touches nothing',
      async (verb, resource, to, line) => {
        const before = await world.marks();
        await account.allow(world.namespace, without(verb, resource));
        const said = `The bot may not ${verb} ${resource} in namespace ${world.namespace}, so it cannot ${to}: add to its Role: ${line}`;
        await until('the API server has heard of it', async () => (await tryOut()).includes(said));
        const answer = await answerTo('world v2 short');
        expect(answer.split('\n')).toEqual(['*world v2 was not started*, nothing was touched:', `• ${said}`]);
        expect(await doctorOfCluster()).toEqual([`fail service world: ${said}`]);
        expect(await world.marks()).toEqual(before);
        await account.allow(world.namespace, roleRules());
        // It would be refused as busy, had a rollout been recorded.
        await until('the right counts again', async () => (await tryOut()).startsWith('*Dry run: world v2'));
      },
    );

    it.each(eachVerb().filter(([, resource]) => resource === WARNED))(
      'without %s %s it cannot %s: warns, and would begin',
      async (verb, resource, to, line) => {
        await account.allow(world.namespace, without(verb, resource));
        const said = `The bot may not ${verb} ${resource} in namespace ${world.namespace}, so it cannot ${to}: add to its Role: ${line}`;
        await until('the API server has heard of it', async () => (await tryOut()).includes(`Warning: ${said}`));
        expect(await tryOut()).toMatch(/^\*Dry run: world v2/);
        expect(await doctor({ SLACK_BOT_TOKEN: undefined })).toContain(`warn service world: ${said}`);
        expect(await doctorOfCluster()).toEqual([]);
        await account.allow(world.namespace, roleRules());
        await until('the right counts again', async () => !(await tryOut()).includes(resource));
      },
    );

    it('takes a rollout to its end, and leaves nothing', async () => {
      const rollout = await deploy({ world, slack, history }, 'world v2 short');
      await rollout.approve(1);
      expect((await scaler()).spec.minReplicas).toBe(2);
      for (const n of [2, 3, 4]) await rollout.approve(n);
      await rollout.ended(/world v2 is live/, 60_000);
      await until('the canary is gone', async () => (await world.leftovers()).length === 0);
      const { spec, metadata } = await scaler();
      expect([spec.minReplicas, marksOf(metadata).phase, marksOf(metadata).restore]).toEqual([1, 'done', undefined]);
      expect(rollout.complaints()).toEqual([]);
      await expectOneResult(rollout);
      expect(bot.output()).not.toMatch(/forbidden/i);
    });

    it('aborts a version that fails', async () => {
      const load = world.users.stream(50);
      const rollout = await deploy({ world, slack, history }, 'world v3-err20 short');
      await rollout.approve(1);
      await rollout.ended(/check success rate failed|aborted/i, 60_000);
      await until('the canary is gone', async () => (await world.leftovers()).length === 0);
      await load.stop();
      expect(bot.output()).not.toMatch(/forbidden/i);
    });
  });

  it('nothing else is allowed', async () => {
    const own = createKube(apiServer(account.kubeconfig));
    await until('the whole Role is back', async () => (await own.get<object>(`${world.paths.route}/world`)) !== null);
    const namespace = `/api/v1/namespaces/${world.namespace}`;
    const [pod] = await world.pods();
    const tries: readonly (readonly [string, () => Promise<unknown>])[] = [
      ['read Secrets', () => own.get(`${namespace}/secrets`)],
      ['read ConfigMaps', () => own.get(`${namespace}/configmaps`)],
      ['read logs', () => own.get(`${namespace}/pods/${pod?.metadata.name}/log`)],
      ['run something in a pod', () => own.create(`${namespace}/pods/${pod?.metadata.name}/exec?command=id`, {})],
      ['make a pod', () => own.create(`${namespace}/pods`, { metadata: { name: 'x' } })],
      ['delete a pod', () => own.delete(`${namespace}/pods/${pod?.metadata.name}`)],
      ['delete the route', () => own.delete(`${world.paths.route}/world`)],
      ['see another namespace', () => own.get('/api/v1/namespaces/default/pods')],
      ['see all namespaces', () => own.get('/api/v1/namespaces')],
      [
        'give itself rights',
        () => own.create(`/apis/rbac.authorization.k8s.io/v1/namespaces/${world.namespace}/roles`, {}),
      ],
    ];
    for (const [what, attempt] of tries) await expect(attempt(), what).rejects.toThrow(/: 403 /);
  });

  it('an expired token is told in one line', async () => {
    const path = join(folder, 'expired');
    const config = parse(readFileSync(account.kubeconfig, 'utf8'));
    writeFileSync(path, JSON.stringify({ ...config, users: [{ ...config.users[0], user: { token: 'expired' } }] }));
    expect(await doctorOfCluster({ KUBECONFIG: path })).toEqual([
      expect.stringMatching(
        /^fail Kubernetes: The API server does not take the credentials \(401 Unauthorized\).*renew/,
      ),
    ]);
  });
});

/** Only for routes in other namespaces than their service. */
const ELSEWHERE = 'referencegrants';
/** A rollout goes without: most clusters have no such policies. */
const WARNED = 'backendtlspolicies';

/** Verb, resource, what does not work without it, and what is to be added to the Role. */
function eachVerb(): readonly (readonly [string, string, string, string])[] {
  return roleRules().flatMap(({ apiGroups: [group = ''], resources, verbs }) =>
    resources
      .filter((resource) => resource !== ELSEWHERE)
      .flatMap((resource) =>
        verbs.map((verb) => {
          const line = `- { apiGroups: ["${group}"], resources: ["${resource}"], verbs: [${verb}] }`;
          return [
            verb,
            resource,
            purposeOf(verb, { group, plural: resource }) ?? 'do what nobody knows',
            line,
          ] as const;
        }),
      ),
  );
}

function without(verb: string, resource: string): readonly Rule[] {
  const rest = (rule: Rule) => ({ ...rule, verbs: rule.verbs.filter((one) => one !== verb) });
  return roleRules()
    .map((rule) => (rule.resources.includes(resource) ? rest(rule) : rule))
    .filter(({ verbs }) => verbs.length > 0);
}

/** The same in namespaces of our own. */
function moved(manifest: Manifest, names: Readonly<Record<string, string>>): object {
  const name = (given: string) => names[given] ?? given;
  const { metadata, kind, subjects } = manifest;
  const own = kind === 'Namespace' ? { name: name(metadata.name) } : { namespace: name(metadata.namespace ?? '') };
  const bound = Array.isArray(subjects)
    ? { subjects: subjects.map((one) => ({ ...one, namespace: name(one.namespace) })) }
    : {};
  return { ...manifest, metadata: { ...metadata, ...own }, ...bound };
}

function kubectl(args: readonly string[], input: string): string {
  return execFileSync('kubectl', args, { encoding: 'utf8', input, stdio: ['pipe', 'pipe', 'pipe'] });
}

function configFor({ namespace }: World): object {
  const check = { interval: '1s', window: '10s', minRequests: 5 };
  return {
    // As often as tests ask.
    slack: { channel: 'deploys', tables: false, perMinute: 1_000 },
    metrics: { prometheus: process.env.PROMETHEUS_URL },
    services: {
      world: {
        namespace,
        deployment: 'world',
        image: 'buoyantio/world:{version}',
        traffic: { router: 'gateway-api', route: 'world' },
        strategies: ['short'],
        checks: [{ name: 'success rate', query: 'linkerd/success-rate', min: 99, ...check }],
        tests: [{ name: 'smoke', get: '/', status: 200 }],
        access: { deploy: ['S_DEVS'], approve: ['S_APPROVERS'] },
        coolDown: '1s',
        readyTimeout: '60s',
      },
    },
    strategies: {
      short: [
        { preview: { header: 'x-canary: always' }, test: true, gate: true },
        { weight: 10, gate: true },
        { weight: 50, bake: '3s', gate: true },
        { weight: 100, gate: true },
      ],
    },
  };
}
