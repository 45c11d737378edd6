/** Whether Linkerd has the weights of a TrafficSplit: by what linkerd-smi makes of it, simulated and written by hand. */
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPlayground } from '../../../playground/playground.ts';
import { type Cluster, createCluster } from '../../../src/adapters/kubernetes/cluster.ts';
import { createTwin } from '../../../src/adapters/kubernetes/twin.ts';
import { createRouter } from '../../../src/adapters/traffic/index.ts';
import type { Fence } from '../../../src/app/ports/cluster.ts';
import type { Target } from '../../../src/core/plan.ts';
import { type Json, type Kube, openKube } from '../../cluster/kube.ts';
import { SYSTEMS } from '../../cluster/route-worlds.ts';
import { IMAGE, makeWorld, planFor, silent, unmakeWorld, until, type World, weight } from '../../cluster/world.ts';

const fence = (seq: number): Fence => ({ rollout: 'world-1', epoch: 1, seq });
const DONE = { kind: 'done' };
/** Besides these it asks once what it may do. */
const REVIEWS = 1;
const SYSTEM = SYSTEMS['smi, made when missing'];

/** A bot on a playground of its own. `unserved`: the API server has no ServiceProfiles. */
const useLinkerd = (linkerdSmi: boolean, { unserved = false } = {}) => {
  const versions = unserved ? { 'linkerd.io': [] } : {};
  const opening = createPlayground({ readyAfterMs: 20, drainMs: 20, world: false, linkerdSmi, versions });
  let kube: Kube;
  let world: World;
  let cluster: Cluster;
  const calls: string[] = [];
  beforeEach(async () => {
    const playground = await opening;
    kube = openKube(playground.kubeconfig);
    world = await makeWorld(kube, { route: false });
    calls.length = 0;
    cluster = createCluster({
      kubeconfig: playground.kubeconfig,
      log: silent,
      onRequest: (verb) => void calls.push(verb),
    });
  });
  afterEach(async () => {
    (await opening).api.rights.allowEverything();
    await cluster.close();
    await unmakeWorld(kube, world);
    await kube.close();
  });
  afterAll(async () => (await opening).stop());
  return async () => {
    const { namespace } = world.target;
    const target: Target = { ...world.target, traffic: SYSTEM.traffic(namespace) };
    const router = createRouter('smi', { cluster, log: silent });
    const { api } = await opening;
    const collection = `/apis/linkerd.io/v1alpha2/namespaces/${namespace}/serviceprofiles`;
    const name = `world.${namespace}.svc.example.org`;
    return {
      api,
      cluster,
      target,
      router,
      calls,
      authority: (service: string) => `${service}.${namespace}.svc.example.org`,
      make: (dstOverrides: Json[]) =>
        kube.call('POST', collection, {
          apiVersion: 'linkerd.io/v1alpha2',
          kind: 'ServiceProfile',
          metadata: { name },
          spec: { dstOverrides },
        }),
      put: (spec: Json) => kube.merge(`${collection}/${name}`, { spec }),
      /** The Deployment's own controller has come to rest: its writes would meet those of the claim. */
      quiet: () => until(async () => (await kube.get(world.paths.deployment)).status?.availableReplicas === 3),
      said: async () => (await router.confirmed(target)).kind,
    };
  };
};

describe('with linkerd-smi', () => {
  const set = useLinkerd(true);

  // It is looked at as often as anybody likes.
  it('a route is confirmed when its ServiceProfile has the weights; a whole canary costs at most 30 requests', async () => {
    const { cluster, target, router, calls, said, quiet } = await set();
    const workload = createTwin({ cluster, log: silent });
    const plan = planFor(target, 'v2');
    let seq = 1;
    const canaryReady = (share: number) =>
      until(async () => (await workload.canaryState(target, share, fence(seq))).kind === 'ready');
    // As at its start: from then on it knows the versions.
    await router.listMarked([target.namespace]);
    await quiet();
    calls.length = 0;
    await workload.preflight(target, IMAGE);
    expect(await router.preflight(target)).toMatchObject({ ok: true });
    await router.claim(target, fence(seq));
    await workload.claim(target, fence(seq));
    await workload.createCanary(plan, fence(++seq));
    for (const share of [0, 10, 50, 100]) {
      expect(await workload.scaleCanary(target, share, fence(++seq))).toEqual(DONE);
      await canaryReady(share);
      expect(await router.setRoute(target, weight(share), fence(++seq), false)).toEqual(DONE);
      await expect.poll(said).toBe('confirmed');
      for (let looks = 0; looks < 20; looks++) expect(await said()).toBe('confirmed');
    }
    await workload.promote(plan, fence(++seq), false);
    await until(async () => (await workload.stableState(plan, fence(seq))).kind === 'ready');
    expect(await router.reset(target, fence(++seq), {}, false)).toEqual(DONE);
    await expect.poll(said).toBe('confirmed');
    expect(await workload.cleanUp(target, fence(++seq))).toEqual(DONE);
    expect(await router.release(target, fence(seq))).toEqual(DONE);
    expect(calls.length - REVIEWS, calls.join(' ')).toBeLessThanOrEqual(30);
  });
});

