/**
 * The rules of an HTTPRoute as Sluice rewrites them. Rules are recognised by content, never by position: a rule is routed
 * when its backends are Sluice's two Kubernetes Services, or when it is still as the journal has it.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Preview, type Route, STABLE_ROUTE } from '../../core/plan.ts';
import { isForRollout, type Sides } from '../../core/sides.ts';
import type { BackendRef, Filter, HTTPRoute, JournalEntry, Match, Rule } from '../kubernetes/gateway-objects.ts';
import { type Op, pointer, replace, test } from '../kubernetes/marks.ts';
import { matchOf, previewOf } from './previews.ts';

export type Journal = readonly JournalEntry[];

export const rulesOf = (object: HTTPRoute) => object.spec.rules ?? [];

const isService = ({ group = '', kind = 'Service' }: BackendRef) => group === '' && kind === 'Service';

/** Whether a backend is this Kubernetes Service; `home`: the route's own namespace. */
export const refersTo = (ref: BackendRef, name: string, namespace: string, home: string) =>
  isService(ref) && ref.name === name && (ref.namespace ?? home) === namespace;

const refersToSides = (rule: Rule, sides: Sides) =>
  (rule.backendRefs ?? []).some((ref) => isService(ref) && isForRollout(ref.name, sides));

/** The rules whose only backend is the Kubernetes Service: those that a rollout routes. */
export function journalOf(rules: readonly Rule[], isServing: (ref: BackendRef) => boolean): Journal {
  return rules.flatMap(({ matches, backendRefs = [] }) => {
    const [only] = backendRefs;
    if (!only || backendRefs.length > 1 || !isServing(only)) return [];
    return [{ ...(matches && { matches }), backendRefs: [only] }];
  });
}

/** What a rule is to a rollout: one of its preview rules, one that it routes (with what it was before), or not its own. */
type Role =
  | { readonly kind: 'preview' }
  | { readonly kind: 'routed'; readonly was: BackendRef }
  | { readonly kind: 'other' };

function roleOf(rule: Rule, journal: Journal, sides: Sides): Role {
  const entry = journal.find(({ matches }) => isDeepStrictEqual(matches, rule.matches));
  if (!refersToSides(rule, sides)) {
    const [was] = entry?.backendRefs ?? [];
    return was && isDeepStrictEqual(rule.backendRefs, [was]) ? { kind: 'routed', was } : { kind: 'other' };
  }
  // Only a journalled rule carries weighted traffic, so one that sends its own matches to the canary alone is a preview.
  const toCanaryOnly = rule.backendRefs?.length === 1 && rule.backendRefs[0]?.name === sides.canary;
  if (!entry && toCanaryOnly && isNarrowed(rule, journal)) return { kind: 'preview' };
  const was = (entry ?? sameport(rule, journal) ?? journal[0])?.backendRefs[0];
  return was ? { kind: 'routed', was } : { kind: 'other' };
}

/** All matches are journalled matches with one header more, or with that header in place of another match on it. */
function isNarrowed(rule: Rule, journal: Journal): boolean {
  const known = journal.flatMap(matchesOf);
  return matchesOf(rule).every((match) => {
    const added = match.headers?.at(-1)?.name;
    if (added === undefined) return false;
    return known.some((one) => isDeepStrictEqual(withoutHeader(match, added), withoutHeader(one, added)));
  });
}

/** An empty list means what none means: all requests. */
export const matchesOf = ({ matches = [] }: { readonly matches?: readonly Match[] | undefined }) =>
  matches.length > 0 ? matches : [{}];

const sameport = (rule: Rule, journal: Journal) =>
  journal.find(({ backendRefs }) => backendRefs[0]?.port === rule.backendRefs?.[0]?.port);

/**
 * The rules with this route in them. Of rules that match as much as each other the first wins, so a preview stands right before
 * its own: what a rule further up takes, it goes on taking.
 */
export function render(rules: readonly Rule[], journal: Journal, sides: Sides, route: Route): readonly Rule[] {
  return rules.flatMap((rule): Rule[] => {
    const role = roleOf(rule, journal, sides);
    if (role.kind === 'preview') return [];
    if (role.kind === 'other') return [rule];
    const stable = { ...role.was, name: sides.stable, weight: 100 - route.weight };
    const canary = { ...role.was, name: sides.canary, weight: route.weight };
    const filters = ownFilters(rule, sides);
    const preview = route.preview ? [previewRule(rule, filters, { ...canary, weight: 1 }, route.preview)] : [];
    const mirrored = route.mirror ? [...filters, mirrorFilter(canary, route.mirror)] : filters;
    return [...preview, { ...withFilters(rule, mirrored), backendRefs: [stable, canary] }];
  });
}

