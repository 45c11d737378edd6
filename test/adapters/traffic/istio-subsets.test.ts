/** What a rollout does to a DestinationRule, beside what test/contracts/router.ts says of its VirtualService. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createPlayground } from '../../../playground/playground.ts';
import { type Cluster, createCluster } from '../../../src/adapters/kubernetes/cluster.ts';
import { createTwin } from '../../../src/adapters/kubernetes/twin.ts';
import { createRouter } from '../../../src/adapters/traffic/index.ts';
import type { Fence } from '../../../src/app/ports/cluster.ts';
import type { TrafficRouter } from '../../../src/app/ports/router.ts';
import type { Target } from '../../../src/core/plan.ts';
import { type Json, type Kube, openKube } from '../../cluster/kube.ts';
import { SYSTEMS } from '../../cluster/route-worlds.ts';
import { IMAGE, makeWorld, planFor, silent, unmakeWorld, until, type World, weight } from '../../cluster/world.ts';

const SYSTEM = SYSTEMS['istio, by subsets'];
const DONE = { kind: 'done' };
const fence = (seq: number, epoch = 1, rollout = 'world-1'): Fence => ({ rollout, epoch, seq });

let playground: Awaited<ReturnType<typeof createPlayground>>;
let kube: Kube;
beforeAll(async () => {
  playground = await createPlayground({ readyAfterMs: 20, drainMs: 20, world: false });
  kube = openKube(playground.kubeconfig);
});
afterAll(async () => {
  await kube.close();
  await playground.stop();
});

let world: World;
let target: Target;
let router: TrafficRouter;
let clusters: Cluster[];
let rule: string;
let virtual: string;
beforeEach(async () => {
  clusters = [];
  world = await makeWorld(kube, { route: false, labels: SYSTEM.labels });
  const { namespace } = world.target;
  target = { ...world.target, traffic: SYSTEM.traffic(namespace) };
  rule = `/apis/networking.istio.io/v1/namespaces/${namespace}/destinationrules/world`;
  virtual = SYSTEM.claimed(namespace);
  for (const [path, body] of Object.entries({ ...SYSTEM.given(namespace), ...SYSTEM.beside(namespace) }))
    await kube.call('POST', path, body);
  router = replica();
});
afterEach(async () => {
  for (const cluster of clusters) await cluster.close();
  await unmakeWorld(kube, world);
});

/** A replica that shares nothing with others but the API server. `before`: what happens first when it writes to a kind of object. */
function replica(before: (kind: string) => unknown = () => null): TrafficRouter {
  const cluster = createCluster({ kubeconfig: playground.kubeconfig, log: silent });
  clusters.push(cluster);
  const patch: Cluster['patch'] = async (kind, ...given) => {
    await before(kind.kind);
    return cluster.patch(kind, ...given);
  };
  return createRouter('istio', { cluster: { ...cluster, patch }, log: silent });
}
const read = async () => (await kube.get(rule)).spec;
const marksOf = async () => {
  const annotations: Record<string, string> = (await kube.get(rule)).metadata.annotations ?? {};
  return Object.fromEntries(Object.entries(annotations).map(([key, value]) => [key.replace('sluice.dev/', ''), value]));
};
const subsets = async (): Promise<Json[]> => (await read()).subsets;
const edit = async (change: (subsets: Json[]) => Json[]) =>
  kube.merge(rule, { spec: { subsets: change(await subsets()) } });
const noCanary = (some: Json[]) => some.filter(({ name }) => name !== 'world-canary');
const claimed = async () => {
  const { journal = {}, ...written } = await router.claim(target, fence(1));
  expect(written).toEqual(DONE);
  return journal;
};

const CANARY = {
  name: 'world-canary',
  labels: { version: 'v1-canary' },
  trafficPolicy: { connectionPool: { http: { maxRetries: 1 } } },
};

