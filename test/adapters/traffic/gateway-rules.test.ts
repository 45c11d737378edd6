import { describe, expect, it } from 'vitest';
import type { BackendRef, Filter, Match, Rule } from '../../../src/adapters/kubernetes/gateway-objects.ts';
import {
  countRouted,
  describe as inWords,
  isRestored,
  journalOf,
  readRoute,
  refersTo,
  render,
  restoreOps,
  shows,
  stableOps,
} from '../../../src/adapters/traffic/gateway-rules.ts';
import { type Route, STABLE_ROUTE } from '../../../src/core/plan.ts';
import { sidesOf } from '../../../src/core/sides.ts';
import { applyPatch } from '../../cluster/json-patch.ts';

const sides = sidesOf({ deployment: 'world' });
const ref = (name: string, weight = 1): BackendRef => ({ group: '', kind: 'Service', name, port: 80, weight });
const path = (value: string): Match => ({ path: { type: 'PathPrefix', value } });
const rule = (value: string, ...backendRefs: BackendRef[]): Rule => ({ matches: [path(value)], backendRefs });
const isWorld = (one: BackendRef) => refersTo(one, 'world', 'hello', 'hello');
const route = (changes: Partial<Route>): Route => ({ ...STABLE_ROUTE, ...changes });
const preview = { header: 'x-canary', value: 'always' };
const edge: Filter = { type: 'RequestHeaderModifier', requestHeaderModifier: { set: [] } };

const rules: readonly Rule[] = [
  rule('/other', ref('other')),
  { ...rule('/', ref('world', 7)), name: 'main', filters: [edge], timeouts: { request: '1s' } },
  rule('/api', { ...ref('world'), filters: [edge] }),
];
const journal = journalOf(rules, isWorld);
const rendered = (wanted: Route, of = rules) => render(of, journal, sides, wanted);

describe('which rules are routed', () => {
  it.each<[string, Rule, number]>([
    ['the Kubernetes Service alone', rule('/', ref('world')), 1],
    ['the same in its own namespace', rule('/', { ...ref('world'), namespace: 'hello' }), 1],
    ['one of that name elsewhere', rule('/', { ...ref('world'), namespace: 'else' }), 0],
    ['something of that name that is no Service', rule('/', { ...ref('world'), group: 'x.io', kind: 'Pool' }), 0],
    ['a share of it only', rule('/', ref('world'), ref('old')), 0],
    ['another one', rule('/', ref('other')), 0],
    ['nothing', rule('/'), 0],
  ])('a rule that sends to %s', (_, one, count) => {
    expect(journalOf([one], isWorld)).toHaveLength(count);
  });
});

describe('a rendered route', () => {
  it('replaces the Kubernetes Service by the two sides and keeps port and filters', () => {
    expect(rendered(route({ weight: 10 }))).toEqual([
      rules[0],
      { ...rules[1], backendRefs: [ref('world-stable', 90), ref('world-canary', 10)] },
      {
        ...rules[2],
        backendRefs: [
          { ...ref('world-stable', 90), filters: [edge] },
          { ...ref('world-canary', 10), filters: [edge] },
        ],
      },
    ]);
  });

  it('puts a preview rule right before each routed rule, without its name: the others keep what they take', () => {
    const [other, first, own, second, last] = rendered(route({ preview }));
    const header = { type: 'Exact', name: 'x-canary', value: 'always' };
    expect([other, own?.name, last?.matches]).toEqual([rules[0], 'main', rules[2]?.matches]);
    expect(first).toEqual({
      matches: [{ ...path('/'), headers: [header] }],
      filters: [edge],
      timeouts: { request: '1s' },
      backendRefs: [ref('world-canary', 1)],
    });
    expect(second?.matches).toEqual([{ ...path('/api'), headers: [header] }]);
  });

  it('matches the preview in place of another match on that header', () => {
    const headers = [
      { type: 'Exact', name: 'X-Canary', value: 'never' },
      { type: 'Exact', name: 'x-b', value: 'b' },
    ];
    const own = [{ ...rule('/', ref('world')), matches: [{ ...path('/'), headers }] }];
    const noted = journalOf(own, isWorld);
    const shown = render(own, noted, sides, route({ preview }));
    expect(shown[0]?.matches?.[0]?.headers).toEqual([headers[1], { type: 'Exact', name: 'x-canary', value: 'always' }]);
    expect(applyPatch({ spec: { rules: shown } }, restoreOps(shown, noted, sides)).spec.rules).toEqual(own);
  });

  it('copies to the canary beside the filters that are there', () => {
    const { weight: _, ...canary } = ref('world-canary');
    expect(rendered(route({ mirror: 20 }))[1]?.filters).toEqual([
      edge,
      { type: 'RequestMirror', requestMirror: { backendRef: canary, percent: 20 } },
    ]);
  });

  it.each<[string, Partial<Route>]>([
    ['a weight', { weight: 10 }],
    ['all traffic', { weight: 100 }],
    ['nothing yet', { weight: 0 }],
    ['a preview', { preview }],
    ['copies', { mirror: 20 }],
    ['everything', { weight: 30, preview, mirror: 5 }],
  ])('with %s is read back, is the same when rendered again, and is given back exactly', (_, changes) => {
    const wanted = route(changes);
    const shown = rendered(wanted);
    expect(readRoute(shown, journal, sides)).toEqual(wanted);
    expect(rendered(wanted, shown)).toEqual(shown);
    expect(rendered(wanted, rendered(route({ weight: 55, preview, mirror: 1 })))).toEqual(shown);
    expect(isRestored(shown, sides)).toBe(false);
    const back = applyPatch({ spec: { rules: shown } }, restoreOps(shown, journal, sides)).spec.rules;
    expect(back).toEqual(rules);
    expect(isRestored(back, sides)).toBe(true);
  });
});

