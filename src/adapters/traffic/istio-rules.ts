/**
 * The HTTP routes of a VirtualService as Sluice rewrites them. Routes are recognised by content, never by position: one is
 * routed when a destination is one of Sluice's sides, or when it is still as the journal has it.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Preview, type Route, STABLE_ROUTE } from '../../core/plan.ts';
import { type Op, pointer, replace, test } from '../kubernetes/marks.ts';
import {
  type Destination,
  type HttpMatch,
  type IstioJournal,
  type IstioRoute,
  istioJournal,
  type VirtualService,
  type WeightedDestination,
} from '../kubernetes/route-objects.ts';
import { type Split, wholeHost } from './istio-split.ts';
import { matchOf, previewOf } from './previews.ts';

/** Name of the routes that Sluice puts before its own for a preview. */
export const PREVIEW = 'sluice-preview';

export const httpOf = ({ spec }: VirtualService) => spec.http ?? [];

/** The journal of `sluice.dev/restore`; an empty one when there is none that can be read. */
export function parseJournal(restore: string | null | undefined): IstioJournal {
  try {
    return istioJournal.safeParse(JSON.parse(restore ?? '[]')).data ?? [];
  } catch {
    return [];
  }
}

export const isHost = (to: Pick<Destination, 'host'>, service: string, namespace: string, home: string): boolean =>
  wholeHost(to, home) === `${service}.${namespace}.svc`;

/** The routes whose only destination is the Kubernetes Service; of these names only, when some are given. */
export function journalOf(
  http: readonly IstioRoute[],
  isServing: (to: Destination) => boolean,
  names: readonly string[],
): IstioJournal {
  return http.flatMap(({ name, match, route = [] }) => {
    const [only] = route;
    if (!only || route.length > 1 || !isServing(only.destination)) return [];
    if (names.length > 0 && !names.includes(name ?? '')) return [];
    return [{ ...(name !== undefined && { name }), ...(match && { match }), route: [only] }];
  });
}

type Role =
  | { readonly kind: 'preview' }
  | { readonly kind: 'routed'; readonly was: WeightedDestination }
  | { readonly kind: 'other' };

function roleOf(http: IstioRoute, journal: IstioJournal, split: Split): Role {
  const { name, match, route = [] } = http;
  const entry = journal.find((one) => one.name === name && isDeepStrictEqual(one.match, match));
  if (!route.some(({ destination }) => split.isSide(destination))) {
    const [was] = entry?.route ?? [];
    return was && isDeepStrictEqual(route, [was]) ? { kind: 'routed', was } : { kind: 'other' };
  }
  if (name === PREVIEW) return { kind: 'preview' };
  const was = (entry ?? alike(http, journal) ?? journal[0])?.route[0];
  return was ? { kind: 'routed', was } : { kind: 'other' };
}

/** Of a route whose match was edited: the journalled one of its name and port, or of its name. */
function alike({ name, route = [] }: IstioRoute, journal: IstioJournal) {
  const named = journal.filter((one) => one.name === name);
  const port = (to: WeightedDestination | undefined) => to?.destination.port;
  return named.find((one) => isDeepStrictEqual(port(one.route[0]), port(route[0]))) ?? named[0];
}

/**
 * The routes with this route in them. The first match wins, so a preview stands right before its own route: what a route
 * further up takes, it goes on taking.
 */
export function render(http: readonly IstioRoute[], journal: IstioJournal, split: Split, route: Route): IstioRoute[] {
  return http.flatMap((one): IstioRoute[] => {
    const role = roleOf(one, journal, split);
    if (role.kind === 'preview') return [];
    if (role.kind === 'other') return [one];
    const side = (of: 'stable' | 'canary', weight: number): WeightedDestination => ({
      ...role.was,
      destination: split[of](role.was.destination),
      weight,
    });
    const canary = side('canary', route.weight);
    const plain = unmirrored(one, split);
    const preview = route.preview ? [previewRoute(plain, { ...canary, weight: 100 }, route.preview)] : [];
    const mirror = route.mirror !== null && {
      mirror: canary.destination,
      mirrorPercentage: { value: route.mirror },
    };
    return [...preview, { ...plain, ...mirror, route: [side('stable', 100 - route.weight), canary] }];
  });
}

