import { afterAll } from 'vitest';
import { CANARY_ID, namerdWorld, STABLE_ID } from '../../../cluster/namerd-world.ts';
import { routerContract } from '../../../contracts/router.ts';
import { startFakeNamerd } from '../../../support/fake-namerd.ts';

const namerd = await startFakeNamerd();
namerd.services.set(STABLE_ID, 2);
namerd.services.set(CANARY_ID, 1);
afterAll(() => namerd.stop());

routerContract('namerd', () =>
  namerdWorld({
    url: namerd.url,
    get: async (namespace) => namerd.get(namespace),
    put: async (namespace, text) => namerd.put(namespace, text),
    remove: async (namespace) => void namerd.remove(namespace),
  }),
);
