import type { Cluster } from './cluster.ts';
import type { Held, Kind, Ref } from './kinds.ts';

/** What `judge` says of the watched copy, and then of a fresh one: a copy that lags behind looks like a foreign edit. */
export async function convict<T extends Held, Verdict>(
  cluster: Cluster,
  kind: Kind<T>,
  ref: Ref,
  judge: (object: T | null) => Verdict | null,
): Promise<Verdict | null> {
  const suspicion = judge(await cluster.view(kind, ref.namespace).get(ref.name));
  return suspicion === null ? null : judge(await cluster.get(kind, ref));
}
