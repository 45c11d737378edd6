/** The contracts of src/app/ports.ts against the API server of KUBECONFIG. */
import { afterAll } from 'vitest';
import { gatewayWorld } from '../cluster/gateway-world.ts';
import { openKube } from '../cluster/kube.ts';
import { routerContract } from '../contracts/router.ts';

const kubeconfig = process.env.KUBECONFIG ?? '';
const kube = openKube(kubeconfig);
afterAll(() => kube.close());

routerContract('gateway-api', () => gatewayWorld(kubeconfig, kube));
