/**
 * The HTTP routes of a VirtualService as Sluice rewrites them. Routes are recognised by content, never by position: one is
 * routed when its destinations are Sluice's two Kubernetes Services, or when it is still as the journal has it.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Preview, type Route, STABLE_ROUTE } from '../../core/plan.ts';
import { type Op, pointer, replace, test } from '../kubernetes/marks.ts';
import type {
  Destination,
  HttpMatch,
  IstioJournal,
  IstioRoute,
  VirtualService,
  WeightedDestination,
} from '../kubernetes/route-objects.ts';
import { matchOf, previewOf } from './previews.ts';
import type { Sides } from './sides.ts';

/** Name of the routes that Sluice puts before its own for a preview. */
const PREVIEW = 'sluice-preview';

export const httpOf = ({ spec }: VirtualService) => spec.http ?? [];

/** `world`, `world.hello` and `world.hello.svc.cluster.local` are one host to a VirtualService in `hello`. */
export function isHost({ host, subset }: Destination, service: string, namespace: string, home: string): boolean {
  const [name, where = home, svc = 'svc'] = host.split('.');
  return subset === undefined && name === service && where === namespace && svc === 'svc';
}

/** Sluice's names for the two sides, written as the journalled host was (`world.hello` becomes `world-canary.hello`). */
const hostAs = (was: Destination, name: string): string => [name, ...was.host.split('.').slice(1)].join('.');
const nameOfHost = ({ host }: Destination) => host.split('.')[0] ?? host;
const isSide = (to: Destination, { stable, canary }: Sides) =>
  to.subset === undefined && (nameOfHost(to) === stable || nameOfHost(to) === canary);

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

