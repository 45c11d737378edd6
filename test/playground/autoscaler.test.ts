import { afterAll, expect, it } from 'vitest';
import { createPlayground } from '../../playground/playground.ts';
import { openKube } from '../cluster/kube.ts';
import { twinWorld } from '../cluster/twin-world.ts';
import { planFor, until } from '../cluster/world.ts';
import { autoscalerContract } from '../contracts/autoscaler.ts';

const playground = await createPlayground({ readyAfterMs: 20, drainMs: 20 });
const kube = openKube(playground.kubeconfig);
afterAll(async () => {
  await kube.close();
  await playground.stop();
});

autoscalerContract(() => twinWorld(playground.kubeconfig, kube));

it('an autoscaler that may not be raised any more does not keep the canary small', async () => {
  const { target, workload, paths, end } = await twinWorld(playground.kubeconfig, kube);
  const fence = (seq: number) => ({ rollout: 'world-1', epoch: 1, seq });
  await kube.call('POST', `/apis/autoscaling/v2/namespaces/${target.namespace}/horizontalpodautoscalers`, {
    metadata: { name: 'scaler' },
    spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'world' }, maxReplicas: 10 },
  });
  await workload.claim(target, fence(1));
  await workload.createCanary(planFor(target, 'v2'), fence(2));
  playground.api.rights.deny({ verb: 'patch', resource: 'horizontalpodautoscalers' });
  await kube.merge(paths.deployment, { spec: { replicas: 5 } });
  await until(async () => {
    expect(await workload.scaleCanary(target, 100, fence(3))).toEqual({ kind: 'done' });
    return (await kube.get(paths.canary)).spec.replicas === 5;
  });
  playground.api.rights.allowEverything();
  await end();
});