function previewRule(rule: Rule, filters: readonly Filter[], canary: BackendRef, preview: Preview): Rule {
  const { name: _, ...unnamed } = withFilters(rule, filters);
  return { ...unnamed, matches: previewMatches(rule, preview), backendRefs: [canary] };
}

/** What its preview rule matches, for a rule or what the journal has of it. */
export const previewMatches = (rule: Pick<Rule, 'matches'>, preview: Preview): Match[] =>
  matchesOf(rule).map((match) => withHeader(match, preview));

/** A header can be matched once only: the preview's comes in place of another match on the same header. */
function withHeader(match: Match, preview: Preview): Match {
  const wanted = matchOf(preview);
  const others = withoutHeader(match, wanted.name);
  const [type, value] = 'exact' in wanted ? ['Exact', wanted.exact] : ['RegularExpression', wanted.regex];
  return { ...others, headers: [...(others.headers ?? []), { type, name: wanted.name, value }] };
}

function previewIn({ matches }: Rule): Preview | null {
  const match = matches?.[0]?.headers?.at(-1);
  if (!match) return null;
  const { type, name, value } = match;
  return previewOf(type === 'RegularExpression' ? { name, regex: value } : { name, exact: value });
}

function withoutHeader({ headers = [], ...match }: Match, header: string): Match {
  const rest = headers.filter(({ name }) => name.toLowerCase() !== header.toLowerCase());
  return rest.length > 0 ? { ...match, headers: rest } : match;
}

const isOwnMirror = ({ requestMirror }: Filter, { canary }: Sides) =>
  requestMirror !== undefined && isService(requestMirror.backendRef) && requestMirror.backendRef.name === canary;

const ownFilters = (rule: Rule, sides: Sides) => (rule.filters ?? []).filter((filter) => !isOwnMirror(filter, sides));

function mirrorFilter({ weight: _, filters: __, ...backendRef }: BackendRef, percent: number): Filter {
  // Without a percentage all requests are copied: fewer controllers know parts of them.
  return { type: 'RequestMirror', requestMirror: { backendRef, ...(percent < 100 && { percent }) } };
}

function withFilters({ filters: _, ...rule }: Rule, filters: readonly Filter[]): Rule {
  return filters.length > 0 ? { ...rule, filters: [...filters] } : rule;
}

/** How many rules a rollout routes as they stand; fewer than journalled: somebody took one away. */
export const countRouted = (rules: readonly Rule[], journal: Journal, sides: Sides) =>
  rules.filter((rule) => roleOf(rule, journal, sides).kind === 'routed').length;

/** Whether the fields that Sluice owns are as this route has them, whatever others did to the rest of the rules. */
export function shows(rules: readonly Rule[], journal: Journal, sides: Sides, route: Route): boolean {
  return isDeepStrictEqual(owned(rules, journal, sides), owned(render(rules, journal, sides, route), journal, sides));
}

function owned(rules: readonly Rule[], journal: Journal, sides: Sides) {
  const ofKind = (wanted: Role['kind']) => rules.filter((rule) => roleOf(rule, journal, sides).kind === wanted);
  return {
    // The rest of a preview rule is a copy, made anew with each write; so is its place.
    previews: ofKind('preview').map(({ matches, backendRefs }) => ({
      header: matches?.[0]?.headers?.at(-1),
      backends: backendRefs?.map(({ name, weight }) => ({ name, weight })),
    })),
    routed: ofKind('routed').map(({ backendRefs, filters = [] }) => ({
      backendRefs,
      mirrors: filters.filter((filter) => isOwnMirror(filter, sides)),
    })),
  };
}

/** Nothing of a rollout is left in the rules. */
export const isRestored = (rules: readonly Rule[], sides: Sides) =>
  !rules.some(
    (rule) => refersToSides(rule, sides) || (rule.filters ?? []).some((filter) => isOwnMirror(filter, sides)),
  );