function previewRoute(http: IstioRoute, canary: WeightedDestination, preview: Preview): IstioRoute {
  const match = matchesOf(http).map((one) => withHeader(one, preview));
  return { ...http, name: PREVIEW, match, route: [canary] };
}

/** An empty list means what none means: all requests. */
const matchesOf = ({ match = [] }: Pick<IstioRoute, 'match'>) => (match.length > 0 ? match : [{}]);

/** Header names of a VirtualService are lower case; a match on the same header gives way. */
function withHeader(match: HttpMatch, preview: Preview): HttpMatch {
  const { name, ...text } = matchOf(preview);
  return { ...match, headers: { ...match.headers, [name.toLowerCase()]: text } };
}

const isOwnMirror = ({ mirror }: IstioRoute, split: Split) => mirror !== undefined && split.isCanary(mirror);

function unmirrored(http: IstioRoute, split: Split): IstioRoute {
  if (!isOwnMirror(http, split)) return http;
  const { mirror: _, mirrorPercentage: __, ...rest } = http;
  return rest;
}

/** A route that copies to somewhere already cannot copy to the canary too. */
export const hasForeignMirror = (http: IstioRoute, split: Split) =>
  (http.mirror !== undefined && !isOwnMirror(http, split)) || http.mirrors !== undefined;

export const routedOf = (http: readonly IstioRoute[], journal: IstioJournal, split: Split) =>
  http.filter((one) => roleOf(one, journal, split).kind === 'routed');

/** Whether the fields that Sluice owns are as this route has them, whatever others did to the rest. */
export function shows(http: readonly IstioRoute[], journal: IstioJournal, split: Split, route: Route): boolean {
  return isDeepStrictEqual(owned(http, journal, split), owned(render(http, journal, split, route), journal, split));
}

function owned(http: readonly IstioRoute[], journal: IstioJournal, split: Split): readonly unknown[] {
  return http.flatMap((one): readonly unknown[] => {
    const { kind } = roleOf(one, journal, split);
    if (kind === 'other') return [];
    const { match, route, mirror, mirrorPercentage } = one;
    // The rest of a preview is a copy, made anew with each write.
    if (kind === 'preview') return [{ match, route }];
    return [{ route, ...(isOwnMirror(one, split) && { mirror, mirrorPercentage }) }];
  });
}

/** Nothing of a rollout is left. */
export const isRestored = (http: readonly IstioRoute[], split: Split) =>
  !http.some(
    (one) => isOwnMirror(one, split) || (one.route ?? []).some(({ destination }) => split.isSide(destination)),
  );

/** Written from the last route to the first, so that a removal moves none that is still to be written. */
export function restoreOps(http: readonly IstioRoute[], journal: IstioJournal, split: Split): Op[] {
  return http
    .flatMap((one, index): Op[][] => {
      const at = (...parts: readonly (string | number)[]) => pointer('spec', 'http', index, ...parts);
      const { route = [] } = one;
      // Whose route it is stands in its matches: two that changed places meanwhile are read again, not mixed up.
      const identity = [
        ...(one.match ? [test(at('match'), one.match)] : []),
        ...route.map(({ destination }, n) => test(at('route', n, 'destination'), destination)),
      ];
      const role = roleOf(one, journal, split);
      if (role.kind === 'preview') return [[...identity, { op: 'remove', path: at() }]];
      const routed = route.some(({ destination }) => split.isSide(destination));
      if (role.kind === 'other') return routed ? [[...identity, ...stableOps(route, http, split, at)]] : [];
      const mirror: Op[] = isOwnMirror(one, split)
        ? [
            test(at('mirror'), one.mirror),
            { op: 'remove', path: at('mirror') },
            ...(one.mirrorPercentage ? [{ op: 'remove', path: at('mirrorPercentage') } as const] : []),
          ]
        : [];
      return [[...(routed ? [...identity, replace(at('route'), [role.was])] : []), ...mirror]];
    })
    .reverse()
    .flat();
}

