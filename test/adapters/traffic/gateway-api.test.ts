import { afterAll } from 'vitest';
import { createPlayground } from '../../../playground/playground.ts';
import { openKube } from '../../cluster/kube.ts';
import { gatewayApiSuite } from './gateway-api.suite.ts';

const playground = await createPlayground({ readyAfterMs: 20, drainMs: 20, world: false });
const kube = openKube(playground.kubeconfig);
afterAll(async () => {
  await kube.close();
  await playground.stop();
});

gatewayApiSuite(playground.kubeconfig, kube);
