import { KubeConfig } from '@kubernetes/client-node';
import { apiServerContract } from '../contracts/api-server.ts';

apiServerContract('real', async () => {
  const config = new KubeConfig();
  config.loadFromDefault();
  const cluster = config.getCurrentCluster();
  const token = config.getCurrentUser()?.token;
  if (!cluster || !token) throw new Error('KUBECONFIG names no cluster, or no user with a token');
  const ca = cluster.caData ? Buffer.from(cluster.caData, 'base64').toString() : undefined;
  return { server: cluster.server, token, ...(ca !== undefined && { ca }) };
});
