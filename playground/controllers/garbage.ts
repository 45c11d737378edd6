/** Deletes what belonged to a deleted object. */
import { type Kind, kinds } from '../api-server/kinds.ts';
import type { Store } from '../api-server/store.ts';
import { type Loop, startLoop } from './loop.ts';

export function collectGarbage(store: Store): Loop {
  return startLoop(store, {
    wakes: ({ type, object }) => (type === 'DELETED' ? [`${object.metadata.namespace}/${object.metadata.uid}`] : []),
    reconcile(key) {
      const [namespace = '', uid] = key.split('/');
      for (const kind of Object.values<Kind>(kinds)) {
        const orphans = store
          .list(kind, namespace)
          .filter(({ metadata }) => metadata.ownerReferences?.some((owner) => owner.uid === uid));
        for (const { metadata } of orphans) store.remove(kind, namespace, metadata.name);
      }
    },
  });
}
