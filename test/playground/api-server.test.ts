import { startApiServer } from '../../playground/api-server/server.ts';
import { createStore } from '../../playground/api-server/store.ts';
import { apiServerContract } from '../contracts/api-server.ts';

const server = startApiServer(createStore());

apiServerContract('playground', async () => {
  const { url, token } = await server;
  return { server: url, token };
});