describe('the subset of the canary', () => {
  it('stands beside that of stable from the claim to the release, with its policy, and is gone then', async () => {
    const before = await read();
    await claimed();
    expect(await read()).toEqual({ ...before, subsets: [...before.subsets, CANARY] });
    await router.setRoute(target, weight(50), fence(2), false);
    await router.reset(target, fence(3), {}, false);
    expect(await subsets()).toContainEqual(CANARY);
    expect(await router.release(target, fence(4))).toEqual(DONE);
    expect(await read()).toEqual(before);
    expect(await marksOf()).toEqual({ rollout: 'world-1', epoch: '1', seq: '4', phase: 'done' });
  });

  it('is not written by weights: they cost what they cost by hosts', async () => {
    await claimed();
    const { resourceVersion } = (await kube.get(rule)).metadata;
    for (const [seq, percent] of [10, 50, 100].entries())
      expect(await router.setRoute(target, weight(percent), fence(seq + 2), false)).toEqual(DONE);
    expect((await kube.get(rule)).metadata.resourceVersion).toBe(resourceVersion);
  });

  it('is kept when a newer epoch takes over, and put back when it is missing then', async () => {
    await claimed();
    await edit(noCanary);
    expect(await replica().claim(target, fence(3, 2))).toMatchObject(DONE);
    expect(await subsets()).toContainEqual(CANARY);
    expect(await marksOf()).toMatchObject({ epoch: '2' });
  });

  it('leaves what others change beside it', async () => {
    await claimed();
    await edit(([one, none, canary]) => [none, canary, { ...one, labels: { ...one.labels, team: 'hello' } }]);
    await kube.merge(rule, { spec: { exportTo: ['.'] } });
    const before = await read();
    expect(await router.drift(target, weight(0), fence(1))).toBeNull();
    await router.release(target, fence(2));
    expect(await read()).toEqual({ ...before, subsets: noCanary(before.subsets) });
  });

  it.each<[string, (some: Json[]) => Json[], RegExp, object]>([
    [
      'taken out, which ends the rollout by itself',
      noCanary,
      /world-canary is gone/,
      { kind: 'refused', message: expect.stringMatching(/somebody else changed .*world-canary is gone/) },
    ],
    [
      'changed',
      (some) => [...noCanary(some), { ...CANARY, trafficPolicy: {} }],
      /world-canary was changed/,
      { kind: 'drifted', drift: { difference: expect.stringMatching(/world-canary was changed/) } },
    ],
  ])(
    'is drift when somebody has it %s; no weight ignores it, and it can be taken back',
    async (_, change, difference, met) => {
      const journal = await claimed();
      await router.setRoute(target, weight(10), fence(2), false);
      await edit(change);
      expect(await replica().drift(target, weight(10), fence(2))).toEqual({
        object: `DestinationRule ${target.namespace}/world`,
        difference: expect.stringMatching(difference),
        weight: null,
      });
      expect(await router.setRoute(target, weight(50), fence(3), false)).toMatchObject(met);
      expect(await router.setRoute(target, weight(10), fence(4), true, journal)).toEqual(DONE);
      expect(await subsets()).toContainEqual(CANARY);
      expect(await replica().drift(target, weight(10), fence(4))).toBeNull();
    },
  );

  it('that somebody else made is not taken out with the marks of a claim that never came', async () => {
    const theirs = { name: 'world-canary', labels: { version: 'theirs' } };
    await edit((some) => [...some, theirs]);
    expect(await router.claim(target, fence(1))).toMatchObject({ kind: 'refused' });
    await router.reset(target, fence(2, 2), {}, true);
    expect(await router.release(target, fence(3, 2))).toEqual(DONE);
    expect(await subsets()).toContainEqual(theirs);
    expect(await marksOf()).toMatchObject({ epoch: '2', phase: 'done' });
  });

  it('goes before the claim of the VirtualService does, by which a lost rollout is found', async () => {
    await claimed();
    await router.setRoute(target, weight(50), fence(2), false);
    await router.reset(target, fence(3), {}, false);
    const dying = replica((kind) => {
      if (kind === 'VirtualService') throw new Error('dies here');
    });
    await expect(dying.release(target, fence(4))).rejects.toThrow('dies here');
    expect(await subsets()).not.toContainEqual(CANARY);
    expect(await marksOf()).toMatchObject({ phase: 'done' });
    expect(await router.listMarked([target.namespace])).toMatchObject([{ marks: { phase: 'active' } }]);
    expect(await router.release(target, fence(4))).toEqual(DONE);
    expect(await router.listMarked([target.namespace])).toMatchObject([{ marks: { phase: 'done' } }]);
  });

  it('stays as long as the VirtualService sends to it', async () => {
    await claimed();
    await router.setRoute(target, weight(50), fence(2), false);
    expect(await replica().release(target, fence(3))).toMatchObject({ kind: 'refused' });
    expect(await subsets()).toContainEqual(CANARY);
  });

  it('of another host is not what this rollout routes, whatever its name', async () => {
    await claimed();
    await router.setRoute(target, weight(50), fence(2), false);
    const { spec } = await kube.get(virtual);
    const theirs = {
      route: [{ destination: { host: 'admin', subset: 'world-canary' } }],
      mirror: { host: 'admin', subset: 'world-canary' },
    };
    await kube.merge(virtual, { spec: { http: [theirs, ...spec.http] } });
    expect(await replica().drift(target, weight(50), fence(2))).toBeNull();
    expect(await router.reset(target, fence(3, 2), {}, true)).toEqual(DONE);
    expect(await router.release(target, fence(4, 2))).toEqual(DONE);
    expect((await kube.get(virtual)).spec.http[0]).toEqual(theirs);
    expect(await subsets()).not.toContainEqual(CANARY);
  });

  it('comes back by the journal of Redis where the marks are gone, too', async () => {
    const journal = await claimed();
    await kube.merge(rule, { metadata: { annotations: null } });
    await edit(noCanary);
    expect(await replica().drift(target, weight(0), fence(1))).toMatchObject({ weight: null });
    expect(await router.setRoute(target, weight(10), fence(2), true, journal)).toEqual(DONE);
    expect(await subsets()).toContainEqual(CANARY);
    expect(await marksOf()).toMatchObject({ rollout: 'world-1', phase: 'active' });
  });
});

