import { afterAll } from 'vitest';
import { createPlayground } from '../../playground/playground.ts';
import { openKube } from '../cluster/kube.ts';
import { twinWorld } from '../cluster/twin-world.ts';
import { autoscalerContract } from '../contracts/autoscaler.ts';

const playground = await createPlayground({ readyAfterMs: 20, drainMs: 20 });
const kube = openKube(playground.kubeconfig);
afterAll(async () => {
  await kube.close();
  await playground.stop();
});

autoscalerContract(() => twinWorld(playground.kubeconfig, kube));
