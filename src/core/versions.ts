/** Workload `versioned`: every version has a name of its own, for its Deployment and its Kubernetes Service alike. */
import type { Target } from './plan.ts';

/** Kubernetes Services have names of at most so many characters (RFC 1035 labels). */
const LONGEST = 63;

/** `world-v2`, `world-1-4-0`, `world-main--3f2a1b`. */
export const versionName = (base: string, version: string): string =>
  `${base}-${slugOf(version, LONGEST - base.length - 1)}`;

/**
 * A version as part of a DNS name: a dot becomes one dash, a dash two. What that cannot say (upper case, underscores,
 * neighbouring signs, too many characters) has a hash of 32 bits behind three dashes, which nothing else has. Two of those share
 * a name once in four thousand million pairs: the second is refused while the first is there.
 */
export function slugOf(version: string, room: number): string {
  const plain = version.replaceAll('-', '--').replaceAll('.', '-');
  if (/^[a-z0-9]+([.-][a-z0-9]+)*$/.test(version) && plain.length <= room) return plain;
  const mark = `---${hashOf(version)}`;
  const words = version.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  // A name may end in no dash.
  return `${words.join('-').slice(0, Math.max(1, room - mark.length))}${mark}`.slice(-room).replace(/^-+/, '');
}

/** The version that a name of `versionName` stands for; where it has a hash, the name's own part: it does not tell. */
export function versionIn(base: string, name: string): string {
  const slug = name.slice(base.length + 1);
  return slug.includes('---') ? slug : slug.replace(/--?/g, (dashes) => (dashes === '-' ? '.' : '-'));
}

/** Eight characters of FNV-1a (32 bits): not for secrets, only to tell apart. */
function hashOf(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}

/** As configured, so without the names of a rollout. */
export const baseOf = ({ deployment, versioned }: Pick<Target, 'deployment' | 'versioned'>): string =>
  versioned?.base ?? deployment;

/** What there is to say where a rollback that cut the cool-down short is refused: the version before stays awake for it in vain. */
export const leftAwake = ({ namespace, deployment }: Pick<Target, 'namespace' | 'deployment'>): string =>
  `The cool-down was cut short for this rollback, so Deployment ${namespace}/${deployment} keeps its pods, though nothing is routed to it: roll back once that can be, or take them away with kubectl -n ${namespace} scale deployment ${deployment} --replicas=0.`;

/** The target as it is after the promotion: the canary is what serves. Others keep their names. */
export const promoted = <T extends Pick<Target, 'deployment' | 'versioned'>>(target: T): T =>
  target.versioned ? { ...target, deployment: target.versioned.canary } : target;
