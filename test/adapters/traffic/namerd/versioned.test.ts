/** Versions by their own names in dtabs: what serves is what the dentry names, and the promotion makes the dtab permanent. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createPlayground } from '../../../../playground/playground.ts';
import { type Cluster, createCluster } from '../../../../src/adapters/kubernetes/cluster.ts';
import { createNamerdRouter } from '../../../../src/adapters/traffic/namerd/router.ts';
import type { Fence } from '../../../../src/app/ports/cluster.ts';
import type { TrafficRouter, Wanted } from '../../../../src/app/ports/router.ts';
import type { Target } from '../../../../src/core/plan.ts';
import { namerdTarget, STABLE_ID } from '../../../cluster/namerd-world.ts';
import { silent, weight } from '../../../cluster/world.ts';
import { startFakeNamerd } from '../../../support/fake-namerd.ts';

const NAMESPACES = ['internal', 'external'];
const DTAB = ['/srv=>/#/io.l5d.k8s/hello/http', '/host=>/srv', '/svc=>/host', '/host/world=>/srv/world-v1'];
const DONE = { kind: 'done' };
const fence = (seq: number, epoch = 1): Fence => ({ rollout: 'world-aaaaaa', epoch, seq });

let namerd: Awaited<ReturnType<typeof startFakeNamerd>>;
let playground: Awaited<ReturnType<typeof createPlayground>>;
let cluster: Cluster;
beforeAll(async () => {
  namerd = await startFakeNamerd();
  for (const name of ['world-v1', 'world-v2']) namerd.services.set(STABLE_ID.replace(/world$/, name), 2);
  playground = await createPlayground({ world: { versioned: true } });
  cluster = createCluster({ kubeconfig: playground.kubeconfig, log: silent });
});
afterAll(async () => {
  await cluster.close();
  await Promise.all([playground.stop(), namerd.stop()]);
});

describe('a dtab that names the version that serves', () => {
  let router: TrafficRouter;
  let target: Target;
  beforeEach(async () => {
    for (const namespace of NAMESPACES) namerd.put(namespace, DTAB.join(';'));
    router = createNamerdRouter({ log: silent, cluster });
    target = await located({ version: 'v2' });
  });
  const located = async (wanted: Wanted) => {
    const found = await router.locate?.({ ...namerdTarget(namerd.url, NAMESPACES), workload: 'versioned' }, wanted);
    if (!found?.ok) throw new Error(found?.refusal ?? 'nobody knows');
    return found.target;
  };
  const dentries = () => NAMESPACES.map((namespace) => /\/host\/world=>([^;]*)/.exec(namerd.get(namespace))?.[1]);
  const routed = async (percent: number) => {
    expect((await router.claim(target, fence(1))).kind).toBe('done');
    expect(await router.setRoute(target, weight(percent), fence(2), false)).toEqual(DONE);
  };
  const settle = (seq = 3, overwrite = false) => router.settle?.(target, fence(seq), {}, overwrite);

  it('says what serves, and nothing speaks against a rollout', async () => {
    expect(target).toMatchObject({ deployment: 'world-v1', versioned: { base: 'world', canary: 'world-v2' } });
    expect(await router.preflight(target)).toMatchObject({ ok: true });
  });

  it('shares out between the two versions, and gets its own text back', async () => {
    await routed(10);
    expect(dentries()[0]).toMatch(/^10\.00\*\/srv\/world-v2 & 90\.00\*\/srv\/world-v1$/);
    expect(await router.reset(target, fence(3, 2), {}, true)).toEqual(DONE);
    expect(dentries()).toEqual(['/srv/world-v1', '/srv/world-v1']);
  });

  it('names the new version for good once it is promoted, without a mark', async () => {
    await routed(100);
    expect(await settle()).toEqual(DONE);
    expect(await router.getRoute(target)).toMatchObject({ settled: true, route: { weight: 100 }, marks: { seq: 3 } });
    expect(await settle()).toEqual(DONE);
    expect(await router.release(target, fence(4))).toEqual(DONE);
    expect(NAMESPACES.map((namespace) => namerd.get(namespace))).toEqual(
      NAMESPACES.map(() => DTAB.join(';').replace('/srv/world-v1', '/srv/world-v2')),
    );
  });

  it('keeps what else its destination says', async () => {
    for (const namespace of NAMESPACES) namerd.put(namespace, `${DTAB.join(';')} | /srv/fallback`);
    await routed(100);
    expect(await settle()).toEqual(DONE);
    expect(dentries()).toEqual(['/srv/world-v2 | /srv/fallback', '/srv/world-v2 | /srv/fallback']);
  });

  it('meets a foreign edit where it would settle, and overwrites it when told to', async () => {
    await routed(100);
    const [internal = ''] = NAMESPACES;
    namerd.put(internal, namerd.get(internal).replace('/host/world=>/srv/world-v2', '/host/world=>/srv/world-v1'));
    expect((await settle())?.kind).toBe('drifted');
    expect(await settle(4, true)).toEqual(DONE);
    expect(dentries()).toEqual(['/srv/world-v2', '/srv/world-v2']);
  });

  it('lets a foreign edit be after it is settled, too', async () => {
    await routed(100);
    await settle();
    const [internal = ''] = NAMESPACES;
    namerd.put(internal, namerd.get(internal).replace('/host/world=>/srv/world-v2', '/host/world=>/srv/world-v1'));
    expect((await settle(4))?.kind).toBe('drifted');
    expect(dentries()).toEqual(['/srv/world-v1', '/srv/world-v2']);
  });

  it('tells where another dentry names the version before', async () => {
    await routed(100);
    await settle();
    expect(await router.sendsToStable?.(target)).toEqual([]);
    const [, external = ''] = NAMESPACES;
    namerd.put(external, `${namerd.get(external)};/host/new=>/srv/world-v1`);
    expect(await router.sendsToStable?.(target)).toEqual([expect.stringContaining('external')]);
  });

  it('is no promotion while one dtab is not settled: an abort without Redis gives both back', async () => {
    await routed(100);
    const [internal = '', external = ''] = NAMESPACES;
    const before = namerd.get(external);
    await settle();
    namerd.put(external, before);
    expect(await router.getRoute(target)).not.toHaveProperty('settled');
    expect(await router.blindAbort(target, 'world-aaaaaa', 'U1')).toEqual(DONE);
    expect(dentries()).toEqual(['/srv/world-v1', '/srv/world-v1']);
    expect(namerd.get(internal)).toContain('/sluice/world/abort');
  });

  it('is settled once: an abort without Redis comes too late, an older write too', async () => {
    await routed(100);
    await settle();
    expect(await router.blindAbort(target, 'world-aaaaaa', 'U1')).toMatchObject({ kind: 'refused' });
    expect((await router.setRoute(target, weight(100), fence(2), false)).kind).toBe('fenced');
    expect(dentries()).toEqual(['/srv/world-v2', '/srv/world-v2']);
  });

  it('goes back to the version before, should an abort above it be needed', async () => {
    await routed(100);
    await settle();
    expect(await router.reset(target, fence(4, 2), {}, true)).toEqual(DONE);
    expect(dentries()).toEqual(['/srv/world-v1', '/srv/world-v1']);
    expect(await router.release(target, fence(5, 2))).toEqual(DONE);
  });
});