/** With no journal left: all weight to stable, where the destinations are Sluice's. */
function stableOps(
  route: readonly WeightedDestination[],
  http: readonly IstioRoute[],
  split: Split,
  at: (...parts: readonly (string | number)[]) => string,
): Op[] {
  const [only] = route;
  // A route for the canary alone would answer nothing at weight 0.
  if (only && route.length === 1 && split.isCanary(only.destination)) {
    const others = http.flatMap((one) => one.route ?? []).map(({ destination }) => destination);
    const stable = split.instead(only.destination, others);
    return stable ? [replace(at('route', 0, 'destination'), stable)] : [];
  }
  const beside = route.find(({ destination }) => split.isCanary(destination)) ?? only;
  return route.flatMap(({ destination }, n): Op[] => {
    const isStable = beside !== undefined && split.isStable(destination, beside.destination);
    const weight = split.isCanary(destination) ? 0 : isStable ? 100 : null;
    return weight === null ? [] : [{ op: 'add', path: at('route', n, 'weight'), value: weight }];
  });
}

/** The route that they show; null when routed ones differ from each other or are of another shape. */
export function readRoute(http: readonly IstioRoute[], journal: IstioJournal, split: Split): Route | null {
  const routed = routedOf(http, journal, split);
  if (isRestored(http, split)) return routed.length < journal.length ? null : STABLE_ROUTE;
  const [first] = routed;
  if (!first) return null;
  const shown = http.find((one) => roleOf(one, journal, split).kind === 'preview');
  // Which of its headers it has more than its own route: the one that would be written so.
  const previews = shown ? previewsIn(shown) : [null];
  const routes = previews.map(
    (preview): Route => ({
      weight: first.route?.find(({ destination }) => split.isCanary(destination))?.weight ?? 0,
      preview,
      mirror: isOwnMirror(first, split) ? (first.mirrorPercentage?.value ?? 100) : null,
    }),
  );
  return routes.find((route) => shows(http, journal, split, route)) ?? null;
}

/** What a route could be the preview of: each header of its first match. */
function previewsIn({ match: [first = {}] = [] }: IstioRoute): readonly Preview[] {
  return Object.entries(first.headers ?? {}).flatMap(([name, text]): readonly Preview[] => {
    if (typeof text !== 'object' || text === null) return [];
    if ('exact' in text && typeof text.exact === 'string') return [previewOf({ name, exact: text.exact })];
    return 'regex' in text && typeof text.regex === 'string' ? [previewOf({ name, regex: text.regex })] : [];
  });
}

/** One sentence about the first route whose destinations are not as they were written. */
export function describe(http: readonly IstioRoute[], journal: IstioJournal, split: Split, written: Route): string {
  for (const one of http) {
    const [wanted] = render([one], journal, split, { ...written, preview: null });
    if (!wanted || isDeepStrictEqual(wanted.route, one.route)) continue;
    return `its route ${one.name ?? 'without a name'} sends to ${words(one)}, written was ${words(wanted)}`;
  }
  return 'its preview or mirror is not as it was written';
}

const words = ({ route = [] }: IstioRoute) =>
  route.map(({ destination, weight = 100 }) => `${destinationName(destination)} ${weight}`).join(' and ') || 'nothing';

/** `world`, `world, subset v1` */
export const destinationName = ({ host, subset }: Destination) =>
  subset === undefined ? host : `${host}, subset ${subset}`;