describe('after edits by others', () => {
  const shown = rendered(route({ weight: 10, preview }));
  const edited = (change: (rules: Rule[]) => void) => {
    const copy = structuredClone(shown) as Rule[];
    change(copy);
    return copy;
  };
  const routedAt = (all: readonly Rule[], value: string) =>
    all.findIndex(({ matches, backendRefs }) => matches?.[0]?.path?.value === value && backendRefs?.length === 2);

  it.each<[string, (rules: Rule[]) => void, boolean]>([
    ['nothing', () => undefined, true],
    ['the order of the rules', (all) => all.push(...all.splice(routedAt(all, '/'), 1)), true],
    ['a time limit', (all) => Object.assign(all[routedAt(all, '/')] ?? {}, { timeouts: { request: '9s' } }), true],
    ['another rule', (all) => all.unshift(rule('/new', ref('new'))), true],
    ['a weight', (all) => Object.assign(all[routedAt(all, '/')]?.backendRefs?.[1] ?? {}, { weight: 30 }), false],
    ['a third backend', (all) => all[routedAt(all, '/')]?.backendRefs?.push(ref('x')), false],
    ['a preview rule', (all) => all.splice(routedAt(all, '/') - 1, 1), false],
    ['the whole rule', (all) => all.splice(routedAt(all, '/'), 1), false],
  ])('of %s the owned fields tell', (_, change, same) => {
    const rules = edited(change);
    const whole = countRouted(rules, journal, sides) === journal.length;
    expect(whole && shows(rules, journal, sides, route({ weight: 10, preview }))).toBe(same);
  });

  it.each<[string, (rules: Rule[]) => void]>([
    ['another order', (all) => all.reverse()],
    [
      'other weights',
      (all) => {
        for (const one of all.flatMap(({ backendRefs = [] }) => backendRefs)) one.weight = 5;
      },
    ],
    ['other matches', (all) => Object.assign(all[routedAt(all, '/api')] ?? {}, { matches: [path('/v2')] })],
    ['a rule that sends to the canary alone', (all) => all[routedAt(all, '/')]?.backendRefs?.shift()],
    ['a backend put in between', (all) => all[routedAt(all, '/')]?.backendRefs?.unshift(ref('x'))],
  ])('an abort gives everything back in spite of %s', (_, change) => {
    const rules = edited(change);
    const back = applyPatch({ spec: { rules } }, restoreOps(rules, journal, sides)).spec.rules;
    expect(isRestored(back, sides)).toBe(true);
    expect(back.filter(({ backendRefs }) => backendRefs?.some(isWorld))).toHaveLength(2);
  });

  it('an abort does not write over a rule that has moved away from its place', () => {
    const moved = edited((all) => all.reverse());
    expect(() => applyPatch({ spec: { rules: moved } }, restoreOps(shown, journal, sides))).toThrow(/failed/);
  });

  it('an abort does not write over backends that somebody put in the place of ours', () => {
    const shown = rendered(route({ weight: 50 }));
    const replaced = shown.map((one) => ({ ...one, backendRefs: [ref('elsewhere'), ref('other')] }));
    expect(() => applyPatch({ spec: { rules: replaced } }, restoreOps(shown, journal, sides))).toThrow(/failed/);
  });

  it('an abort does not mind weights that changed since it looked', () => {
    const late = rendered(route({ weight: 77, preview }));
    expect(applyPatch({ spec: { rules: late } }, restoreOps(shown, journal, sides)).spec.rules).toEqual(rules);
  });

  it('says which rule sends where', () => {
    const rules = edited((all) => Object.assign(all[routedAt(all, '/')]?.backendRefs?.[1] ?? {}, { weight: 30 }));
    expect(inWords(rules, journal, sides, route({ weight: 10, preview }))).toBe(
      'the rule for / sends to world-stable 90 and world-canary 30, written was world-stable 90 and world-canary 10',
    );
  });

  it.each<[string, (rules: Rule[]) => void]>([
    ['rules that differ', (all) => Object.assign(all[routedAt(all, '/')]?.backendRefs?.[1] ?? {}, { weight: 30 })],
    ['no rule of ours', (all) => all.splice(0, all.length, rule('/', ref('x')))],
  ])('reads no route from %s', (_, change) => {
    expect(readRoute(edited(change), journal, sides)).toBeNull();
  });
});

it('without a journal all weight goes to stable', () => {
  const shown = rendered(route({ weight: 60, preview }));
  const safe = applyPatch({ spec: { rules: shown } }, stableOps(shown, sides)).spec.rules;
  const weights = safe.flatMap(({ backendRefs = [] }) => backendRefs).filter(({ name }) => name === 'world-canary');
  expect(weights.map(({ weight }) => weight)).toEqual([0, 0]);
});

it('previews for its header alone where the list of matches is empty, which means all requests', () => {
  const all: readonly Rule[] = [{ matches: [], backendRefs: [ref('world')] }];
  const own = journalOf(all, isWorld);
  const written = render(all, own, sides, route({ preview }));
  expect(written[0]?.matches).toEqual([{ headers: [{ type: 'Exact', name: 'x-canary', value: 'always' }] }]);
  expect(readRoute(written, own, sides)).toEqual(route({ preview }));
  expect(applyPatch({ spec: { rules: written } }, restoreOps(written, own, sides))).toEqual({ spec: { rules: all } });
});
