import { afterAll } from 'vitest';
import { startApiServer } from '../../playground/api-server/server.ts';
import { createStore } from '../../playground/api-server/store.ts';
import { apiServerContract } from '../contracts/api-server.ts';

const { url, token, stop } = await startApiServer(createStore());
afterAll(stop);

apiServerContract('playground', async () => ({ server: url, token }));
