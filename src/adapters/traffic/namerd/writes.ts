/** What each operation makes of a dtab as it was read, or why it leaves it alone. Pure: `router.ts` sends it. */
import { isDeepStrictEqual } from 'node:util';
import type { Fence, Written } from '../../../app/ports/cluster.ts';
import { type Route, STABLE_ROUTE } from '../../../core/plan.ts';
import type { Drift } from '../../../core/rollout.ts';
import { barrier, behind, DONE, drifted, heldMessage, marksLost, meetMarks, refused } from '../../kubernetes/fence.ts';
import { askedBefore, troubleAtRest } from './at-rest.ts';
import type { Entry } from './client.ts';
import { type Branch, type Path, parseTree, sameTree, showPath, showTree, type Tree } from './dtab.ts';
import { leaves, mapLeaves, names } from './lookup.ts';
import { change, NONE, type Place, type Seen } from './marks.ts';

export type Intent = { readonly entries: readonly Entry[] } | Written;

// ---- what a dentry says ----------------------------------------------------------------------------------------------

/** Integer branch weights; a single branch at 0 and 100, since namerd draws among branches of weight 0 too. */
function render(weight: number, stable: Tree, canary: Path): Tree {
  const leaf: Tree = { kind: 'leaf', path: canary };
  if (weight <= 0) return stable;
  if (weight >= 100) return leaf;
  return {
    kind: 'union',
    branches: [
      { weight, tree: leaf },
      { weight: 100 - weight, tree: stable },
    ],
  };
}

const isCanary = (tree: Tree, canary: Path) => tree.kind === 'leaf' && showPath(tree.path) === showPath(canary);

/** The canary's share; null when it is no whole percent, or no shape that `render` writes. `stable` null: not known. */
function weightOf(tree: Tree, stable: Tree | null, canary: Path): number | null {
  const isStable = (part: Tree) => !names(part, canary) && (stable === null || sameTree(part, stable));
  if (isCanary(tree, canary)) return 100;
  if (isStable(tree)) return 0;
  const [first, second, more] = tree.kind === 'union' ? tree.branches : [];
  if (!first || !second || more) return null;
  const share = (one: Branch, other: Branch) =>
    isCanary(one.tree, canary) && isStable(other.tree) ? (100 * one.weight) / (one.weight + other.weight) : null;
  const found = share(first, second) ?? share(second, first);
  return found !== null && Number.isInteger(found) ? found : null;
}

const treeOf = (text: string | null): Tree | null => {
  const parsed = text === null ? null : parseTree(text);
  return parsed?.ok ? parsed.value : null;
};

/** What was there before, by the dtab's own note or else by what stands beside the canary. */
function restoreOf({ marks, own, place }: Seen): string | null {
  if (marks?.restore) return marks.restore;
  if (!own) return null;
  if (!names(own.tree, place.canary)) return own.text;
  if (own.tree.kind !== 'union') return null;
  const others = own.tree.branches.filter(({ tree }) => !names(tree, place.canary));
  return others.length === 1 && others[0] ? showTree(others[0].tree) : null;
}

export const isRestored = ({ own, place }: Seen) => own === null || !names(own.tree, place.canary);

/** The route that the dtab shows; null when it is no shape that Sluice writes. */
export function readRoute(seen: Seen): Route | null {
  const { own, marks, route, place } = seen;
  const weight = own && weightOf(own.tree, treeOf(marks?.restore ?? null), place.canary);
  return weight === null ? null : { weight, preview: route?.preview ?? null, mirror: null };
}

/** What differs from what Sluice wrote last. */
export function driftOf(seen: Seen): Drift | null {
  const { own, marks, route, place } = seen;
  const found = (difference: string, weight: number | null): Drift => ({ object: place.subject, difference, weight });
  if (!own) return found(`its dentry ${place.path} is gone`, null);
  const other = askedBefore(seen);
  if (other) return found(`its dentry ${other.prefix} => ${other.dst} is asked before ${place.path}`, null);
  const stable = treeOf(marks?.restore ?? null);
  if (!stable) return marksLost(place.subject);
  const written = render((route ?? STABLE_ROUTE).weight, stable, place.canary);
  if (sameTree(own.tree, written)) return null;
  const difference = `its dentry ${place.path} sends to ${own.text}, written was ${showTree(written)}`;
  return found(difference, weightOf(own.tree, stable, place.canary));
}