/**
 * Gives every routed rule its journalled backends back and takes previews and mirrors off. Tested is only whose backends
 * stand at the places that are written, not their weights: a late weight write does not hold an abort up. Written from the
 * last rule to the first, so that a removal moves none that is still to be written.
 */
export function restoreOps(rules: readonly Rule[], journal: Journal, sides: Sides): Op[] {
  return rules
    .flatMap((rule, index) => {
      const role = roleOf(rule, journal, sides);
      const at = (...parts: readonly (string | number)[]) => pointer('spec', 'rules', index, ...parts);
      // Whose rule it is stands in its matches: two that changed places meanwhile are read again, not mixed up.
      const names = [
        ...(rule.matches ? [test(at('matches'), rule.matches)] : []),
        ...(rule.backendRefs ?? []).map((ref, n) => test(at('backendRefs', n, 'name'), ref.name)),
      ];
      if (role.kind === 'preview') return [[...names, { op: 'remove', path: at() } as const]];
      if (role.kind === 'other') return [];
      const backends = refersToSides(rule, sides) ? [...names, replace(at('backendRefs'), [role.was])] : [];
      return [[...backends, ...unmirrorOps(rule, sides, at)]];
    })
    .reverse()
    .flat();
}

function unmirrorOps(rule: Rule, sides: Sides, at: (...parts: readonly (string | number)[]) => string): Op[] {
  const { filters = [] } = rule;
  const kept = ownFilters(rule, sides);
  if (kept.length === filters.length) return [];
  const whole = test(at('filters'), filters);
  return kept.length > 0 ? [whole, replace(at('filters'), kept)] : [whole, { op: 'remove', path: at('filters') }];
}

/** With no journal left: all weight to stable, where the backends are Sluice's; their own names nobody knows any more. */
export function stableOps(rules: readonly Rule[], sides: Sides): Op[] {
  return rules.flatMap((rule, index) =>
    (rule.backendRefs ?? []).flatMap((ref, n) => {
      const at = (field: string) => pointer('spec', 'rules', index, 'backendRefs', n, field);
      if (!isService(ref) || (ref.name !== sides.stable && ref.name !== sides.canary)) return [];
      const name = [test(at('name'), ref.name)];
      // A rule for the canary alone would answer nothing at weight 0: it goes to stable by name.
      const alone = rule.backendRefs?.length === 1;
      if (alone) return [...name, replace(at('name'), sides.stable)];
      return [...name, replace(at('weight'), ref.name === sides.stable ? 100 : 0)];
    }),
  );
}

/** The route that the rules show; null when routed rules differ from each other or are of another shape. */
export function readRoute(rules: readonly Rule[], journal: Journal, sides: Sides): Route | null {
  const roles = rules.map((rule) => ({ rule, role: roleOf(rule, journal, sides) }));
  const routed = roles.flatMap(({ rule, role }) => (role.kind === 'routed' ? [rule] : []));
  if (isRestored(rules, sides)) return routed.length < journal.length ? null : STABLE_ROUTE;
  const preview = roles.find(({ role }) => role.kind === 'preview');
  const [first] = routed;
  if (!first) return null;
  const copies = (first.filters ?? []).find((filter) => isOwnMirror(filter, sides))?.requestMirror;
  const route: Route = {
    weight: first.backendRefs?.find(({ name }) => name === sides.canary)?.weight ?? 0,
    preview: preview ? previewIn(preview.rule) : null,
    mirror: copies ? (copies.percent ?? 100) : null,
  };
  return shows(rules, journal, sides, route) ? route : null;
}

/** One sentence about the first rule whose backends are not as they were written. */
export function describe(rules: readonly Rule[], journal: Journal, sides: Sides, written: Route): string {
  for (const rule of rules) {
    const [wanted] = render([rule], journal, sides, { ...written, preview: null });
    if (!wanted || isDeepStrictEqual(wanted.backendRefs, rule.backendRefs)) continue;
    const path = rule.matches?.[0]?.path?.value ?? '/';
    return `the rule for ${path} sends to ${backends(rule)}, written was ${backends(wanted)}`;
  }
  return 'its preview or mirror is not as it was written';
}

const backends = (rule: Rule | undefined) =>
  (rule?.backendRefs ?? []).map(({ name, weight = 1 }) => `${name} ${weight}`).join(' and ') || 'nothing';
