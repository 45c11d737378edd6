import { afterAll } from 'vitest';
import { createPlayground } from '../../playground/playground.ts';
import { gatewayWorld } from '../cluster/gateway-world.ts';
import { openKube } from '../cluster/kube.ts';
import { routeWorld, SYSTEMS } from '../cluster/route-worlds.ts';
import { routerContract } from '../contracts/router.ts';

// Without a Gateway nobody writes the status of routes, so that `revision` counts the writes of routers only.
const playground = await createPlayground({ readyAfterMs: 20, drainMs: 20, world: false });
const kube = openKube(playground.kubeconfig);
afterAll(async () => {
  await kube.close();
  await playground.stop();
});

routerContract('gateway-api', () => gatewayWorld(playground.kubeconfig, kube));
routerContract('gateway-api, versions', () => gatewayWorld(playground.kubeconfig, kube, 'versioned'));

for (const [name, system] of Object.entries(SYSTEMS)) {
  routerContract(name, () => routeWorld(playground.kubeconfig, kube, system));
}
