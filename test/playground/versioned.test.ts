import { afterAll } from 'vitest';
import { createPlayground } from '../../playground/playground.ts';
import { openKube } from '../cluster/kube.ts';
import { versionedWorld } from '../cluster/versioned-world.ts';
import { versionedContract } from '../contracts/versioned.ts';
import { workloadContract } from '../contracts/workload.ts';

const playground = await createPlayground({ readyAfterMs: 20, drainMs: 20 });
const kube = openKube(playground.kubeconfig);
afterAll(async () => {
  await kube.close();
  await playground.stop();
});

workloadContract('versioned', () => versionedWorld(playground.kubeconfig, kube));
versionedContract(playground.kubeconfig, kube);
