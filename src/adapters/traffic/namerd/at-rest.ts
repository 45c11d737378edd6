/** What a dtab has to be like before a rollout takes a dentry of it. Pure. */
import type { Entry } from './client.ts';
import { type Path, parsePrefix, parseTree, showPath, type Tree } from './dtab.ts';
import { leaves, matches, names } from './lookup.ts';
import type { Seen } from './marks.ts';

/** Why a dentry is not taken, as a sentence; null: it may be. */
export function troubleAtRest(seen: Seen): string | null {
  const { own, entries, place } = seen;
  const { subject, path, canary } = place;
  if (!own) {
    const text = entries.findLast(({ prefix }) => prefix === path)?.dst;
    const parsed = text === undefined ? null : parseTree(text);
    if (parsed && !parsed.ok) return `${subject}: dentry ${path} cannot be read: ${parsed.error}.`;
    return missing(seen);
  }
  if (entries.filter(({ prefix }) => prefix === path).length > 1)
    return `${subject} has several dentries with the prefix ${path}: leave one, or it is unclear what would be set.`;
  const other = askedBefore(seen);
  if (other)
    return `${subject}: ${other.prefix} => ${other.dst} is asked before ${path}, since later dentries come first, so weights would have no effect: put ${path} last in the dtab.`;
  if (leaves(own.tree).some(([first]) => first === 'tmp'))
    return `${subject}: ${path} => ${own.text} is managed by another pipeline, which marks with /tmp what it deploys: let it end, or put /srv back.`;
  if (names(own.tree, canary))
    return `${subject}: ${path} => ${own.text} names the canary ${showPath(canary)} without a rollout: put its own destination back.`;
  if (hasUnion(own.tree))
    return `${subject}: ${path} => ${own.text} is shared out already, so what is stable there is unclear: leave one destination.`;
  if (leaves(own.tree).length === 0) return `${subject}: ${path} => ${own.text} leads nowhere: name a destination.`;
  return null;
}

function missing({ entries, place: { subject, namespace, path, stable } }: Seen): string {
  const near = entries.slice(0, 10).map(({ prefix }) => prefix);
  const dentry = `${path} => ${stable ? showPath(stable) : '<name of what serves now>'}`;
  return `${subject} has no dentry with the prefix ${path} (it has ${near.join(', ') || 'none'}): where its traffic comes through ${namespace}, add ${dentry} as its last one and lead the traffic to it; else take ${namespace} out of traffic.namespaces, or correct traffic.path.`;
}

/** The dentry that namerd asks before the own one: of those that match a path, the last one comes first. */
export const askedBefore = (seen: Seen): Entry | null => later(seen, matches).at(-1) ?? null;

/** Of a path with wildcards: what some of its names go by, past the weights. A sentence each. */
export const partsAskedBefore = (seen: Seen): readonly string[] =>
  later(seen, (prefix, path) =>
    matches(
      prefix,
      path.map((label, at) => (label === '*' ? (prefix[at] ?? label) : label)),
    ),
  ).map(
    ({ prefix, dst }) =>
      `${seen.place.subject}: ${prefix} => ${dst} is asked before ${seen.place.path}, so requests to that name have no part in the weights.`,
  );

function later({ entries, place }: Seen, isMeant: (prefix: Path, path: Path) => boolean): readonly Entry[] {
  const path = parsePrefix(place.path);
  const own = entries.findLastIndex(({ prefix }) => prefix === place.path);
  return entries.filter(({ prefix }, index) => {
    const parsed = parsePrefix(prefix);
    return own >= 0 && index > own && parsed.ok && path.ok && isMeant(parsed.value, path.value);
  });
}

function hasUnion(tree: Tree): boolean {
  return tree.kind === 'union' || (tree.kind === 'alt' && tree.trees.some(hasUnion));
}
