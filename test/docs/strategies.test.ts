/** The tables of docs/strategies.md are what the registry says. `UPDATE=1` writes them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Config } from '../../src/core/config.ts';
import { parseConfig } from '../../src/core/parse-config.ts';
import type { Target, Traffic } from '../../src/core/plan.ts';
import { BUILT_IN } from '../../src/core/strategies.ts';
import { fitted, notVersioned, refusals, type Support, supportOf } from '../../src/core/support.ts';

const PAGE = 'docs/strategies.md';
const [START, END] = ['<!-- tables -->', '<!-- end -->'];

/** One of each router: a new one is missing here until it stands in the tables too. */
const TRAFFIC: Readonly<Record<Traffic['router'], Traffic>> = {
  'gateway-api': { router: 'gateway-api', routes: ['hello/world'] },
  smi: { router: 'smi', split: 'hello/world' },
  istio: { router: 'istio', virtualService: 'hello/world', http: [] },
  'ingress-nginx': { router: 'ingress-nginx', ingress: 'hello/world', annotations: 'nginx.ingress.kubernetes.io' },
  namerd: {
    router: 'namerd',
    url: 'http://namerd',
    namespaces: ['internal'],
    path: '/host/w',
    names: '/srv/{version}',
  },
  kubernetes: { router: 'kubernetes', service: 'hello/world' },
};

type Column = { readonly title: string; readonly target: Pick<Target, 'workload' | 'traffic'> };
const columns: readonly Column[] = [
  ...Object.values(TRAFFIC).map((traffic) => ({
    title: `\`${traffic.router}\``,
    target: { workload: 'twin', traffic } as const,
  })),
  { title: '`in-place`', target: { workload: 'in-place', traffic: TRAFFIC.kubernetes } },
];

const parsed = parseConfig({ slack: { channel: 'deploys' }, services: {} });
const strategies: Config['strategies'] = parsed.ok ? parsed.config.strategies : {};

function tables(): string {
  const reasons: string[] = [];
  /** `Mirroring: a TrafficSplit …`: what it is about stands in the table. */
  const note = (said: string) => {
    const reason = said.replace(/^[A-Z][^:]*: /, '').replaceAll('<', '&lt;');
    if (!reasons.includes(reason)) reasons.push(reason);
    return `${reasons.indexOf(reason) + 1}`;
  };
  const no = (why: readonly string[]) => `no (${why.map(note).join(', ')})`;
  const asked = (support: Support, wanted: boolean) =>
    wanted && support.asks?.mirror ? `, ${support.asks.mirror}` : '';

  const strategyRow = (name: string) => {
    const steps = strategies[name] ?? [];
    return columns.map(({ target }) => {
      const support = supportOf(target);
      const fitting = fitted(steps, support);
      const why = refusals(name, fitting, target);
      if (why.length > 0) return no(why);
      const dropped = steps.some(({ route }, index) => route.preview && !fitting[index]?.route.preview);
      const mirrors = steps.some(({ route }) => route.mirror !== null);
      return `yes${dropped ? ', without preview' : ''}${asked(support, mirrors)}`;
    });
  };
  const strategyRows = Object.keys(BUILT_IN).map((name) => [`\`${name}\``, ...strategyRow(name)]);
  const FEATURES = {
    weight: 'weights',
    header: 'users by header',
    pattern: 'by its pattern',
    cookie: 'by cookie',
  } as const;
  const can = (value: true | string) => (value === true ? 'yes' : no([value]));
  const supports = columns.map(({ target }) => supportOf(target));
  const featureRows = [
    ...Object.entries(FEATURES).map(([feature, words]) => [
      words,
      ...supports.map((support) => {
        const found = can(support[feature as keyof typeof FEATURES]);
        return feature === 'cookie' && support.cookieValue ? `${found}, value \`${support.cookieValue}\` only` : found;
      }),
    ]),
    ['preview for testers', ...supports.map((support) => can(support.preview ?? support.header))],
    ['mirror', ...supports.map((support) => `${can(support.mirror)}${asked(support, true)}`)],
  ];
  const routers = Object.values(TRAFFIC).map(({ router }) => router);
  const versioned = routers.map((router) => {
    const why = notVersioned(router);
    return why === null ? 'yes' : no([why]);
  });
  return [
    table(['strategy', ...columns.map(({ title }) => title)], strategyRows),
    table(['a step can say', ...columns.map(({ title }) => title)], featureRows),
    'The last column is the workload `in-place`; the others are the workload `twin`, and `versioned` where it can be had:',
    table(['workload', ...routers.map((router) => `\`${router}\``)], [['`versioned`', ...versioned]]),
    reasons.map((reason, index) => `${index + 1}. ${reason}.`).join('\n'),
  ].join('\n\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

test('the tables are those of the registry', () => {
  const page = readFileSync(PAGE, 'utf8');
  const [before = '', rest = ''] = page.split(START);
  const after = rest.split(END)[1] ?? '';
  const wanted = `${before}${START}\n\n${tables()}\n\n${END}${after}`;
  if (process.env.UPDATE) writeFileSync(PAGE, wanted);
  expect(readFileSync(PAGE, 'utf8')).toBe(wanted);
});

test('the page names every built-in strategy and no other', () => {
  const [, steps = ''] = readFileSync(PAGE, 'utf8').split('| its steps |');
  const named = [...(steps.split('\n\n')[0] ?? '').matchAll(/^\| `([\w-]+)` \|/gm)].map(([, name]) => name);
  expect(named).toEqual(Object.keys(BUILT_IN));
});
