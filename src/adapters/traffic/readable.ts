/** What is looked at before a rollout as far as the bot may, and is no reason to do without one where it may not. */
import type { Cluster } from '../kubernetes/cluster.ts';
import { ApiFault } from '../kubernetes/errors.ts';
import type { Held, Kind } from '../kubernetes/kinds.ts';

type Looked<T> = {
  readonly found: readonly T[];
  /** How to have it looked at, where the bot may not. */
  readonly remedy?: string;
};

/** None where the API server has no such kind. */
export async function readable<T extends Held>(
  cluster: Cluster,
  kind: Kind<T>,
  versions: readonly string[],
  namespace: string,
  isMeant: (object: T) => boolean = () => true,
): Promise<Looked<T>> {
  const version = versions.length === 1 ? versions[0] : await servedVersion(cluster, kind, versions);
  if (version === undefined) return { found: [] };
  try {
    return { found: (await cluster.list({ ...kind, version }, namespace)).filter(isMeant) };
  } catch (error) {
    const status = error instanceof ApiFault ? error.status : null;
    if (status === 404) return { found: [] };
    if (status !== 403) throw error;
    return { found: [], remedy: `allow list on ${kind.plural} of ${kind.group} to have it looked at` };
  }
}

async function servedVersion(cluster: Cluster, { group }: Kind, versions: readonly string[]) {
  const served = await cluster.versions(group);
  return versions.find((one) => served.includes(one));
}
