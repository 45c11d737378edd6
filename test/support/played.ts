/** A rollout as data, and the events with which a cluster that always works and people who always agree move it on. */

import type { CheckResult } from '../../src/core/analysis.ts';
import type { Event } from '../../src/core/event.ts';
import { type Actor, type Check, type Plan, STABLE_ROUTE, type Step } from '../../src/core/plan.ts';
import { openGate, type PromoteStage, type Rollout, type StartStage, type StepStage } from '../../src/core/rollout.ts';

export const ADA: Actor = { kind: 'person', user: 'U0ADA', name: 'ada' };
export const BO: Actor = { kind: 'person', user: 'U0BO', name: 'bo' };

const GATE = { approvals: 1, timeoutMs: 14_400_000, onTimeout: 'abort' } as const;

/** Three gates, with three checks each. */
export function samplePlan(service: string, env: string): Plan {
  const check = (name: string, query: string, limit: Partial<Check>): Check => ({
    ...{ name, query, min: null, max: null, unit: '', intervalMs: 15_000, windowMs: 60_000, fails: 2, minRequests: 20 },
    ...limit,
  });
  const step = (weight: number): Step => ({
    ...{ route: { ...STABLE_ROUTE, weight }, test: false, bakeMs: 60_000, gate: GATE },
  });
  const preview = { header: 'x-canary', value: 'always' };
  return {
    kind: 'deploy',
    env,
    target: {
      ...{ service, namespace: 'hello', deployment: service, container: service, workload: 'twin' },
      traffic: { router: 'gateway-api', routes: [`hello/${service}`] },
    },
    version: 'v2',
    from: 'v1',
    image: `buoyantio/${service}:v2`,
    template: null,
    strategy: 'canary',
    steps: [{ route: { ...STABLE_ROUTE, preview }, test: true, bakeMs: 0, gate: null }, step(10), step(50), step(100)],
    checks: [
      check('success rate', 'linkerd/success-rate', { min: 99, unit: '%' }),
      check('p99 latency', 'linkerd/latency-p99', { max: 500, unit: 'ms' }),
      check('backlog', `sum(queue_depth{app="{{workload}}"})`, { max: 100 }),
    ],
    tests: [{ name: 'smoke', get: '/healthz', status: 200 }],
    access: {
      ...{
        deploy: ['S0DEVS'],
        approve: ['S0APPROVERS'],
        abort: [],
        onCall: ['S0ONCALL'],
        approvals: 1,
        fourEyes: true,
      },
    },
    requester: ADA,
    reason: 'new greeting',
    channel: 'C0DEPLOYS',
    coolDownMs: 30_000,
    readyTimeoutMs: 300_000,
    promoteTimeoutMs: 600_000,
    warnings: [],
  };
}

function passing(plan: Plan): CheckResult[] {
  return plan.checks.map(({ name }, index) => ({
    check: name,
    canary: { value: 99.873_421 - index * 10 },
    stable: { value: 99.912_734 - index * 10 },
    requests: { canary: 1_234, stable: 11_106 },
    verdict: 'pass',
  }));
}

/** The event that moves the rollout on from where it stands; null when it has ended. */
export function nextEvent(rollout: Rollout): Event | null {
  const { phase, seq, plan } = rollout;
  switch (phase.kind) {
    case 'queued': {
      const route = JSON.stringify({
        rules: [{ backendRefs: [{ name: plan.target.service, port: 7778, weight: 1 }] }],
      });
      return { type: 'claimed', seq, journal: { [`HTTPRoute hello/${plan.target.service}`]: route } };
    }
    case 'starting': {
      const events: Record<StartStage, Event> = {
        create: { type: 'created', seq },
        ready: { type: 'canary_ready', seq },
        announce: { type: 'message_delivered', key: 'root', ts: '1763632800.000100' },
      };
      return events[phase.stage];
    }
    case 'stepping': {
      const events: Record<StepStage, Event> = {
        scale: { type: 'scaled', seq },
        ready: { type: 'canary_ready', seq },
        route: { type: 'routed', seq },
        confirm: { type: 'confirmed', seq, warning: null },
        test: { type: 'tested', seq, results: [{ test: 'smoke', passed: true, detail: '200 in 12 ms' }] },
        bake: { type: 'baked', seq },
        judge: { type: 'judged', seq, results: rollout.guard ? passing(plan) : [] },
      };
      return events[phase.stage];
    }
    case 'promoting': {
      const events: Record<PromoteStage, Event> = {
        template: { type: 'template_set', seq },
        ready: { type: 'stable_ready', seq },
        route: { type: 'routed', seq },
        confirm: { type: 'confirmed', seq, warning: null },
        cool: { type: 'cooled', seq },
        clean: { type: 'cleaned', seq },
      };
      return events[phase.stage];
    }
    default: {
      const gate = openGate(rollout);
      return gate ? { type: 'approved', gate: gate.id, actor: BO, reason: 'looks good' } : null;
    }
  }
}
