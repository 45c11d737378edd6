/** Counts the pods of a namespace into its ResourceQuotas. */
import { kinds } from '../api-server/kinds.ts';
import type { Store } from '../api-server/store.ts';
import { type Loop, startLoop } from './loop.ts';

export function controlQuotas(store: Store): Loop {
  return startLoop(store, {
    wakes: ({ kind, object }) =>
      kind === kinds.resourceQuotas || kind === kinds.pods ? [object.metadata.namespace ?? ''] : [],
    reconcile(namespace) {
      const pods = String(store.list(kinds.pods, namespace).length);
      for (const quota of store.list(kinds.resourceQuotas, namespace)) {
        const hard = quota.spec.hard ?? {};
        const status = { hard, used: 'pods' in hard ? { pods } : {} };
        store.update(kinds.resourceQuotas, { ...quota, status }, 'status');
      }
    },
  });
}
