/**
 * Whether Linkerd has the weights of a split, which has no status: linkerd-smi writes them into the ServiceProfile of the root
 * Service, and Linkerd follows that. https://github.com/linkerd/linkerd-smi/blob/main/pkg/adaptor/controller.go
 */
import type { Cluster } from '../kubernetes/cluster.ts';
import { ApiFault } from '../kubernetes/errors.ts';
import { PROFILES } from '../kubernetes/needs.ts';
import { type ServiceProfile, ServiceProfiles, type TrafficSplit } from '../kubernetes/route-objects.ts';

/** Where there were none, there may be some after so long. */
const NONE_KEPT_MS = 600_000;

export function createProfiles(cluster: Cluster) {
  /** By namespace: since when there is nothing to be seen (local clock), or that there is. */
  const known = new Map<string, { readonly noneSince: number | null }>();
  const none = (namespace: string) => void known.set(namespace, { noneSince: performance.now() });

  async function isSeen(namespace: string): Promise<boolean> {
    const { noneSince } = known.get(namespace) ?? { noneSince: Number.NEGATIVE_INFINITY };
    if (noneSince === null) return true;
    if (performance.now() - noneSince < NONE_KEPT_MS) return false;
    // A watch that begins in vain would be tried again and again.
    await cluster.list(ServiceProfiles, namespace);
    known.set(namespace, { noneSince: null });
    return true;
  }

  /** Those of a namespace, watched; null: there is no such kind, or the bot may not look. */
  async function all(namespace: string): Promise<readonly ServiceProfile[] | null> {
    try {
      return (await isSeen(namespace)) ? await cluster.view(ServiceProfiles, namespace).all() : null;
    } catch (error) {
      if (!(error instanceof ApiFault) || (error.status !== 403 && error.status !== 404)) throw error;
      none(namespace);
      return null;
    }
  }

  return {
    all,
    /** Before a rollout, when what the bot may do is known anyway: begins to watch. */
    async begin(namespace: string): Promise<void> {
      const missing = await cluster.missingRights(namespace, PROFILES);
      if (missing.length > 0) none(namespace);
      else await all(namespace);
    },
  };
}

/** Without overrides everything goes to the root, which is what a split without a weight for `canary` says too. */
export function hasWeights(
  { metadata, spec }: TrafficSplit,
  profiles: readonly ServiceProfile[],
  canary: string,
): boolean {
  // Of any domain: the cluster's own is not known here.
  const hostOf = (service: string) => `${service.split('.')[0]}.${metadata.namespace}.svc.`;
  const profile = profiles.find((one) => one.metadata.name.startsWith(hostOf(spec.service)));
  const overrides = profile?.spec?.dstOverrides ?? [];
  const { backends } = spec;
  if (overrides.length === 0) return !backends.some(({ service, weight }) => service === canary && amount(weight) > 0);
  return (
    overrides.length === backends.length &&
    backends.every(({ service, weight }) =>
      overrides.some((one) => one.authority.startsWith(hostOf(service)) && amount(one.weight) === amount(weight)),
    )
  );
}

const UNITS: Readonly<Record<string, number>> = { m: 1e-3, k: 1e3 };

/** Of a quantity as the API server writes it: `10`, `"10"`, `500m`. */
function amount(weight: number | string): number {
  const [, digits = '', unit = ''] = /^(.*?)([mk]?)$/.exec(String(weight)) ?? [];
  return Number(digits) * (UNITS[unit] ?? 1);
}
