/** Following names through a dtab. Pure. */
import { type Dentry, type Path, showPath, type Tree } from './dtab.ts';

/** One step from a path, as Finagle takes it: every dentry whose prefix matches, the last one first; the rest is appended. */
export function lookUp(dtab: readonly Dentry[], path: Path): Tree {
  const found = dtab.filter(({ prefix }) => matches(prefix, path)).toReversed();
  const trees = found.map(({ prefix, dst }) => append(dst, path.slice(prefix.length)));
  const [only] = trees;
  if (!only) return { kind: 'neg' };
  return trees.length === 1 ? only : { kind: 'alt', trees };
}

/** Whether a dentry of this prefix has a say in a path; `*` in the path stands for any label. */
export const matches = (prefix: Path, path: Path) =>
  prefix.length <= path.length && prefix.every((label, index) => label === '*' || label === path[index]);

const append = (tree: Tree, rest: Path) => mapLeaves(tree, (path) => [...path, ...rest]);

/** Every path that a tree names, in its order. */
export function leaves(tree: Tree): readonly Path[] {
  switch (tree.kind) {
    case 'leaf':
      return [tree.path];
    case 'alt':
      return tree.trees.flatMap(leaves);
    case 'union':
      return tree.branches.flatMap((branch) => leaves(branch.tree));
    default:
      return [];
  }
}

export const names = (tree: Tree, path: Path) => leaves(tree).some((leaf) => showPath(leaf) === showPath(path));

/** The tree with other paths in its leaves. */
export function mapLeaves(tree: Tree, change: (path: Path) => Path): Tree {
  switch (tree.kind) {
    case 'leaf':
      return { kind: 'leaf', path: change(tree.path) };
    case 'alt':
      return { ...tree, trees: tree.trees.map((inner) => mapLeaves(inner, change)) };
    case 'union':
      return { ...tree, branches: tree.branches.map((one) => ({ ...one, tree: mapLeaves(one.tree, change) })) };
    default:
      return tree;
  }
}