// ---- operations ------------------------------------------------------------------------------------------------------

export function intendClaim(seen: Seen, by: Fence, env: string): Intent {
  const { marks, place, own } = seen;
  const ours = marks?.rollout === by.rollout;
  if (marks && !ours) return refused(heldMessage(place.subject, marks, place.service));
  const stopped = behind(marks, by);
  if (stopped) return stopped;
  if (marks && ours && marks.epoch === by.epoch) return DONE;
  // Taken over from an older epoch of the same rollout: it may be routed already, the note of before is the old one.
  if (marks?.restore) return { entries: change(seen, null, { mark: by, env, abort: null }) };
  const trouble = troubleAtRest(seen);
  if (trouble) return refused(trouble);
  return { entries: change(seen, null, { ...NONE, mark: by, restore: own?.text ?? null, env }) };
}

/**
 * `repeat`: writes even when the dtab carries this write already (to take a raised weight back). `noted`: the journal that
 * Redis has, for a dtab that lost its own.
 */
export function intendRoute(
  seen: Seen,
  route: Route,
  by: Fence,
  {
    overwrite,
    repeat = false,
    noted = null,
    env,
  }: { overwrite: boolean; repeat?: boolean; noted?: string | null; env: string },
): Intent {
  const { marks, place, own } = seen;
  const met = meetMarks(marks, by);
  if (typeof met === 'object') return met;
  // One that was lowered again carries the number of this write, but not its route.
  if (met === 'repeat' && !repeat && isDeepStrictEqual(seen.route, route)) return DONE;
  if (met === 'unmarked' && !overwrite) return drifted(marksLost(place.subject));
  const drift = overwrite || repeat ? null : driftOf(seen);
  if (drift) return drifted(drift);
  const restore = seen.marks?.restore ?? noted ?? restoreOf(seen);
  const stable = treeOf(restore);
  if (!own || !stable || restore === null) return refused(handWork(seen, 'put the dentry of before back, or abort'));
  const dst = route.weight <= 0 ? restore : send(render(route.weight, stable, place.canary));
  return { entries: change(seen, dst, { mark: by, restore, route, env }) };
}

/** `noted`: the journal that Redis has, for a dtab that lost its own. */
export function intendReset(
  seen: Seen,
  by: Fence,
  { abort, noted, env, blind = null }: { abort: boolean; noted: string | null; env: string; blind?: string | null },
): Intent {
  const { marks, own, place } = seen;
  // An abort is not held up by what its own epoch wrote.
  const stopped = abort ? barrier(marks, by) : behind(marks, by);
  if (stopped) return stopped;
  const written = marks?.rollout === by.rollout && marks.epoch === by.epoch && marks.seq >= by.seq;
  if (written && isRestored(seen) && seen.route === null) return DONE;
  if (!abort && !marks) return drifted(marksLost(place.subject));
  const drift = abort ? null : driftOf(seen);
  if (drift) return drifted(drift);
  const restore = marks?.restore ?? noted ?? restoreOf(seen);
  if (restore === null && own) return refused(stillRouted(seen));
  const changes = { mark: by, restore, route: null, settled: null, env, ...(blind !== null && { abort: blind }) };
  return { entries: change(seen, restore, changes) };
}

/** What was there before, with the canary in stable's place; null: stable is not named there. */
function succeeded(restore: string | null, { stable, canary }: Place): Tree | null {
  const before = treeOf(restore);
  const isStable = (path: Path) => stable !== null && showPath(path) === showPath(stable);
  if (!before || !leaves(before).some(isStable)) return null;
  return mapLeaves(before, (path) => (isStable(path) ? canary : path));
}

