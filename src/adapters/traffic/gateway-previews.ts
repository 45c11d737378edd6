/**
 * What the preview rules of a rollout would meet among the other rules of an HTTPRoute. Which rule takes a request does not
 * depend on their order first, but on how much they match: HTTPRouteRule.matches of
 * https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule
 */
import { isDeepStrictEqual } from 'node:util';
import type { Preview } from '../../core/plan.ts';
import { previewWords } from '../../core/writes.ts';
import type { Match, Rule } from '../kubernetes/gateway-objects.ts';
import type { Look } from './dialect.ts';
import { type Journal, matchesOf, previewMatches } from './gateway-rules.ts';

/** Gateway API allows so many rules in one route, and so many matches in all of them. */
const MAX_RULES = 16;
const MAX_MATCHES = 128;

/** `subject`: the route, for sentences; `journal`: of the rules that would be routed; `previews`: those of the steps. */
export function lookAtPreviews(
  subject: string,
  rules: readonly Rule[],
  journal: Journal,
  previews: readonly Preview[],
): Pick<Look, 'refusals' | 'warnings'> {
  const matches = [...rules, ...journal].flatMap(matchesOf).length;
  const limit =
    rules.length + journal.length > MAX_RULES
      ? `${MAX_RULES} rules`
      : matches > MAX_MATCHES
        ? `${MAX_MATCHES} matches`
        : null;
  return {
    refusals: [
      ...(limit === null || previews.length === 0
        ? []
        : [
            `${subject} has no room for preview rules (${limit} at most): move rules to a route of their own, or leave the preview out.`,
          ]),
      ...new Set(previews.flatMap((preview) => lookalikes(subject, rules, journal, preview))),
    ],
    warnings: [...new Set(previews.flatMap((preview) => overtaken(subject, rules, journal, preview)))],
  };
}

/** Rules of a rollout are recognised by their matches as written; and of two that match the same, one never gets a request. */
function lookalikes(subject: string, rules: readonly Rule[], journal: Journal, preview: Preview): readonly string[] {
  const made = journal.map((entry) => previewMatches(entry, preview));
  const isTaken = (rule: Rule) =>
    isOf(journal, rule)
      ? made.some((matches) => isDeepStrictEqual(matches, rule.matches))
      : matchesOf(rule).some((match) => made.flat().some((one) => isSameMatch(one, match)));
  return rules.flatMap((rule, index) =>
    isTaken(rule)
      ? [
          `${subject}: rule ${index + 1} (${pathOf(rule)}) matches ${previewWords(preview)} already, as the preview rule would, so nothing tells the two apart. Take the rule out, or let the preview be by another header.`,
        ]
      : [],
  );
}

/** A preview has one header more than its own rule, and with it requests that a rule of others took before. */
function overtaken(subject: string, rules: readonly Rule[], journal: Journal, preview: Preview): readonly string[] {
  const routed = rules.flatMap((rule, index) =>
    isOf(journal, rule) ? matchesOf(rule).map((match) => ({ match, index })) : [],
  );
  return rules.flatMap((rule, index) => {
    const loses = (match: Match) =>
      routed.some((own) => {
        const [shown = own.match] = previewMatches({ matches: [own.match] }, preview);
        const wins = (over: Match) => goesFirst({ match, index }, { ...own, match: over });
        return meet(shown, match) && wins(own.match) && !wins(shown);
      });
    if (isOf(journal, rule) || !matchesOf(rule).some(loses)) return [];
    const to = (rule.backendRefs ?? []).map(({ name }) => name).join(', ') || 'nothing';
    return [
      `${subject}: while a step has a preview, requests with ${previewWords(preview)} that rule ${index + 1} (${pathOf(rule)}) to ${to} takes go to the canary: a preview has more headers to match. Give that rule a header more, or let the preview be by another one.`,
    ];
  });
}

const isOf = (journal: Journal, { matches, backendRefs }: Rule) =>
  journal.some((entry) => isDeepStrictEqual([entry.matches, entry.backendRefs], [matches, backendRefs]));

const pathOf = ({ matches }: Rule) => matches?.[0]?.path?.value ?? '/';

/** Whether they match the same requests, however each is written. */
export const isSameMatch = (one: Match, other: Match) => isDeepStrictEqual(meaning(one), meaning(other));

/** The same for all that match the same: what is left out, the order, and the case of a header's name tell nothing. */
const meaning = ({ path: { type = 'PathPrefix', value = '/' } = {}, method, headers, queryParams }: Match) => ({
  path: [type, type === 'PathPrefix' ? value.replace(/(?<=.)\/$/, '') : value],
  method,
  headers: byName(headers, headerName),
  queryParams: byName(queryParams, (name) => name),
});

/** Of several with one name the first counts: HTTPHeaderMatch and HTTPQueryParamMatch. */
const byName = (values: Values, known: (name: string) => string) =>
  new Map((values ?? []).toReversed().map(({ type = 'Exact', name, value }) => [known(name), [type, value]]));

const headerName = (name: string) => name.toLowerCase();

type Placed = { readonly match: Match; readonly index: number };

/** Of two with the same path and method: more headers, then more query parameters, then the place in the list. */
function goesFirst(one: Placed, other: Placed): boolean {
  const headers = (one.match.headers ?? []).length - (other.match.headers ?? []).length;
  const parameters = (one.match.queryParams ?? []).length - (other.match.queryParams ?? []).length;
  return (headers || parameters || other.index - one.index) > 0;
}

/** Whether one request can fit both, where path and method do not tell which of them takes it. */
function meet(one: Match, other: Match): boolean {
  const { type = 'PathPrefix', value = '/' } = one.path ?? {};
  const { type: otherType = 'PathPrefix', value: otherValue = '/' } = other.path ?? {};
  return (
    type === otherType &&
    value === otherValue &&
    one.method === other.method &&
    agree(one.headers, other.headers, headerName) &&
    agree(one.queryParams, other.queryParams, (name) => name)
  );
}

type Values = Match['headers'];

/** Of a pattern nobody knows what it fits. */
function agree(ones: Values, others: Values, known: (name: string) => string): boolean {
  const isExact = ({ type = 'Exact' }: NonNullable<Values>[number]) => type === 'Exact';
  return (ones ?? [])
    .filter(isExact)
    .every((one) =>
      (others ?? [])
        .filter(isExact)
        .every((other) => known(other.name) !== known(one.name) || other.value === one.value),
    );
}
