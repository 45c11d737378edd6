import { describe, expect, it } from 'vitest';
import type { HttpRoute, RouteMatch } from '../../playground/api-server/objects.ts';
import { chooseRule } from '../../playground/traffic/matching.ts';

const path = (value: string, type: RouteMatch['path']['type'] = 'PathPrefix') => ({ path: { type, value } });
const header = (name: string, value: string, type: 'Exact' | 'RegularExpression' = 'Exact') => ({ name, value, type });

function route(
  name: string,
  hostnames: string[],
  matches: RouteMatch[],
  creationTimestamp = '2026-01-01T00:00:00Z',
): HttpRoute {
  const metadata = { name, namespace: 'hello', uid: name, resourceVersion: '1', creationTimestamp };
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata,
    spec: { hostnames, rules: matches.map((match) => ({ matches: [match] })) },
  };
}

function choose(routes: HttpRoute[], target: string, headers: Record<string, string> = {}, method = 'GET') {
  const url = new URL(target);
  const request = { host: url.hostname, method, path: url.pathname, headers, query: url.searchParams };
  const chosen = chooseRule(routes, request);
  return chosen && `${chosen.route.metadata.name} ${chosen.index}`;
}

describe('the rule that takes a request', () => {
  const canary = { ...path('/'), headers: [header('x-canary', 'always')] };

  it.each([
    ['no route with that hostname', [route('a', ['b.example'], [path('/')])], 'http://a.example/', null],
    ['a route without hostnames', [route('a', [], [path('/')])], 'http://a.example/', 'a 0'],
    ['a wildcard', [route('a', ['*.example'], [path('/')])], 'http://a.example/', 'a 0'],
    [
      'the exact hostname before the wildcard',
      [route('a', ['*.example'], [path('/x')]), route('b', ['a.example'], [path('/')])],
      'http://a.example/x',
      'b 0',
    ],
    ['no rule for the path', [route('a', [], [path('/x')])], 'http://a.example/xy', null],
    ['a prefix by whole parts', [route('a', [], [path('/x')])], 'http://a.example/x/y', 'a 0'],
    ['the longer prefix', [route('a', [], [path('/'), path('/x')])], 'http://a.example/x', 'a 1'],
    [
      'the exact path before the longer prefix',
      [route('a', [], [path('/xy'), path('/x', 'Exact')])],
      'http://a.example/x',
      'a 1',
    ],
    [
      'the rule with a method',
      [route('a', [], [path('/'), { ...path('/'), method: 'GET' }])],
      'http://a.example/',
      'a 1',
    ],
    ['the first of equals', [route('a', [], [path('/'), path('/')])], 'http://a.example/', 'a 0'],
    [
      'the older route of equals',
      [route('a', [], [path('/')], '2026-02-01T00:00:00Z'), route('b', [], [path('/')])],
      'http://a.example/',
      'b 0',
    ],
    [
      'the rule that fits the query',
      [route('a', [], [path('/'), { ...path('/'), queryParams: [header('q', '1')] }])],
      'http://a.example/?q=1',
      'a 1',
    ],
  ])('is %s', (_, routes, target, expected) => {
    expect(choose(routes, target)).toBe(expected);
  });

  it.each([
    ['exactly', { 'x-canary': 'always' }, 'a 1'],
    ['not by another value', { 'x-canary': 'never' }, 'a 0'],
    ['not without it', {}, 'a 0'],
  ])('is found by header, %s', (_, headers, expected) => {
    expect(choose([route('a', [], [path('/'), canary])], 'http://a.example/', headers)).toBe(expected);
  });

  it('is found by a pattern of a header', () => {
    const pattern = { ...path('/'), headers: [header('cookie', '.*canary=.*', 'RegularExpression')] };
    expect(choose([route('a', [], [path('/'), pattern])], 'http://a.example/', { cookie: 'a=1; canary=yes' })).toBe(
      'a 1',
    );
  });
});
