/**
 * The adaptor that Linkerd 2 needs for TrafficSplits since 2.12: it writes each split into the ServiceProfile of its apex, a
 * moment later, and empties the overrides when the split goes. It leaves a profile alone that says `smi.linkerd.io/skip`.
 */
import { isEqual } from '../api-server/json.ts';
import { kinds } from '../api-server/kinds.ts';
import type { Store } from '../api-server/store.ts';
import type { TrafficSplit } from '../api-server/traffic-objects.ts';
import { keyOf, type Loop, splitKey, startLoop } from './loop.ts';

const SKIP = 'smi.linkerd.io/skip';
const DOMAIN = 'svc.cluster.local';

export function adaptSplits(store: Store, delayMs: number): Loop {
  const loop = startLoop(store, {
    wakes: ({ kind, object }) => {
      if (kind !== kinds.trafficSplits) return [];
      const apex = (object as TrafficSplit).spec.service;
      return [`look ${keyOf(object)} ${apex}`];
    },
    reconcile(key) {
      const [when, split = '', apex = ''] = key.split(' ');
      if (when === 'look') return loop.again(`write ${split} ${apex}`, delayMs);
      const [namespace] = splitKey(split);
      writeProfile(store, namespace, apex, store.get(kinds.trafficSplits, ...splitKey(split)));
    },
  });
  return loop;
}

function writeProfile(store: Store, namespace: string, apex: string, split: TrafficSplit | undefined): void {
  const authority = (service: string) => `${service}.${namespace}.${DOMAIN}`;
  const name = authority(apex);
  const dstOverrides = (split?.spec.backends ?? []).map(({ service, weight }) => ({
    authority: authority(service),
    weight,
  }));
  const old = store.get(kinds.serviceProfiles, namespace, name);
  if (old && (old.metadata.annotations?.[SKIP] !== undefined || isEqual(old.spec.dstOverrides, dstOverrides))) return;
  if (old) store.update(kinds.serviceProfiles, { ...old, spec: { ...old.spec, dstOverrides } }, 'main');
  else if (split) {
    store.create(kinds.serviceProfiles, {
      apiVersion: 'linkerd.io/v1alpha2',
      kind: 'ServiceProfile',
      metadata: { name, namespace },
      spec: { dstOverrides },
    });
  }
}
