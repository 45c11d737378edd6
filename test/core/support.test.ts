/** Which steps which router can go: refused when they are typed, with the reason. */
import { describe, expect, it } from 'vitest';
import type { Preview, Step, Target, Traffic } from '../../src/core/plan.ts';
import { fitted, IN_PLACE_SUPPORT, refusals, SUPPORT, type Support, unsayable } from '../../src/core/support.ts';
import { aStep } from './support.ts';

const traffic: Readonly<Record<'smi' | 'istio' | 'ingress-nginx' | 'namerd', Traffic>> = {
  smi: { router: 'smi', split: 'hello/world' },
  istio: { router: 'istio', virtualService: 'hello/world', http: [] },
  'ingress-nginx': { router: 'ingress-nginx', ingress: 'hello/world', annotations: 'nginx.ingress.kubernetes.io' },
  namerd: {
    router: 'namerd',
    url: 'http://namerd:4180',
    namespaces: ['internal'],
    path: '/host/w',
    names: '/s/{version}',
  },
};
type Name = keyof typeof traffic;
const target = (router: Name): Pick<Target, 'workload' | 'traffic'> => ({ workload: 'twin', traffic: traffic[router] });
const header: Preview = { header: 'x-canary', value: 'always' };
const pattern: Preview = { header: 'x-user', pattern: '^qa-' };
const cookie = (value: string): Preview => ({ cookie: 'canary', value });

const shown = (preview: Preview, over: Partial<Step> = {}): Step =>
  aStep(0, { route: { weight: 0, preview, mirror: null }, bakeMs: 0, ...over });
const forUsers = (preview: Preview) => shown(preview, { bakeMs: 60_000 });
const mirrored = aStep(0, { route: { weight: 0, preview: null, mirror: 20 } });

it.each<[string, Name, Step, RegExp]>([
  ['a header preview of a TrafficSplit', 'smi', shown(header), /^A preview by header: a TrafficSplit/],
  ['users by header of a TrafficSplit', 'smi', forUsers(header), /^Users by header: a TrafficSplit/],
  ['copies of a TrafficSplit', 'smi', mirrored, /^Mirroring: a TrafficSplit cannot copy/],
  ['copies of a canary Ingress', 'ingress-nginx', mirrored, /^Mirroring: ingress-nginx/],
  [
    'a cookie of another value',
    'ingress-nginx',
    shown(cookie('yes')),
    /cookie canary can only be always; write "canary=always"/,
  ],
  [
    'a value that ingress-nginx leaves out of its configuration',
    'ingress-nginx',
    forUsers({ header: 'x-user', value: 'mia@corp.com' }),
    /^Users by header: no "@" can be in it, ingress-nginx takes letters, digits, spaces and -\._~\/: only/,
  ],
  [
    'a name of a header that it leaves out',
    'ingress-nginx',
    shown({ header: 'x!user', value: 'a' }),
    /no "!" can be in it/,
  ],
  [
    'a name of a cookie that it leaves out',
    'ingress-nginx',
    shown({ cookie: 'a+b', value: 'always' }),
    /no "\+" can be in it/,
  ],
  [
    'a pattern that it leaves out',
    'ingress-nginx',
    shown({ header: 'x-user', pattern: '^(mia|bo), .*$' }),
    /^A preview by a pattern of a header: no "," can be in it, .* and \^\$/,
  ],
  ['users by header of Linkerd 1', 'namerd', forUsers(header), /^Users by header: Linkerd 1/],
  ['users by cookie of Linkerd 1', 'namerd', forUsers(cookie('always')), /^Users by cookie: Linkerd 1/],
])('%s is refused with the reason', (_, router, step, reason) => {
  expect(refusals('mine', [step, aStep(100)], target(router))).toEqual([expect.stringMatching(reason)]);
});

it.each<[string, Name, Step]>([
  ['copies of Istio', 'istio', mirrored],
  ['users by a pattern of Istio', 'istio', forUsers(pattern)],
  ['a pattern of ingress-nginx', 'ingress-nginx', shown(pattern)],
  [
    'a pattern with all that ingress-nginx takes',
    'ingress-nginx',
    shown({ header: 'x-user', pattern: '^[qa]{1}\\.(b|c)*+?&=~/:$' }),
  ],
  ['a value with spaces in ingress-nginx', 'ingress-nginx', shown({ header: 'user-agent', value: 'qa 1.0/beta' })],
  ['a cookie of the value that ingress-nginx knows', 'ingress-nginx', forUsers(cookie('always'))],
  ['testers of Linkerd 1, whatever the preview', 'namerd', shown(pattern)],
])('%s can be had', (_, router, step) => {
  expect(refusals('mine', [step, aStep(100)], target(router))).toEqual([]);
  expect(unsayable(step.route, SUPPORT[router])).toBeNull();
});

it('rolling is what the workload in-place does', () => {
  expect(refusals('rolling', [aStep(100)], target('istio'))).toEqual([expect.stringMatching(/workload in-place/)]);
});

it('each reason is said once', () => {
  expect(refusals('mine', [mirrored, mirrored, aStep(100)], target('smi'))).toHaveLength(1);
});

describe('a preview that is there only if it can be had', () => {
  const optional = { ...shown(header), optionalPreview: true };
  it('stays where the router has previews, and leaves no trace of having been a wish', () => {
    expect(fitted([optional], SUPPORT.istio)).toEqual([shown(header)]);
  });
  it('goes where it has none, and the rest of the step stays', () => {
    expect(fitted([optional], SUPPORT.smi)).toEqual([
      { ...shown(header), route: { weight: 0, preview: null, mirror: null } },
    ]);
  });
});

describe('the tests of steps', () => {
  const step = (weight: number, test: boolean) => aStep(weight, { test });
  const tested = (steps: readonly Step[], support: Support) => fitted(steps, support).map((one) => one.test);

  it.each<[string, readonly Step[], readonly boolean[]]>([
    [
      'before the first share come with that share',
      [step(0, true), step(10, false), step(100, false)],
      [false, true, false],
    ],
    ['of all steps before it come once', [step(0, true), step(0, true), step(100, true)], [false, false, true]],
    ['with a share stay where they are', [step(10, true), step(50, false), step(100, true)], [true, false, true]],
    ['that nobody asked for do not come', [step(0, false), step(10, false), step(100, true)], [false, false, true]],
  ])('%s where no new pod runs without one', (_, steps, wanted) => {
    expect(tested(steps, IN_PLACE_SUPPORT)).toEqual(wanted);
  });

  it('stay before the first share where the canary runs beside stable', () => {
    expect(tested([step(0, true), step(100, false)], SUPPORT.kubernetes)).toEqual([true, false]);
  });
});