/** Whether any dentry but Sluice's own notes leads to the version before. */
export function namesStable({ entries, place: { stable } }: Seen): boolean {
  if (stable === null) return false;
  const name = showPath(stable);
  return entries
    .filter(({ prefix }) => !prefix.startsWith('/sluice/'))
    .map(({ dst }) => treeOf(dst))
    .some((tree) => tree !== null && leaves(tree).some((path) => showPath(path) === name));
}

/** Whether the dtab shows what `intendSettle` writes. */
export const isSettled = ({ own, marks, settled, place }: Seen): boolean => {
  const wanted = settled ? succeeded(marks?.restore ?? null, place) : null;
  return own !== null && wanted !== null && sameTree(own.tree, wanted);
};

const changedSince = ({ own, place }: Seen, next: Tree | null): Drift => ({
  object: place.subject,
  difference: `its dentry ${place.path} sends to ${own?.text ?? 'nothing'}, written was ${next ? showTree(next) : 'another'}`,
  weight: null,
});

/** The canary takes stable's place for good. `noted` as in `intendReset`. */
export function intendSettle(
  seen: Seen,
  by: Fence,
  { overwrite, noted, env }: { overwrite: boolean; noted: string | null; env: string },
): Intent {
  const { marks, place, own, settled } = seen;
  const met = meetMarks(marks, by);
  if (typeof met === 'object') return met;
  if (met === 'repeat' && settled) return DONE;
  if (met === 'unmarked' && !overwrite) return drifted(marksLost(place.subject));
  const restore = marks?.restore ?? noted;
  const next = succeeded(restore, place);
  const drift = overwrite || isSettled(seen) ? null : settled ? changedSince(seen, next) : driftOf(seen);
  if (drift) return drifted(drift);
  if (!own || !next) return refused(handWork(seen, 'put the name of the new version there by hand'));
  return { entries: change(seen, showTree(next), { mark: by, restore, route: null, settled: true, env }) };
}

/** Takes every mark off a dtab that has its own destination again. */
export function intendRelease(seen: Seen, by: Fence): Intent {
  const { marks } = seen;
  if (!marks || marks.rollout !== by.rollout) return DONE;
  const stopped = behind(marks, by);
  if (stopped) return stopped;
  if (!seen.settled && !isRestored(seen)) return refused(stillRouted(seen));
  return { entries: change(seen, null, NONE) };
}

/** An abort without Redis: what the dtab itself carries, one epoch higher. `partly`: other dtabs are not settled yet. */
export function intendBlindAbort(
  seen: Seen,
  rollout: string,
  { by, keepTraffic, env, partly }: { by: string; keepTraffic: boolean; env: string; partly: boolean },
): Intent {
  const { marks, place } = seen;
  if (marks?.rollout !== rollout) return refused(`${place.subject} is not held by rollout ${rollout}`);
  if (seen.settled && !partly) return refused(`${place.subject}: the new version has taken over already`);
  if (marks.abort !== null && (keepTraffic || isRestored(seen))) return DONE;
  const fence: Fence = { rollout, epoch: marks.epoch + 1, seq: marks.seq };
  if (keepTraffic) return { entries: change(seen, null, { mark: fence, abort: by }) };
  return intendReset(seen, fence, { abort: true, noted: null, env, blind: by });
}

/** Sent with whole numbers; namerd prints two decimals. */
function send(tree: Tree): string {
  if (tree.kind !== 'union') return showTree(tree);
  return tree.branches
    .map(({ weight, tree: inner }) => `${weight}*${inner.kind === 'leaf' ? showTree(inner) : `(${showTree(inner)})`}`)
    .join(' & ');
}

const stillRouted = (seen: Seen) => handWork(seen, 'put the destination of before there by hand');

const handWork = ({ place, own }: Seen, what: string) =>
  `${place.subject}: ${place.path} => ${own?.text ?? 'nothing'}, and nobody knows what was there before: ${what}`;
