/** Rollouts in any state, and a Slack adapter wired to the fake Slack. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createSlack, type SlackOptions } from '../../../src/adapters/slack/app.ts';
import type { Log } from '../../../src/app/ports/log.ts';
import type { Bot, Request } from '../../../src/app/requests.ts';
import type { CheckResult } from '../../../src/core/analysis.ts';
import { begin } from '../../../src/core/decide.ts';
import type { Gate } from '../../../src/core/gate.ts';
import type { Actor, Check, Plan, Step } from '../../../src/core/plan.ts';
import type { Phase, Rollout } from '../../../src/core/rollout.ts';
import { type FakeSlack, startFakeSlack } from '../../support/fake-slack/index.ts';

export const T0 = Date.UTC(2026, 10, 20, 10, 0, 0);
const MINUTE = 60_000;

export const ana: Actor = { kind: 'person', user: 'U0ANA', name: 'ana' };
export const bo: Actor = { kind: 'person', user: 'U0BO', name: 'bo' };
export const cy: Actor = { kind: 'person', user: 'U0CY', name: 'cy' };
export const system: Actor = { kind: 'system' };

const gatePlan = { approvals: 1, timeoutMs: 4 * 60 * MINUTE, onTimeout: 'abort' } as const;

const step = (weight: number, preview = false): Step => ({
  route: { weight, preview: preview ? { header: 'x-canary', value: 'always' } : null, mirror: null },
  test: preview,
  bakeMs: preview ? 0 : MINUTE,
  gate: gatePlan,
});

const check = (fields: Partial<Check> & Pick<Check, 'name'>): Check => ({
  query: 'linkerd/success-rate',
  min: null,
  max: null,
  unit: '',
  intervalMs: 15_000,
  windowMs: MINUTE,
  fails: 2,
  minRequests: 20,
  ...fields,
});

export const successRate = check({ name: 'success rate', min: 99, unit: '%' });
export const latency = check({ name: 'p99 latency', max: 500, unit: 'ms' });

export function plan(fields: Partial<Plan> = {}): Plan {
  return {
    kind: 'deploy',
    env: 'default',
    target: {
      service: 'world',
      namespace: 'hello',
      deployment: 'world',
      container: 'world',
      workload: 'twin',
      traffic: { router: 'gateway-api', routes: ['hello/world'] },
    },
    version: 'v2',
    from: 'v1',
    image: 'buoyantio/world:v2',
    template: null,
    strategy: 'canary',
    steps: [step(0, true), step(10), step(50), step(100)],
    checks: [successRate, latency],
    tests: [{ name: 'smoke', get: '/healthz', status: 200 }],
    access: {
      deploy: ['S_DEVS'],
      approve: ['S_APPROVERS'],
      abort: [],
      onCall: ['S_ONCALL'],
      approvals: 1,
      fourEyes: true,
    },
    requester: ana,
    reason: null,
    channel: 'C0DEPLOYS',
    coolDownMs: 30_000,
    readyTimeoutMs: 5 * MINUTE,
    promoteTimeoutMs: 10 * MINUTE,
    warnings: [],
    ...fields,
  };
}

/** Where the share follows the pods of the Deployment itself: no previews, and other shares than what is asked. */
export const inPlace = () =>
  plan({
    target: { ...plan().target, workload: 'in-place', traffic: { router: 'kubernetes', service: 'hello/world' } },
    steps: [step(0), { ...step(10), achieved: '20% (1 of 5 pods; 10% was asked)' }, step(50), step(100)],
  });

export function result(of: Check, canary: number | string, fields: Partial<CheckResult> = {}): CheckResult {
  const verdict =
    typeof canary === 'string'
      ? 'no data'
      : (of.min !== null && canary < of.min) || (of.max !== null && canary > of.max)
        ? 'fail'
        : 'pass';
  return {
    check: of.name,
    canary: typeof canary === 'string' ? { missing: canary } : { value: canary },
    stable: { value: of === successRate ? 99.97 : 118.4 },
    requests: { canary: 1390, stable: 4210 },
    verdict,
    ...fields,
  };
}

const passing = [result(successRate, 99.95), result(latency, 131)];

export function gate(fields: Partial<Gate> = {}): Gate {
  return {
    id: 'world-7k2q9x.1',
    kind: 'step',
    step: 1,
    openedAt: T0 + 3 * MINUTE,
    deliveredAt: T0 + 3 * MINUTE,
    plan: gatePlan,
    heldMs: 0,
    reminders: 0,
    results: passing,
    tests: [],
    measured: true,
    approvals: [],
    decision: null,
    ...fields,
  };
}

/** A rollout of `world` v2 in `phase`, at 10% unless the fields say otherwise. */
export function rollout(phase: Phase, fields: Partial<Rollout> = {}): Rollout {
  const { rollout: begun } = begin({ type: 'requested', id: 'world-7k2q9x', plan: plan(), epoch: 7 }, T0);
  return { ...begun, step: 1, route: { weight: 10, preview: null, mirror: null }, ...fields, phase };
}

export const waiting = (fields: Partial<Gate> = {}, more: Partial<Rollout> = {}) =>
  rollout({ kind: 'waiting', since: T0 }, { gates: [gate(fields)], ...more });

// ---- the adapter on the fake Slack -----------------------------------------------------------------------------------

type Line = { readonly level: string; readonly message: string; readonly fields: Record<string, unknown> };

export function memoryLog(): Log & { readonly lines: Line[] } {
  const lines: Line[] = [];
  const write = (level: string) => (fields: Record<string, unknown>, message: string) =>
    void lines.push({ level, message, fields });
  const log = {
    lines,
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: () => log,
  };
  return log;
}

/** A bot that only remembers what it was asked; `receive` can be replaced. */
export function recordingBot() {
  const bot = {
    requests: [] as Request[],
    /** How often the work after the acknowledgement ran. */
    worked: 0,
    receive: (async (request) => {
      bot.requests.push(request);
      return {
        after: async () => {
          bot.worked += 1;
        },
      };
    }) satisfies Bot['receive'] as Bot['receive'],
  };
  return bot;
}

/** The whole adapter over signed HTTP, as the web server mounts it. */
export async function startAdapter(
  options: Partial<SlackOptions> = {},
  /** `before`: changes the Slack that the adapter meets at its start. `isGuarding`: whether a rollout runs. */
  {
    before = () => {},
    isGuarding = async () => false,
  }: { before?: (fake: FakeSlack) => void; isGuarding?: () => Promise<boolean> } = {},
) {
  const fake = await startFakeSlack();
  before(fake);
  const bot = recordingBot();
  const log = memoryLog();
  const slack = createSlack({
    botToken: fake.token,
    appToken: null,
    signingSecret: fake.signingSecret,
    apiUrl: fake.apiUrl,
    bot: () => bot,
    tables: true,
    chart: async () => null,
    log,
    ...options,
  });
  const server = createServer((request, response) => slack.requestListener?.(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/slack/events`;
  fake.botUrl = url;
  await slack.start(isGuarding);
  return {
    fake,
    /** Where it takes Slack's requests. */
    url,
    bot,
    log,
    slack,
    chat: slack.chat,
    async stop() {
      await slack.stop();
      server.closeAllConnections();
      server.close();
      await fake.stop();
    },
  };
}
