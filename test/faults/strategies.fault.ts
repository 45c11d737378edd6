/** Each built-in strategy, with its bakes shortened, on a traffic system that can carry it out; and what cannot be. */
import { describe, expect, test } from 'vitest';
import { kinds } from '../../playground/api-server/kinds.ts';
import { QUICK } from '../scenarios/support/pairs.ts';
import { useStage } from '../scenarios/support/use-stage.ts';
import { createEdits } from './support/edits.ts';

const LONG = 60_000;
const NGINX = 'nginx.ingress.kubernetes.io';

/** Istio does not say when its proxies have a change: a moment after the gate they do. */
const reached = (ask: () => Promise<{ readonly version: string | null }>, version: string) =>
  expect.poll(async () => (await ask()).version, { timeout: 5_000 }).toBe(version);

const config = { strategies: QUICK };
const open = { checks: [], coolDown: '1s' };

describe('blue-green, on Istio', () => {
  const set = useStage({
    world: { traffic: 'istio' },
    service: { ...open, traffic: { router: 'istio', virtualService: 'world' }, strategies: undefined },
    config,
  });

  test(
    'tries the new version, then moves everything at once',
    async () => {
      const { stage, gate, press, said, cleaned, image } = set();
      const { playground, slack } = stage;
      const { entry } = playground;
      await slack.command('ana', 'world v2 blue-green');
      await gate('Approve 100%');
      expect((await playground.ask(entry)).version).toBe('v1');
      await reached(() => playground.ask({ ...entry, headers: { 'x-canary': 'always' } }), 'v2');
      await press('bo', 'Approve 100%');
      await gate('Promote');
      await reached(() => playground.ask(entry), 'v2');
      await press('bo', 'Promote');
      await said(/v2 is live/i);
      await cleaned();
      expect(image('world')).toBe('buoyantio/world:v2');
    },
    LONG,
  );
});

describe('canary, on Istio by subsets', () => {
  const set = useStage({
    world: { traffic: 'istio/subsets' },
    service: {
      ...open,
      traffic: { router: 'istio', virtualService: 'world', destinationRule: 'world' },
      strategies: undefined,
    },
    config,
  });
  const subsets = () =>
    set()
      .stage.get(kinds.destinationRules, 'world')
      ?.spec.subsets?.map(({ name }) => name);

  test(
    'shares the pods of one Kubernetes Service, back and to the end, and no request fails',
    async () => {
      const { stage, gate, press, said, cleaned, image } = set();
      const { playground, slack } = stage;
      const { entry } = playground;
      const given = stage.get(kinds.virtualServices, 'world')?.spec;
      const load = playground.load({ ...entry, perSecond: 100 });
      const over = async () => {
        await cleaned();
        await slack.until(() => subsets()?.join() === 'one', { what: 'the subset is taken out' });
        expect(stage.get(kinds.virtualServices, 'world')?.spec).toEqual(given);
      };
      await slack.command('ana', 'plan world v2 canary');
      const plan = await set().told('ana', /Dry run/);
      expect(plan).toContain('DestinationRule hello/world: annotations sluice.dev/…, and subset world-canary added');
      expect(plan).toContain('its subset of before 90, subset world-canary 10');

      await slack.command('ana', 'world v2 canary');
      await gate('Approve 10%');
      expect(subsets()).toEqual(['one', 'world-canary']);
      await reached(() => playground.ask({ ...entry, headers: { 'x-canary': 'always' } }), 'v2');
      expect(load.counts().versions.v2).toBeUndefined();
      await press('bo', 'Approve 10%');
      await gate('Approve 50%');
      await slack.click('bo', slack.root(), 'Abort');
      await said(/aborted/i);
      await over();
      expect(image('world')).toBe('buoyantio/world:v1');

      await slack.command('ana', 'world v2 canary');
      for (const label of ['Approve 10%', 'Approve 50%', 'Approve 100%', 'Promote']) await press('bo', label);
      await said(/v2 is live/i);
      await over();
      expect(image('world')).toBe('buoyantio/world:v2');
      const { broken, gatewayErrors } = await load.stop();
      expect({ broken, gatewayErrors }).toEqual({ broken: 0, gatewayErrors: 0 });
    },
    LONG,
  );

  test.each<[string, () => void]>([
    [
      'taken out',
      () =>
        createEdits(set().stage).edit(kinds.destinationRules, 'world', ({ spec, ...rule }) => ({
          ...rule,
          spec: { ...spec, subsets: (spec.subsets ?? []).filter(({ name }) => name !== 'world-canary') },
        })),
    ],
    ['deleted with its DestinationRule', () => createEdits(set().stage).remove(kinds.destinationRules, 'world')],
  ])('whose subset is %s goes back at once: people are told, not asked', async (_, change) => {
    const { stage, gate, press, said, cleaned } = set();
    const given = stage.get(kinds.virtualServices, 'world')?.spec;
    await stage.slack.command('ana', 'world v2 canary');
    await press('bo', 'Approve 10%');
    await gate('Approve 50%');
    change();
    const result = await said(/is aborted/);
    expect(stage.slack.words(result)).toMatch(/DestinationRule hello\/world.* is gone/);
    await cleaned();
    expect(stage.get(kinds.virtualServices, 'world')?.spec).toEqual(given);
  });
});

