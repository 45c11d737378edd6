/** Which versions of which resources the server serves: a playground may know fewer than the simulation does. */
import { allKinds, type Kind } from './kinds.ts';

/** Versions by API group: `{ 'split.smi-spec.io': ['v1alpha1'] }`; an empty list: its definitions are not installed. */
export type ServedVersions = Readonly<Record<string, readonly string[]>>;

export type Served = ReturnType<typeof createServed>;

export function createServed(limits: ServedVersions = {}) {
  let allowed = limits;

  /** Best first. */
  const versionsOf = ({ group, versions }: Kind): readonly string[] => {
    const some = allowed[group];
    return some ? versions.filter((version) => some.includes(version)) : versions;
  };

  return {
    versionsOf,

    /** From now on only these versions of a group; undefined: all that the simulation knows. */
    serve(group: string, versions: readonly string[] | undefined): void {
      const { [group]: _, ...others } = allowed;
      allowed = versions ? { ...others, [group]: versions } : others;
    },

    /** Kinds in a version of a group, `apps` and `v1`. */
    kindsIn: (group: string, version: string): readonly Kind[] =>
      allKinds.filter((kind) => kind.group === group && versionsOf(kind).includes(version)),

    /** Versions of a group that have a kind, best first. */
    versionsIn: (group: string): readonly string[] => {
      const known = allKinds.filter((kind) => kind.group === group).flatMap(versionsOf);
      return [...new Set(known)].sort(byPreference);
    },
  };
}

const STAGES = ['alpha', 'beta', ''];

/** Stable before beta before alpha, then the higher number, as the real server prefers. */
function byPreference(one: string, other: string): number {
  const rank = (version: string) => {
    const [, major = '0', stage = '', minor = '0'] = /^v(\d+)(alpha|beta)?(\d+)?$/.exec(version) ?? [];
    return [STAGES.indexOf(stage), Number(major), Number(minor)];
  };
  const [a, b] = [rank(one), rank(other)];
  return b.map((part, index) => part - (a[index] ?? 0)).find((difference) => difference !== 0) ?? 0;
}