describe('an abort', () => {
  it('does not wait for the DestinationRule: gone, it is over without it', async () => {
    await claimed();
    await router.setRoute(target, weight(50), fence(2), false);
    await kube.call('DELETE', rule);
    expect(await replica().drift(target, weight(50), fence(2))).toMatchObject({ difference: 'it is gone' });
    expect(await replica().reset(target, fence(3, 2), {}, true)).toEqual(DONE);
    expect(JSON.stringify((await kube.get(virtual)).spec)).not.toContain('world-canary');
    expect(await router.release(target, fence(4, 2))).toEqual(DONE);
  });

  it('touches the VirtualService alone, so that no request is without a subset', async () => {
    await claimed();
    await router.setRoute(target, weight(50), fence(2), false);
    expect(await router.reset(target, fence(3, 2), {}, true)).toEqual(DONE);
    expect(await subsets()).toContainEqual(CANARY);
    expect(await replica().release(target, fence(4, 2))).toEqual(DONE);
    expect(await subsets()).not.toContainEqual(CANARY);
  });

  it('before the claim leaves marks that a late claim meets', async () => {
    const late = replica();
    const before = await read();
    await router.reset(target, fence(2, 2), {}, true);
    await router.release(target, fence(3, 2));
    expect(await late.claim(target, fence(1))).toMatchObject({ kind: 'fenced' });
    expect(await read()).toEqual(before);
    expect(await marksOf()).toMatchObject({ epoch: '2', phase: 'done' });
  });

  it('in the middle of a claim leaves marks that the rest of it meets', async () => {
    const before = await read();
    const late = replica(async (kind) => {
      if (kind !== 'DestinationRule' || (await marksOf()).phase === 'done') return;
      await router.reset(target, fence(2, 2), {}, true);
      await router.release(target, fence(3, 2));
    });
    expect(await late.claim(target, fence(1))).toMatchObject({ kind: 'fenced' });
    expect(await read()).toEqual(before);
    expect(await marksOf()).toMatchObject({ epoch: '2', phase: 'done' });
  });

  it('leaves the rule to the rollout that has it by now', async () => {
    await claimed();
    await router.release(target, fence(2));
    await replica().claim(target, fence(1, 5, 'world-2'));
    await router.release(target, fence(3, 2));
    expect(await subsets()).toContainEqual(CANARY);
    expect(await marksOf()).toMatchObject({ rollout: 'world-2', phase: 'active' });
  });

  it('without a journal takes all weight from the canary', async () => {
    await claimed();
    await router.setRoute(target, { ...weight(50), preview: { header: 'x-canary', value: 'always' } }, fence(2), false);
    await kube.merge(virtual, { metadata: { annotations: { 'sluice.dev/restore': null } } });
    await replica()
      .reset(target, fence(3, 2), {}, true)
      .catch(() => null);
    const routes: Json[] = (await kube.get(virtual)).spec.http.flatMap(({ route }: Json) => route);
    expect(routes.filter(({ destination }) => destination.subset === 'world-canary').map((one) => one.weight)).toEqual([
      0, 0,
    ]);
    expect(routes.filter(({ destination }) => destination.subset === 'one').map((one) => one.weight)).toEqual([
      100, 100,
    ]);
  });
});

