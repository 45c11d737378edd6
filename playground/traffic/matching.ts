/** Which rule of which HTTPRoute takes a request: the precedence of the Gateway API, without I/O. */
import type { HttpRoute, RouteMatch, RouteRule } from '../api-server/objects.ts';

export type HttpRequest = {
  readonly host: string;
  readonly method: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly query: URLSearchParams;
};

export type Chosen = { readonly route: HttpRoute; readonly rule: RouteRule; readonly index: number };

/** null: no rule matches. */
export function chooseRule(routes: readonly HttpRoute[], request: HttpRequest): Chosen | null {
  const candidates = routes.flatMap((route) => {
    const hostname = hostSpecificity(route.spec.hostnames, request.host);
    if (hostname === null) return [];
    return route.spec.rules.flatMap((rule, index) =>
      rule.matches
        .filter((match) => fits(match, request))
        .map((match) => ({ route, rule, index, rank: [hostname, ...specificity(match)] })),
    );
  });
  candidates.sort((a, b) => compareRanks(b.rank, a.rank) || compareAge(a.route, b.route) || a.index - b.index);
  return candidates[0] ?? null;
}

/** Longer is more specific, exact before wildcard; null: another host. A route without hostnames takes every host. */
function hostSpecificity(hostnames: readonly string[] | undefined, host: string): number | null {
  if (!hostnames?.length) return 0;
  const fitting = hostnames.flatMap((name) => {
    if (name === host) return [2 * name.length + 1];
    return name.startsWith('*.') && host.endsWith(name.slice(1)) ? [2 * name.length] : [];
  });
  return fitting.length > 0 ? Math.max(...fitting) : null;
}

function specificity({ path, method, headers = [], queryParams = [] }: RouteMatch): readonly number[] {
  const kind = { Exact: 2, PathPrefix: 1, RegularExpression: 0 }[path.type];
  return [kind, path.value.length, method === undefined ? 0 : 1, headers.length, queryParams.length];
}

function fits({ path, method, headers = [], queryParams = [] }: RouteMatch, request: HttpRequest): boolean {
  return (
    pathFits(path, request.path) &&
    (method === undefined || method === request.method) &&
    headers.every((header) => valueFits(header, String(request.headers[header.name.toLowerCase()] ?? ''))) &&
    queryParams.every((parameter) => valueFits(parameter, request.query.get(parameter.name) ?? ''))
  );
}

function pathFits({ type, value }: RouteMatch['path'], path: string): boolean {
  if (type === 'Exact') return path === value;
  if (type === 'RegularExpression') return new RegExp(value).test(path);
  const prefix = value.replace(/\/$/, '');
  return path === prefix || path.startsWith(`${prefix}/`);
}

function valueFits({ type, value }: { type: 'Exact' | 'RegularExpression'; value: string }, found: string): boolean {
  return type === 'Exact' ? found === value : new RegExp(`^(?:${value})$`).test(found);
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  return a.map((part, index) => part - (b[index] ?? 0)).find((difference) => difference !== 0) ?? 0;
}

function compareAge({ metadata: a }: HttpRoute, { metadata: b }: HttpRoute): number {
  return (
    a.creationTimestamp.localeCompare(b.creationTimestamp) ||
    `${a.namespace}/${a.name}`.localeCompare(`${b.namespace}/${b.name}`)
  );
}
