/** The commands without Slack, as processes: what they print, what they change, and their exit codes. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Office, openOffice } from './support.ts';

const NO_REDIS = { REDIS_URL: 'redis://127.0.0.1:1' };

let office: Office;
beforeEach(async () => {
  office = await openOffice();
});
afterEach(() => office.close());

it.each([
  [['help'], 0, 'out', /^npm run sluice -- <command>\n {2}validate \[file\] +checks sluice\.yaml\n/],
  [['plan', '--help'], 0, 'out', /^npm run sluice -- <command>\n {2}plan <service> <version> \[strategy\] .*\n$/],
  [['abrot', 'world'], 2, 'err', /^there is no command abrot; did you mean abort\?\n/],
  [['plan', 'world'], 2, 'err', /^plan: something is missing\n/],
  [['abort', 'world', 'now'], 2, 'err', /^abort: now is one word too many\n/],
  [['abort', 'world', '--reson', 'x'], 2, 'err', /^Unknown option '--reson'\n/],
] as const)('%j ends with %i', async (args, code, where, words) => {
  const answer = await office.sluice(args);
  expect(answer.code).toBe(code);
  expect(answer[where]).toMatch(words);
});

it('validate lists everything that is wrong with sluice.yaml', async () => {
  expect(await office.sluice(['validate'])).toEqual({ code: 0, out: `${office.file} is valid: world\n`, err: '' });
  office.write((config) => {
    Object.assign(config.services.world, { deploymnet: 'world', coolDown: 'soon' });
    Object.assign(config.services, { earth: config.services.world });
    Object.assign(config.strategies, { brisk: [{ weight: 50 }, { weight: 10 }] });
  });
  const { code, err } = await office.sluice(['validate'], { REDIS_URL: undefined });
  expect(code).toBe(1);
  const [title, ...lines] = err
    .trim()
    .replaceAll(`${office.file}: `, '')
    .replaceAll(office.file, 'sluice.yaml')
    .split('\n');
  expect(title).toBe('Sluice cannot start, nothing was touched (sluice.yaml):');
  expect(lines.sort()).toEqual([
    '  services.earth.coolDown: write a duration such as 30s, not "soon"',
    '  services.earth.deploymnet: unknown key; did you mean "deployment"?',
    '  services.world.coolDown: write a duration such as 30s, not "soon"',
    '  services.world.deploymnet: unknown key; did you mean "deployment"?',
    '  strategies.brisk[1].weight: write 100: the last step carries all traffic',
    expect.stringMatching(/^ {2}strategies\.brisk\[1\]\.weight: write a weight of at least 50/),
  ]);
});

describe('plan', () => {
  it('prints every step and write, and writes nothing', async () => {
    office.playground.api.forget();
    const { code, out } = await office.sluice(['plan', 'world', 'v2']);
    expect(code).toBe(0);
    expect(out).toMatchInlineSnapshot(`
      "world v2 (v1 is live) with strategy brisk; nothing was touched

      Steps
        1.  10% to the canary · gate, holds after 2 h
        2.  100% to the canary · checks watched for 1 min · gate, aborts after 4 h

      Checks, while the canary has traffic
        success rate  at least 99%  linkerd/success-rate  every 15 s over 1 min, 2 failures in a row abort

      Tests, of every canary pod
        smoke  GET /  200

      Approval by S_APPROVERS, not by who asked for it

      Writes in namespace hello, in this order
        start      HTTPRoute hello/world: annotations sluice.dev/…
                   Deployment world: annotations sluice.dev/…
                   Deployment world-canary: made, with image buoyantio/world:v2
                   Kubernetes Services world-stable and world-canary: made
        step 1     Deployment world-canary: 10% of stable's pods
                   HTTPRoute hello/world: world-stable 90, world-canary 10
            spec.rules[0].backendRefs[0].name: "world" → "world-stable"
            spec.rules[0].backendRefs[0].weight: 1 → 90
            spec.rules[0].backendRefs[1]: {"group":"","kind":"Service","name":"world-canary","port":80,"weight":10} (new)
        step 2     Deployment world-canary: 100% of stable's pods
                   HTTPRoute hello/world: world-stable 0, world-canary 100
            spec.rules[0].backendRefs[0].weight: 90 → 0
            spec.rules[0].backendRefs[1].weight: 10 → 100
        promotion  Deployment world: the pod template of v2
                   HTTPRoute hello/world: its own backends again
            spec.rules[0].backendRefs[0].name: "world-stable" → "world"
            spec.rules[0].backendRefs[0].weight: 0 → 1
            spec.rules[0].backendRefs[1]: gone
        clean-up   Deployment world-canary and both Kubernetes Services: deleted after 1 s
                   HTTPRoute hello/world, Deployment world: only terminal marks stay
        abort      HTTPRoute hello/world: its own backends again, then the clean-up
            spec.rules[0].backendRefs[0].name: "world-stable" → "world"
            spec.rules[0].backendRefs[0].weight: 0 → 1
            spec.rules[0].backendRefs[1]: gone
      "
    `);
    const verbs = office.playground.api.requests({ userAgent: 'sluice' }).map(({ verb }) => verb);
    expect([...new Set(verbs)].sort()).toEqual(['list', 'watch']);
    expect(office.slack.calls).toEqual([]);
  });

  it.each([
    ['a service that is misspelt', ['wrold', 'v2'], 'There is no service wrold. Did you mean world? Services: world.'],
    ['a version of another shape', ['world', '2'], '2 is not a version of world: versions match v[0-9][\\w.-]*.'],
    ['a strategy that is not there', ['world', 'v2', 'slow'], 'There is no strategy slow here. Strategies: brisk.'],
  ])('refuses %s', async (_, words, said) => {
    const { code, err } = await office.sluice(['plan', ...words]);
    expect(code).toBe(1);
    expect(err).toContain(said);
  });

  it('says all that stands against it', async () => {
    office.playground.api.rights.deny({ verb: 'patch', resource: 'httproutes' }, { verb: 'list', resource: 'pods' });
    const { code, err } = await office.sluice(['plan', 'world', 'v2']);
    expect(code).toBe(1);
    expect(err).toContain('world v2 was not started, nothing was touched:');
    expect(err).toContain('The bot may not patch httproutes in namespace hello');
    expect(err).toContain('The bot may not list pods in namespace hello');
  });
});

it('without a rollout there is nothing to see, approve or abort', async () => {
  expect(await office.sluice(['status'])).toEqual({ code: 0, out: 'no rollout runs\n', err: '' });
  for (const command of ['approve', 'abort'])
    expect(await office.sluice([command, 'world'])).toEqual({ code: 1, out: '', err: 'no rollout of world runs\n' });
});

it.each([
  [
    'Redis that is away',
    NO_REDIS,
    /^Redis at 127\.0\.0\.1:1 cannot be used \(connect ECONNREFUSED 127\.0\.0\.1:1\): start it/,
  ],
  [
    'no REDIS_URL',
    { REDIS_URL: undefined },
    /^Sluice cannot start, nothing was touched \(environment\):\n {2}REDIS_URL: set it/,
  ],
  [
    'no sluice.yaml',
    { SLUICE_CONFIG: 'gone.yaml' },
    /gone\.yaml: there is no such file; write it, or set SLUICE_CONFIG/,
  ],
  [
    'a kubeconfig that is not there',
    { KUBECONFIG: 'gone' },
    /^KUBECONFIG gone: it cannot be read \(ENOENT.*set it to a kubeconfig\n$/,
  ],
])('%s is one clear message', async (_, more, line) => {
  const { code, out, err } = await office.sluice(['approve', 'world'], more);
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toMatch(line);
});