describe('what linkerd-smi has written', () => {
  const set = useLinkerd(false);

  it('is waited for until it is what the split says, however the weights are written', async () => {
    const { target, router, authority, make, put, said } = await set();
    await router.claim(target, fence(1));
    expect(await router.setRoute(target, weight(10), fence(2), false)).toEqual(DONE);
    expect(await said()).toBe('pending');
    const overrides = (canary: number | string, stable: number | string) => [
      { authority: authority('world-canary'), weight: canary },
      { authority: authority('world-stable'), weight: stable },
    ];
    await make([]);
    expect(await said()).toBe('pending');
    const rows: readonly (readonly [Json[], string])[] = [
      [overrides('10', '90').slice(0, 1), 'pending'],
      [overrides('90', '10'), 'pending'],
      [overrides(10, 90), 'confirmed'],
      [overrides('20', '80'), 'pending'],
      [overrides('10', '90').toReversed(), 'confirmed'],
      [[...overrides('10', '90'), { authority: authority('else'), weight: '1' }], 'pending'],
      [overrides('10000m', '90'), 'confirmed'],
    ];
    for (const [dstOverrides, answer] of rows) {
      await put({ dstOverrides });
      await expect.poll(said, { message: JSON.stringify(dstOverrides) }).toBe(answer);
    }
  });

  it('is not missed where nothing goes to the canary: without it everything goes to the root', async () => {
    const { target, router, authority, make, put, said } = await set();
    await router.claim(target, fence(1));
    expect(await said()).toBe('confirmed');
    await router.setRoute(target, weight(0), fence(2), false);
    expect(await said()).toBe('confirmed');
    await make([{ authority: authority('world-canary'), weight: '50' }]);
    await expect.poll(said).toBe('pending');
    await put({ dstOverrides: [] });
    await expect.poll(said).toBe('confirmed');
  });

  it.each(['list', 'watch'] as const)('is not asked about where the bot may not %s ServiceProfiles', async (verb) => {
    const { api, target, router, calls, said } = await set();
    api.rights.deny({ verb, resource: 'serviceprofiles' });
    await router.preflight(target);
    await router.claim(target, fence(1));
    await router.setRoute(target, weight(10), fence(2), false);
    const before = calls.length;
    for (let looks = 0; looks < 5; looks++) expect(await said()).toBe('confirmed');
    expect(calls.length).toBe(before);
    // A watch that is refused would begin again and again.
    const { namespace } = target;
    expect(api.requests({ verb: 'watch', resource: 'serviceprofiles', namespace })).toEqual([]);
  });

  it('is not asked about any more when that right is taken away meanwhile', async () => {
    const { api, target, router, said } = await set();
    await router.claim(target, fence(1));
    await router.setRoute(target, weight(10), fence(2), false);
    expect(await said()).toBe('pending');
    api.rights.deny({ verb: 'watch', resource: 'serviceprofiles' });
    api.dropConnections();
    await expect.poll(said, { timeout: 5_000 }).toBe('confirmed');
  });
});

describe('in a mesh without ServiceProfiles', () => {
  const set = useLinkerd(false, { unserved: true });

  it('nothing is waited for', async () => {
    const { target, router, calls, said } = await set();
    await router.preflight(target);
    await router.claim(target, fence(1));
    await router.setRoute(target, weight(10), fence(2), false);
    const before = calls.length;
    for (let looks = 0; looks < 5; looks++) expect(await said()).toBe('confirmed');
    expect(calls.length).toBe(before);
  });
});
