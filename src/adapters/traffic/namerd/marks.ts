/**
 * Sluice's marks in a dtab. namerd has no annotations, so they are dentries that nothing looks up, from claim to end:
 *
 *   /sluice/world          => /world-1/2/7           rollout, epoch, seq
 *   /sluice/world/restore  => /srv/world             what the dentry of the service said before
 *   /sluice/world/route    => /10/x-canary/always    weight and preview that were written last; none: given back.
 *                                                    Of another preview the kind comes first: /0/cookie/canary/always
 *   /sluice/world/settled  => /yes                   the new version has the place of the one before (workload `versioned`)
 *   /sluice/world/abort    => /U0BO…                 who aborted while Redis was away
 *   /sluice/world/env      => /default               whose bot it is
 */
import type { Marks } from '../../../app/ports/cluster.ts';
import type { Preview, Route, Target } from '../../../core/plan.ts';
import { canaryPath, dtabAddress, dtabName } from '../../../core/traffic.ts';
import { baseOf } from '../../../core/versions.ts';
import type { HeldRoute } from '../../kubernetes/routed-services.ts';
import type { Entry } from './client.ts';
import { fromLabel, type Path, parsePrefix, parseTree, showPath, type Tree, toLabel } from './dtab.ts';
import { leaves } from './lookup.ts';

/** One dtab namespace of a target. */
export type Place = {
  readonly service: string;
  readonly url: string;
  readonly namespace: string;
  readonly address: string;
  /** For people, and as key of the journal. */
  readonly subject: string;
  /** Prefix of the dentry that is set, and the canary's name; both as namerd prints them. */
  readonly path: string;
  readonly canary: Path;
  /** What the version that serves is called there; null: one name for all of them. */
  readonly stable: Path | null;
};

export function placesOf({ service, deployment, traffic, versioned }: Target): readonly Place[] {
  if (traffic.router !== 'namerd') throw new Error(`the router of ${service} is ${traffic.router}, not namerd`);
  const { url, namespaces, path } = traffic;
  const canary = pathOf(canaryPath(traffic, versioned)) ?? [];
  const stable = versioned ? pathOf(canaryPath(traffic, { ...versioned, canary: deployment })) : null;
  return namespaces.map((namespace) => ({
    service,
    url,
    namespace,
    address: dtabAddress(url, namespace),
    subject: dtabName(url, namespace),
    path: normal(path),
    canary,
    stable,
  }));
}

/** A dtab with what concerns one service in it. */
export type Seen = {
  readonly place: Place;
  readonly entries: readonly Entry[];
  readonly marks: Marks | null;
  /** The route that Sluice wrote last; null: none, or it is given back. */
  readonly route: Route | null;
  readonly env: string | null;
  readonly settled: boolean;
  /** The dentry that Sluice sets; null: none has this prefix, or it cannot be read. */
  readonly own: { readonly text: string; readonly tree: Tree } | null;
};

export function see(place: Place, entries: readonly Entry[]): Seen {
  const text = entries.findLast(({ prefix }) => normal(prefix) === place.path)?.dst;
  const parsed = text === undefined ? null : parseTree(text);
  return {
    place,
    entries,
    ...readMarks(entries, place.service),
    own: text !== undefined && parsed?.ok ? { text, tree: parsed.value } : null,
  };
}

export function readMarks(
  entries: readonly Entry[],
  service: string,
): Pick<Seen, 'marks' | 'route' | 'env' | 'settled'> {
  const at = (...mark: readonly string[]) =>
    entries.findLast(({ prefix }) => prefix === showPath(['sluice', service, ...mark]))?.dst ?? null;
  const word = (mark: string) => {
    const [label] = pathOf(at(mark) ?? '') ?? [];
    return label === undefined ? null : fromLabel(label);
  };
  const [rollout, epoch = '', seq = ''] = pathOf(at() ?? '') ?? [];
  const isMark = rollout !== undefined && isCount(epoch) && isCount(seq);
  return {
    marks: isMark
      ? {
          rollout: fromLabel(rollout),
          epoch: Number(epoch),
          seq: Number(seq),
          phase: 'active',
          abort: word('abort'),
          restore: at('restore'),
        }
      : null,
    route: readRoute(pathOf(at('route') ?? '') ?? []),
    env: word('env'),
    settled: at('settled') !== null,
  };
}