it('an abort without a journal leaves the weights of other hosts', async () => {
  await claimed();
  await router.setRoute(target, weight(50), fence(2), false);
  const { spec } = await kube.get(virtual);
  const [other, api, last]: Json[] = spec.http;
  const theirs = { destination: { host: 'admin', subset: 'two' }, weight: 0 };
  await kube.merge(virtual, {
    metadata: { annotations: { 'sluice.dev/restore': null } },
    spec: { http: [other, api, { ...last, route: [...last.route, theirs] }] },
  });
  await replica()
    .reset(target, fence(3, 2), {}, true)
    .catch(() => null);
  expect((await kube.get(virtual)).spec.http[2].route.map((one: Json) => one.weight)).toEqual([100, 0, 0]);
});

describe('before anything is touched', () => {
  const refused = (...words: RegExp[]) => ({ ok: false, refusals: words.map((one) => expect.stringMatching(one)) });
  const routes = (change: (http: Json[]) => Json[]) => async () => {
    const { spec } = await kube.get(virtual);
    await kube.merge(virtual, { spec: { http: change(spec.http) } });
  };

  it('is said that requests beside the VirtualService reach canary pods', async () => {
    expect(await router.preflight(target)).toMatchObject({
      ok: true,
      warnings: [expect.stringMatching(/Kubernetes Service .*world selects canary pods too/)],
    });
  });

  it('the epochs of earlier rollouts count', async () => {
    await kube.merge(rule, {
      metadata: {
        annotations: { 'sluice.dev/rollout': 'world-7', 'sluice.dev/epoch': '9', 'sluice.dev/phase': 'done' },
      },
    });
    expect(await router.preflight(target)).toMatchObject({ ok: true, facts: { epoch: 9 } });
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    [
      'it does not exist',
      () => kube.call('DELETE', rule),
      /DestinationRule .*does not exist: name .*traffic.destinationRule/,
    ],
    ['it is for another host', () => kube.merge(rule, { spec: { host: 'other' } }), /is for host other/],
    [
      'another controller has it',
      () => kube.merge(rule, { metadata: { annotations: { 'flagger.app/owner': 'world' } } }),
      /managed by Flagger/,
    ],
    [
      'another rollout has it',
      () =>
        kube.merge(rule, {
          metadata: {
            annotations: { 'sluice.dev/rollout': 'world-0', 'sluice.dev/epoch': '1', 'sluice.dev/phase': 'active' },
          },
        }),
      /held by rollout world-0 .*\/deploy abort world/,
    ],
    ['it lacks the subset', () => edit(([, none]) => [none]), /has no subset one/],
    [
      'canary pods would be in the subset',
      () => edit(([one, none]) => [{ ...one, labels: { app: 'world' } }, none]),
      /add version: v1 to its labels/,
    ],
    [
      'stable pods are not in the subset',
      () => edit(([one, none]) => [{ ...one, labels: { version: 'v1', a: 'b' } }, none]),
      /a: b are not theirs/,
    ],
    [
      'the name is taken',
      () => edit((some) => [...some, { name: 'world-canary', labels: {} }]),
      /has a subset world-canary already/,
    ],
    [
      'a route leaves the subset out',
      routes(([other, ...rest]) => [{ ...other, route: [{ destination: { host: 'world' } }] }, ...rest]),
      /VirtualService .* sends to world, where canary pods are, too: let it send to subset one/,
    ],
    [
      'routes send to several subsets',
      async () => {
        await edit((some) => [...some, { name: 'slow', labels: { version: 'v1' } }]);
        await routes(([other, api, last]) => [
          other,
          api,
          { ...last, route: [{ destination: { host: 'world', subset: 'slow' } }] },
        ])();
      },
      /several subsets .*\(one, slow\).*traffic\.http/,
    ],
    [
      'no route sends to a subset',
      routes((http) => http.map((one) => ({ ...one, route: [{ destination: { host: 'world' } }] }))),
      /Sluice splits by subsets: let a route send to world with the subset/,
    ],
  ])('is refused that %s', async (_, change, words) => {
    await change();
    expect(await router.preflight(target)).toMatchObject(refused(words));
  });

  it('is refused that a VirtualService of the same namespace leaves the subset out', async () => {
    await kube.call('POST', virtual.replace(/\/world$/, ''), {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: 'public' },
      spec: { hosts: ['world.example'], http: [{ route: [{ destination: { host: 'world' } }] }] },
    });
    expect(await router.preflight(target)).toMatchObject(refused(/VirtualService .*\/public sends to world,/));
  });

  it.each([
    ['one', [/selects canary pods/, /VirtualService .*\/public sends to world too, past this rollout/]],
    ['none', [/selects canary pods/]],
  ])('is warned about that another VirtualService sends to the subset of stable: %s', async (subset, warnings) => {
    await kube.call('POST', virtual.replace(/\/world$/, ''), {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: 'public' },
      spec: { hosts: ['world.example'], http: [{ route: [{ destination: { host: 'world', subset } }] }] },
    });
    const said = warnings.map((words) => expect.stringMatching(words));
    expect(await router.preflight(target)).toMatchObject({ ok: true, warnings: said });
  });
});