describe('mirror, on the Gateway API', () => {
  const set = useStage({ service: { coolDown: '0s', strategies: undefined }, config });

  test(
    'measures the new version with copies, before a user sees it',
    async () => {
      const { stage, gate, said, cleaned } = set();
      const users = stage.users(100);
      await stage.slack.command('ana', 'world v2 mirror');
      const question = await gate('Approve 10%');
      expect(stage.slack.words(question)).toMatch(/success rate.*100/s);
      const { v1, v2 } = users.counts().versions;
      expect(v2).toBeUndefined();
      expect(v1?.answers).toBeGreaterThan(50);
      await stage.slack.click('bo', stage.slack.root(), 'Abort');
      await said(/aborted/i);
      expect((await users.stop()).gatewayErrors).toBe(0);
      await cleaned();
      expect(JSON.stringify(stage.get(kinds.httpRoutes, 'world')?.spec)).not.toContain('Mirror');
    },
    LONG,
  );
});

describe('ab, on ingress-nginx', () => {
  const set = useStage({
    world: { traffic: 'ingress-nginx' },
    service: { ...open, traffic: { router: 'ingress-nginx', ingress: 'world' }, strategies: ['ab', 'cookie'] },
    config: {
      strategies: {
        ...QUICK,
        cookie: [
          { preview: { cookie: 'beta=always' }, bake: '1s', gate: true },
          { weight: 100, gate: true },
        ],
      },
    },
  });

  test(
    'only matched users see the new version, then all do',
    async () => {
      const { stage, gate, press, said, cleaned } = set();
      const { playground, slack } = stage;
      const { entry } = playground;
      const asked = async (headers: Record<string, string> = {}) =>
        (await playground.ask({ ...entry, headers })).version;
      await slack.command('ana', 'world v2');
      await gate('Approve 100%');
      await expect.poll(() => Promise.all([asked(), asked({ 'x-canary': 'always' })])).toEqual(['v1', 'v2']);
      await press('bo', 'Approve 100%');
      await press('bo', 'Promote');
      await said(/v2 is live/i);
      await cleaned();
      const left = Object.keys(stage.get(kinds.ingresses, 'world-canary')?.metadata.annotations ?? {});
      expect(left.filter((key) => key.startsWith(`${NGINX}/canary-by`))).toEqual([]);
      expect(await asked({ 'x-canary': 'always' })).toBe('v2');
    },
    LONG,
  );

  test(
    'users can be known by a cookie',
    async () => {
      const { stage, gate } = set();
      const { entry } = stage.playground;
      const asked = async (headers = {}) => (await stage.playground.ask({ ...entry, headers })).version;
      await stage.slack.command('ana', 'world v2 cookie');
      expect(stage.slack.words(await gate('Approve 100%'))).toContain("curl -b 'beta=always'");
      await expect.poll(() => Promise.all([asked(), asked({ cookie: 'a=b; beta=always' })])).toEqual(['v1', 'v2']);
    },
    LONG,
  );
});

describe('a TrafficSplit', () => {
  const set = useStage({
    world: { traffic: 'smi' },
    service: { ...open, traffic: { router: 'smi', split: 'world' }, strategies: undefined },
    config,
  });

  test(
    'has a canary that is tested before it has a share, though nobody can be sent there',
    async () => {
      const { stage, gate, press } = set();
      await stage.slack.command('ana', 'world v2');
      expect(stage.slack.words(await gate('Approve 10%'))).toMatch(/smoke/);
      expect(stage.get(kinds.trafficSplits, 'world')?.spec.backends).toEqual([
        { service: 'world-canary', weight: 0 },
        { service: 'world-stable', weight: 100 },
      ]);
      await press('bo', 'Approve 10%');
      await gate('Approve 50%');
    },
    LONG,
  );

  test(
    'says what it cannot do, what it would write, and what there was',
    async () => {
      const { stage, press, said, told, cleaned } = set();
      for (const [strategy, reason] of [
        ['mirror', /Mirroring: a TrafficSplit cannot copy requests/],
        ['ab', /Users by header: a TrafficSplit of Linkerd knows weights only/],
        ['rolling', /only the workload in-place does/],
      ] as const) {
        await stage.slack.command('ana', `world v2 ${strategy}`);
        await told('ana', reason);
      }
      await stage.slack.command('ana', 'plan world v2');
      const plan = await told('ana', /Dry run/);
      expect(plan).toContain('TrafficSplit hello/world: world-stable 90, world-canary 10');
      expect(stage.get(kinds.trafficSplits, 'world')).toBeUndefined();
      expect(stage.slack.root()).toBeUndefined();
      await stage.slack.command('ana', 'world v2 blue-green');
      await press('bo', 'Approve 100%');
      await press('bo', 'Promote');
      await said(/v2 is live/i);
      await cleaned();
      await stage.slack.command('dee', 'history world');
      const history = await told('dee', /newest first/);
      expect(history).toMatch(/\*v2\* \(live\).*@ana.*\n.*\*v1\*.*before Sluice.*\n.*rollback world to ….* takes .*v1/);
    },
    LONG,
  );
});
