/** A route that somebody else edits after the router has looked and before its write arrives: the write tests what it replaces. */
import { afterAll, expect, it } from 'vitest';
import { createPlayground } from '../../../playground/playground.ts';
import { createCluster } from '../../../src/adapters/kubernetes/cluster.ts';
import { createRouter, routerNameOf } from '../../../src/adapters/traffic/index.ts';
import { openKube } from '../../cluster/kube.ts';
import { routeWorld, SYSTEMS } from '../../cluster/route-worlds.ts';
import { silent, weight } from '../../cluster/world.ts';

const playground = await createPlayground({ readyAfterMs: 20, drainMs: 20, world: false });
const kube = openKube(playground.kubeconfig);
afterAll(async () => {
  await kube.close();
  await playground.stop();
});

const fence = (seq: number) => ({ rollout: 'world-1', epoch: 1, seq });

/** Whose objects say a weight that somebody may edit. */
const WITH_WEIGHTS = Object.entries(SYSTEMS).filter(([, system]) => 'setWeight' in system);

it.each(WITH_WEIGHTS)('%s', async (_, system) => {
  const world = await routeWorld(playground.kubeconfig, kube, system);
  const { target } = world;
  const cluster = createCluster({ kubeconfig: playground.kubeconfig, log: silent });
  let meanwhile: (() => Promise<unknown>) | null = null;
  const router = createRouter(routerNameOf(target), {
    log: silent,
    cluster: {
      ...cluster,
      async patch(...given) {
        const edit = meanwhile;
        meanwhile = null;
        await edit?.();
        return cluster.patch(...given);
      },
    },
  });
  const shares = router.supports.weight === true;
  try {
    expect(await router.claim(target, fence(1))).toMatchObject({ kind: 'done' });
    expect(await router.setRoute(target, weight(shares ? 10 : 100), fence(2), false)).toEqual({ kind: 'done' });
    let edited: unknown;
    meanwhile = async () => {
      await world.setWeight?.(shares ? 30 : 0);
      edited = await world.read();
    };
    expect(await router.setRoute(target, weight(shares ? 50 : 100), fence(3), false)).toMatchObject({
      kind: 'drifted',
    });
    expect(edited).toBeDefined();
    expect(await world.read()).toEqual(edited);
  } finally {
    await cluster.close();
    await world.end();
  }
});