describe('the workload', () => {
  const twin = () => {
    const cluster = createCluster({ kubeconfig: playground.kubeconfig, log: silent });
    clusters.push(cluster);
    return createTwin({ cluster, log: silent });
  };

  it('makes canary pods that the Kubernetes Service has, the subset of stable has not, and stable does not own', async () => {
    const workload = twin();
    expect(await workload.preflight(target, IMAGE)).toMatchObject({ ok: true });
    const plan = planFor(target, 'v2');
    await claimed();
    await workload.claim(target, fence(1));
    expect(await workload.createCanary(plan, fence(2))).toEqual(DONE);
    const { spec } = await kube.get(world.paths.canary);
    expect(spec.selector.matchLabels).toEqual({ app: 'world', version: 'v1-canary' });
    expect(spec.template.metadata.labels).toEqual({ app: 'world', team: 'hello', version: 'v1-canary' });
    await until(async () => (await workload.canaryState(target, 10, fence(2))).kind === 'ready');
    expect(await workload.lost(plan, fence(2))).toBeNull();
    const service = (name: string) => kube.get(world.paths.service.replace(/world$/, name));
    expect((await service('world-stable')).spec.selector).toEqual({ app: 'world', version: 'v1' });
    expect((await service('world-canary')).spec.selector).toEqual({ app: 'world', version: 'v1-canary' });
    await kube.merge(world.paths.service, { spec: { selector: { version: 'v1' } } });
    const lost = /somebody else changed Service .*world: its selector is .*"version":"v1"/;
    await until(async () => lost.test((await workload.lost(plan, fence(2))) ?? ''));
  });

  it.each<[string, () => Promise<unknown>, RegExp | null]>([
    ['is lost when its subset is taken out', () => edit(noCanary), /somebody else changed .*world-canary is gone/],
    [
      'is lost when its subset and the marks go, as where an old copy is put back',
      async () => {
        await kube.merge(rule, { metadata: { annotations: null } });
        await edit(noCanary);
      },
      /somebody else changed .*world-canary is gone/,
    ],
    [
      'is lost when the DestinationRule is deleted',
      () => kube.call('DELETE', rule),
      /^DestinationRule .*world is gone/,
    ],
    [
      'is lost when its subset means no pods',
      () => edit((some) => [...noCanary(some), { ...CANARY, labels: { version: 'v9' } }]),
      /its subset world-canary has the labels .*v9/,
    ],
    [
      'is lost when its subset means pods of stable, too',
      () => edit((some) => [...noCanary(some), { name: 'world-canary' }]),
      /its subset world-canary has the labels \{\}/,
    ],
    [
      'is not lost by what changes no pods',
      () => edit((some) => [{ ...CANARY, trafficPolicy: {} }, ...noCanary(some)]),
      null,
    ],
  ])('%s', async (_, change, words) => {
    const plan = planFor(target, 'v2');
    await claimed();
    const workload = twin();
    await workload.claim(target, fence(1));
    await workload.createCanary(plan, fence(2));
    expect(await workload.lost(plan, fence(2))).toBeNull();
    await change();
    await until(async () => (await router.drift(target, weight(0), fence(1))) !== null);
    const lost = await twin().lost(plan, fence(2));
    if (words) expect(lost).toMatch(words);
    else expect(lost).toBeNull();
  });

  it('refuses a Deployment that selects by nothing more than the Kubernetes Service', async () => {
    await kube.merge(world.paths.service, { spec: { selector: { app: 'world', version: 'v1' } } });
    const why =
      /selects its pods by no label that Kubernetes Service .*world does not select by, too.*leave destinationRule out/;
    expect(await twin().preflight(target, IMAGE)).toMatchObject({ ok: false, refusals: [expect.stringMatching(why)] });
    expect(await router.preflight(target)).toMatchObject({ ok: false, refusals: [expect.stringMatching(why)] });
  });

  it('refuses another Kubernetes Service that would send to canary pods', async () => {
    await kube.call('POST', world.paths.service.replace(/\/world$/, ''), {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'admin' },
      spec: { selector: { app: 'world' }, ports: [{ port: 81 }] },
    });
    expect(await twin().preflight(target, IMAGE)).toMatchObject({
      ok: false,
      refusals: [expect.stringMatching(/admin would send to canary pods too: add version: v1 to its selector/)],
    });
  });
});