function roleOf(http: IstioRoute, journal: IstioJournal, sides: Sides): Role {
  const { name, match, route = [] } = http;
  const entry = journal.find((one) => one.name === name && isDeepStrictEqual(one.match, match));
  if (!route.some(({ destination }) => isSide(destination, sides))) {
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
export function render(http: readonly IstioRoute[], journal: IstioJournal, sides: Sides, route: Route): IstioRoute[] {
  return http.flatMap((one): IstioRoute[] => {
    const role = roleOf(one, journal, sides);
    if (role.kind === 'preview') return [];
    if (role.kind === 'other') return [one];
    const side = (name: string, weight: number): WeightedDestination => ({
      ...role.was,
      destination: { ...role.was.destination, host: hostAs(role.was.destination, name) },
      weight,
    });
    const canary = side(sides.canary, route.weight);
    const plain = unmirrored(one, sides);
    const preview = route.preview ? [previewRoute(plain, { ...canary, weight: 100 }, route.preview)] : [];
    const mirror = route.mirror !== null && {
      mirror: canary.destination,
      mirrorPercentage: { value: route.mirror },
    };
    return [...preview, { ...plain, ...mirror, route: [side(sides.stable, 100 - route.weight), canary] }];
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

const isOwnMirror = ({ mirror }: IstioRoute, { canary }: Sides) =>
  mirror !== undefined && nameOfHost(mirror) === canary;

function unmirrored(http: IstioRoute, sides: Sides): IstioRoute {
  if (!isOwnMirror(http, sides)) return http;
  const { mirror: _, mirrorPercentage: __, ...rest } = http;
  return rest;
}

/** A route that copies to somewhere already cannot copy to the canary too. */
export const hasForeignMirror = (http: IstioRoute, sides: Sides) =>
  (http.mirror !== undefined && !isOwnMirror(http, sides)) || http.mirrors !== undefined;

export const routedOf = (http: readonly IstioRoute[], journal: IstioJournal, sides: Sides) =>
  http.filter((one) => roleOf(one, journal, sides).kind === 'routed');

/** Whether the fields that Sluice owns are as this route has them, whatever others did to the rest. */
export function shows(http: readonly IstioRoute[], journal: IstioJournal, sides: Sides, route: Route): boolean {
  return isDeepStrictEqual(owned(http, journal, sides), owned(render(http, journal, sides, route), journal, sides));
}

function owned(http: readonly IstioRoute[], journal: IstioJournal, sides: Sides): readonly unknown[] {
  return http.flatMap((one): readonly unknown[] => {
    const { kind } = roleOf(one, journal, sides);
    if (kind === 'other') return [];
    const { match, route, mirror, mirrorPercentage } = one;
    // The rest of a preview is a copy, made anew with each write.
    if (kind === 'preview') return [{ match, route }];
    return [{ route, ...(isOwnMirror(one, sides) && { mirror, mirrorPercentage }) }];
  });
}

/** Nothing of a rollout is left. */
export const isRestored = (http: readonly IstioRoute[], sides: Sides) =>
  !http.some(
    (one) => isOwnMirror(one, sides) || (one.route ?? []).some(({ destination }) => isSide(destination, sides)),
  );

/** Written from the last route to the first, so that a removal moves none that is still to be written. */
export function restoreOps(http: readonly IstioRoute[], journal: IstioJournal, sides: Sides): Op[] {
  return http
    .flatMap((one, index): Op[][] => {
      const at = (...parts: readonly (string | number)[]) => pointer('spec', 'http', index, ...parts);
      const { route = [] } = one;
      // Whose route it is stands in its matches: two that changed places meanwhile are read again, not mixed up.
      const hosts = [
        ...(one.match ? [test(at('match'), one.match)] : []),
        ...route.map(({ destination }, n) => test(at('route', n, 'destination', 'host'), destination.host)),
      ];
      const role = roleOf(one, journal, sides);
      if (role.kind === 'preview') return [[...hosts, { op: 'remove', path: at() }]];
      const routed = route.some(({ destination }) => isSide(destination, sides));
      if (role.kind === 'other') return routed ? [[...hosts, ...stableOps(route, sides, at)]] : [];
      const mirror: Op[] = isOwnMirror(one, sides)
        ? [
            test(at('mirror'), one.mirror),
            { op: 'remove', path: at('mirror') },
            ...(one.mirrorPercentage ? [{ op: 'remove', path: at('mirrorPercentage') } as const] : []),
          ]
        : [];
      return [[...(routed ? [...hosts, replace(at('route'), [role.was])] : []), ...mirror]];
    })
    .reverse()
    .flat();
}

/** With no journal left: all weight to stable, where the destinations are Sluice's. */
function stableOps(
  route: readonly WeightedDestination[],
  sides: Sides,
  at: (...parts: readonly (string | number)[]) => string,
): Op[] {
  return route.flatMap(({ destination }, n): Op[] => {
    if (!isSide(destination, sides)) return [];
    // A route for the canary alone would answer nothing at weight 0: it goes to stable by name.
    if (route.length === 1) return [replace(at('route', n, 'destination', 'host'), hostAs(destination, sides.stable))];
    return [{ op: 'add', path: at('route', n, 'weight'), value: nameOfHost(destination) === sides.stable ? 100 : 0 }];
  });
}

/** The route that they show; null when routed ones differ from each other or are of another shape. */
export function readRoute(http: readonly IstioRoute[], journal: IstioJournal, sides: Sides): Route | null {
  const routed = routedOf(http, journal, sides);
  if (isRestored(http, sides)) return routed.length < journal.length ? null : STABLE_ROUTE;
  const [first] = routed;
  if (!first) return null;
  const preview = http.find((one) => roleOf(one, journal, sides).kind === 'preview');
  const route: Route = {
    weight: first.route?.find(({ destination }) => nameOfHost(destination) === sides.canary)?.weight ?? 0,
    preview: preview ? readPreview(preview, journal) : null,
    mirror: isOwnMirror(first, sides) ? (first.mirrorPercentage?.value ?? 100) : null,
  };
  return shows(http, journal, sides, route) ? route : null;
}

/** The header that no journalled match has in this way. */
function readPreview({ match = [] }: IstioRoute, journal: IstioJournal): Route['preview'] {
  const known = journal.flatMap(matchesOf).map((one) => JSON.stringify(one.headers ?? {}));
  const added = Object.entries(match[0]?.headers ?? {}).findLast(
    ([header, value]) => !known.some((text) => text.includes(JSON.stringify({ [header]: value }).slice(1, -1))),
  );
  const [name, text] = added ?? [];
  if (name === undefined || typeof text !== 'object' || text === null) return null;
  if ('exact' in text && typeof text.exact === 'string') return previewOf({ name, exact: text.exact });
  return 'regex' in text && typeof text.regex === 'string' ? previewOf({ name, regex: text.regex }) : null;
}

/** One sentence about the first route whose destinations are not as they were written. */
export function describe(http: readonly IstioRoute[], journal: IstioJournal, sides: Sides, written: Route): string {
  for (const one of http) {
    const [wanted] = render([one], journal, sides, { ...written, preview: null });
    if (!wanted || isDeepStrictEqual(wanted.route, one.route)) continue;
    return `its route ${one.name ?? 'without a name'} sends to ${words(one)}, written was ${words(wanted)}`;
  }
  return 'its preview or mirror is not as it was written';
}

const words = ({ route = [] }: IstioRoute) =>
  route.map(({ destination, weight = 100 }) => `${destination.host} ${weight}`).join(' and ') || 'nothing';