function readRoute([weight = '', ...preview]: Path): Route | null {
  return isCount(weight) ? { weight: Number(weight), preview: previewIn(preview.map(fromLabel)), mirror: null } : null;
}

function previewIn([first, second, third]: readonly string[]): Preview | null {
  if (first === undefined || second === undefined) return null;
  if (third === undefined) return { header: first, value: second };
  return first === 'cookie' ? { cookie: second, value: third } : { header: second, pattern: third };
}

function labelsOfPreview(preview: Preview): readonly string[] {
  if ('cookie' in preview) return ['cookie', preview.cookie, preview.value];
  return 'pattern' in preview ? ['pattern', preview.header, preview.pattern] : [preview.header, preview.value];
}

/** `null` takes a mark off, what is left out stays. `restore` is a name tree, the others any text. */
export type Changes = {
  readonly mark?: { readonly rollout: string; readonly epoch: number; readonly seq: number } | null;
  readonly restore?: string | null;
  readonly route?: Route | null;
  readonly settled?: true | null;
  readonly abort?: string | null;
  readonly env?: string | null;
};

/** The dtab with other marks and, unless null, another destination in the own dentry; all else as it was. */
export function change({ place, entries }: Seen, dst: string | null, changes: Changes): readonly Entry[] {
  const { mark, restore, route, settled, abort, env } = changes;
  const marks: readonly (readonly [readonly string[], string | null | undefined])[] = [
    [[], mark && showPath([toLabel(mark.rollout), `${mark.epoch}`, `${mark.seq}`])],
    [['restore'], restore],
    [['route'], route && showPath(labelsOf(route))],
    [['settled'], settled && '/yes'],
    [['abort'], abort && showPath([toLabel(abort)])],
    [['env'], env && showPath([toLabel(env)])],
  ];
  const own = entries.findLastIndex(({ prefix }) => normal(prefix) === place.path);
  const routed = entries.map((entry, index) => (index === own && dst !== null ? { ...entry, dst } : entry));
  const set = new Map(
    marks.flatMap(([mark, value]) =>
      value === undefined ? [] : [[showPath(['sluice', place.service, ...mark]), value] as const],
    ),
  );
  const kept = routed.flatMap((entry) => {
    const value = set.get(entry.prefix);
    if (value === undefined) return [entry];
    set.delete(entry.prefix);
    return value === null ? [] : [{ ...entry, dst: value }];
  });
  return [...kept, ...[...set].flatMap(([prefix, dst]) => (dst === null ? [] : [{ prefix, dst }]))];
}

/** Nothing of Sluice's is left for this service. */
export const NONE: Changes = { mark: null, restore: null, route: null, settled: null, abort: null, env: null };

const labelsOf = ({ weight, preview }: Route): Path => [
  `${weight}`,
  ...(preview ? labelsOfPreview(preview).map(toLabel) : []),
];

/** Services with marks in a dtab. */
export function markedServices(entries: readonly Entry[]): readonly string[] {
  return entries.flatMap(({ prefix }) => /^\/sluice\/([^/]+)$/.exec(prefix)?.[1] ?? []);
}

const isCount = (text: string) => /^\d{1,15}$/.test(text);

const pathOf = (text: string): Path | null => {
  const parsed = parseTree(text);
  return parsed.ok && parsed.value.kind === 'leaf' ? parsed.value.path : null;
};

/** A prefix in its printed form, however it was typed. */
function normal(prefix: string): string {
  const parsed = parsePrefix(prefix);
  return parsed.ok ? showPath(parsed.value) : prefix;
}

/** Names of the Deployments whose versions a destination names. */
export function versionsNamed(tree: Tree | undefined, target: Target): readonly string[] {
  if (target.traffic.router !== 'namerd' || !tree) return [];
  const [before = '', after = ''] = target.traffic.names.split('{version}');
  return leaves(tree)
    .map(showPath)
    .filter((path) => path.startsWith(before) && path.endsWith(after))
    .map((path) => `${baseOf(target)}-${path.slice(before.length, path.length - after.length)}`);
}

/** The versions that the dentry named before a rollout claimed it, and names now; null: none holds it. */
export function heldRoute({ own, marks }: Seen, target: Target): HeldRoute | null {
  if (!marks) return null;
  const noted = parseTree(marks.restore ?? '!');
  const before = versionsNamed(noted.ok ? noted.value : undefined, target);
  return { rollout: marks.rollout, before, now: versionsNamed(own?.tree, target) };
}
