/** The contracts of src/app/ports.ts against the API server of KUBECONFIG. */
import { afterAll } from 'vitest';
import { gatewayApiSuite } from '../adapters/traffic/gateway-api.suite.ts';
import { gatewayWorld } from '../cluster/gateway-world.ts';
import { openKube } from '../cluster/kube.ts';
import { twinWorld } from '../cluster/twin-world.ts';
import { routerContract } from '../contracts/router.ts';
import { twinPreflightContract, workloadContract } from '../contracts/workload.ts';

const kubeconfig = process.env.KUBECONFIG ?? '';
const kube = openKube(kubeconfig);
afterAll(() => kube.close());

routerContract('gateway-api', () => gatewayWorld(kubeconfig, kube));
gatewayApiSuite(kubeconfig, kube);
workloadContract('twin', () => twinWorld(kubeconfig, kube));
twinPreflightContract(() => twinWorld(kubeconfig, kube));
