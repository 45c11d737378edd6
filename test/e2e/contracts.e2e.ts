/** The contracts of src/app/ports against the API server of KUBECONFIG. */
import { afterAll } from 'vitest';
import { gatewayApiSuite } from '../adapters/traffic/gateway-api.suite.ts';
import { gatewayWorld } from '../cluster/gateway-world.ts';
import { openKube } from '../cluster/kube.ts';
import { routeWorld, SYSTEMS } from '../cluster/route-worlds.ts';
import { twinWorld } from '../cluster/twin-world.ts';
import { versionedWorld } from '../cluster/versioned-world.ts';
import { autoscalerContract } from '../contracts/autoscaler.ts';
import { inPlaceContract } from '../contracts/in-place.ts';
import { routerContract } from '../contracts/router.ts';
import { versionedContract } from '../contracts/versioned.ts';
import { twinPreflightContract, workloadContract } from '../contracts/workload.ts';

const kubeconfig = process.env.KUBECONFIG ?? '';
const kube = openKube(kubeconfig);
afterAll(() => kube.close());

/** Those that the routers take where the API server has nothing newer. */
const OLDER = [
  ['smi', 'split.smi-spec.io', 'v1alpha2'],
  ['smi, made when missing', 'split.smi-spec.io', 'v1alpha1'],
  ['istio', 'networking.istio.io', 'v1beta1'],
  ['istio, by subsets', 'networking.istio.io', 'v1alpha3'],
] as const;

routerContract('gateway-api', () => gatewayWorld(kubeconfig, kube));
routerContract('gateway-api, by v1beta1', () =>
  gatewayWorld(kubeconfig, kube, 'twin', { 'gateway.networking.k8s.io': 'v1beta1' }),
);
routerContract('gateway-api, versions', () => gatewayWorld(kubeconfig, kube, 'versioned'));
for (const [name, system] of Object.entries(SYSTEMS)) routerContract(name, () => routeWorld(kubeconfig, kube, system));
for (const [name, group, version] of OLDER)
  routerContract(`${name}, by ${version}`, () => routeWorld(kubeconfig, kube, SYSTEMS[name], { [group]: version }));
gatewayApiSuite(kubeconfig, kube);
workloadContract('twin', () => twinWorld(kubeconfig, kube));
workloadContract('versioned', () => versionedWorld(kubeconfig, kube));
versionedContract(kubeconfig, kube);
twinPreflightContract(() => twinWorld(kubeconfig, kube));
autoscalerContract(() => twinWorld(kubeconfig, kube));
inPlaceContract(kubeconfig, kube);
