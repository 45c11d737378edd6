/** Kinds that API servers serve in different versions. */
import type { Cluster } from './api.ts';
import type { Held, Kind } from './kinds.ts';

/** The API server serves none of the versions that Sluice can write; the message names the remedy. */
export class NotServed extends Error {}

/** The kind in the first of `versions` that is served; throws `NotServed` when there is none. */
export async function servedKind<T extends Held>(
  cluster: Cluster,
  kind: Kind<T>,
  versions: readonly string[],
): Promise<Kind<T>> {
  const served = await cluster.versions(kind.group);
  const version = versions.find((one) => served.includes(one));
  if (version !== undefined) return version === kind.version ? kind : { ...kind, version };
  const found = served.length > 0 ? `it serves ${served.join(', ')}` : 'it does not know the group';
  throw new NotServed(
    `The API server has no ${kind.kind} of ${kind.group} in ${versions.join(', ')} (${found}): install its definition.`,
  );
}
