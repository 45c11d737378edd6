import type { CheckResult, Verdict } from '../../src/core/analysis.ts';
import { begin, decide } from '../../src/core/decide.ts';
import type { Decision, Event, Outgoing, Rejection } from '../../src/core/event.ts';
import type { Actor, Check, GatePlan, Plan, Step } from '../../src/core/plan.ts';
import { type Drift, isTerminal, openGate, type Phase, type Rollout } from '../../src/core/rollout.ts';
import { type Effect, next, nextLook } from '../../src/core/schedule.ts';

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const START = Date.UTC(2026, 10, 20, 10);

export const person = (name: string): Extract<Actor, { kind: 'person' }> => ({
  kind: 'person',
  user: `U0${name.toUpperCase()}`,
  name,
});
export const requester = person('req');
export const ann = person('ann');
export const bob = person('bob');

export const gatePlan: GatePlan = { approvals: 1, timeoutMs: 4 * HOUR, onTimeout: 'abort' };

export function aStep(weight: number, over: Partial<Step> = {}): Step {
  return { route: { weight, preview: null, mirror: null }, test: false, bakeMs: MINUTE, gate: gatePlan, ...over };
}

export const previewStep: Step = aStep(0, {
  route: { weight: 0, preview: { header: 'x-canary', value: 'always' }, mirror: null },
  test: true,
  bakeMs: 0,
});

export function aCheck(name: string, over: Partial<Check> = {}): Check {
  return {
    name,
    query: 'linkerd/success-rate',
    min: 99,
    max: null,
    unit: '%',
    intervalMs: 15 * SECOND,
    windowMs: MINUTE,
    fails: 2,
    minRequests: 20,
    ...over,
  };
}

export function aPlan(over: Partial<Plan> = {}): Plan {
  return {
    kind: 'deploy',
    env: 'prod',
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
    steps: [aStep(10, { test: true }), aStep(50), aStep(100)],
    checks: [aCheck('success rate')],
    tests: [{ name: 'smoke', get: '/healthz', status: 200 }],
    access: { deploy: ['S1'], approve: ['S2'], abort: [], onCall: [], approvals: 1, fourEyes: true },
    requester,
    reason: null,
    channel: 'C1',
    coolDownMs: 30 * SECOND,
    readyTimeoutMs: 5 * MINUTE,
    promoteTimeoutMs: 10 * MINUTE,
    warnings: [],
    ...over,
  };
}

export function result(check: string, verdict: Verdict): CheckResult {
  const value = verdict === 'no data' ? { missing: 'too few requests' } : { value: verdict === 'pass' ? 100 : 50 };
  return { check, canary: value, stable: { value: 100 }, requests: { canary: 100, stable: 900 }, verdict };
}

export const results = ({ plan }: Rollout, verdict: Verdict): readonly CheckResult[] =>
  plan.checks.map(({ name }) => result(name, verdict));

export const drift = (weight: number | null): Drift => ({
  object: 'HTTPRoute hello/world',
  difference: weight === null ? 'a filter was added' : `weight is ${weight}`,
  weight,
});

export const fenced = { kind: 'fenced', message: 'the cluster is ahead' } as const;

export const abortBy = (actor: Actor, epoch = 0): Event => ({
  type: 'abort_requested',
  cause: { kind: 'person', actor, reason: null },
  epoch,
});

/** `stepping bake`, `waiting`: how tables name a phase. */
export function label(phase: Phase): string {
  return 'stage' in phase && phase.kind !== 'drifted' && phase.kind !== 'halted'
    ? `${phase.kind} ${phase.stage}`
    : phase.kind;
}

/** The answer of a cluster and a canary where all is well. */
export function goodAnswer(effect: Effect, rollout: Rollout, verdict: Verdict = 'pass'): Event {
  const { seq, epoch } = rollout;
  switch (effect.kind) {
    case 'claim':
      return { type: 'claimed', seq, journal: { 'HTTPRoute hello/world': '{}' } };
    case 'create canary':
      return { type: 'created', seq };
    case 'await canary':
      return { type: 'canary_ready', seq };
    case 'scale canary':
      return { type: 'scaled', seq };
    case 'set route':
    case 'end route':
      return { type: 'routed', seq };
    case 'confirm route':
      return { type: 'confirmed', seq, warning: null };
    case 'test canary':
      return { type: 'tested', seq, results: [{ test: 'smoke', passed: verdict === 'pass', detail: '' }] };
    case 'sample': {
      const measured = effect.checks.map((name) => result(name, verdict));
      return effect.judge ? { type: 'judged', seq, results: measured } : { type: 'sampled', epoch, results: measured };
    }
    case 'promote':
      return { type: 'template_set', seq };
    case 'await stable':
      return { type: 'stable_ready', seq };
    case 'clean up':
      return { type: 'cleaned', seq };
    case 'revert':
      return { type: 'reverted', seq };
    case 'raise epoch':
      return { type: 'refenced', seq };
    default:
      return effect satisfies never;
  }
}

export type Told = { readonly event: Event; readonly at: number };

/** The same events again, from nothing. */
export function replay([first, ...rest]: readonly Told[]): Rollout {
  if (first?.event.type !== 'requested') throw new Error('a recording begins with the request');
  return rest.reduce<Rollout>((rollout, { event, at }) => {
    const decided = decide(rollout, event, at);
    if (!decided.ok) throw new Error(`${event.type} was recorded and is refused now: ${decided.rejection.kind}`);
    return decided.rollout;
  }, begin(first.event, first.at).rollout);
}

type Travel = { readonly verdict?: Verdict; readonly approver?: Actor | null; readonly slack?: boolean };

/** One rollout in its own time: told events, or left to itself in a world where all is well. */
export function createStory(plan: Plan = aPlan()) {
  const requested = { type: 'requested', id: 'world-1', plan, epoch: 7 } as const;
  const begun = begin(requested, START);
  const events: Told[] = [{ event: requested, at: START }];
  let { rollout } = begun;
  let messages: readonly Outgoing[] = begun.messages;
  let now = START;

  function attempt(event: Event): Decision {
    const decided = decide(rollout, event, now);
    if (decided.ok) {
      ({ rollout, messages } = decided);
      events.push({ event, at: now });
    }
    return decided;
  }

  const story = {
    get rollout() {
      return rollout;
    },
    get label() {
      return label(rollout.phase);
    },
    get now() {
      return now;
    },
    get events(): readonly Told[] {
      return events;
    },
    /** Keys of the messages that the last event wants shown. */
    get said(): readonly string[] {
      return messages.map(({ key, note }) => (note ? note.kind : key));
    },
    get gate() {
      const gate = openGate(rollout) ?? rollout.gates.at(-1);
      if (!gate) throw new Error('no gate was opened yet');
      return gate;
    },
    pass(ms: number) {
      now += ms;
      return story;
    },
    tell(event: Event) {
      const decided = attempt(event);
      if (!decided.ok) throw new Error(`${event.type} at ${label(rollout.phase)}: ${decided.rejection.kind}`);
      return story;
    },
    /** What is said to who asks for it; nothing has changed then. */
    refusal(event: Event): Rejection | null {
      const decided = decide(rollout, event, now);
      return decided.ok ? null : decided.rejection;
    },
    approve(actor: Actor, reason: string | null = null) {
      return story.tell({ type: 'approved', gate: story.gate.id, actor, reason });
    },
    answer(verdict: Verdict = 'pass') {
      const wish = next(rollout, now);
      if (wish.kind === 'wait') throw new Error(`nothing to do at ${label(rollout.phase)}`);
      return story.tell(wish.kind === 'event' ? wish.event : goodAnswer(wish.effect, rollout, verdict));
    },
    /** Measures what is due after the next interval. */
    sample(verdict: Verdict) {
      now = Math.max(now, ...Object.values(rollout.guard?.next ?? {}));
      return story.tell({ type: 'sampled', epoch: rollout.epoch, results: results(rollout, verdict) });
    },
    /** Goes on, with people who approve and a Slack that delivers unless told otherwise, until the phase is reached. */
    until(
      wanted: string | ((at: Rollout) => boolean),
      { verdict = 'pass', approver = ann, slack = true }: Travel = {},
    ) {
      const reached = typeof wanted === 'string' ? () => label(rollout.phase) === wanted : () => wanted(rollout);
      for (let turns = 0; !reached(); turns++) {
        if (turns > 500 || isTerminal(rollout)) throw new Error(`${wanted} not reached from ${label(rollout.phase)}`);
        if (slack && rollout.messages.root === undefined)
          story.tell({ type: 'message_delivered', key: 'root', ts: '1' });
        else if (rollout.phase.kind === 'waiting' && approver) story.approve(approver, 'seen');
        else if (next(rollout, now).kind !== 'wait') story.answer(verdict);
        else now = nextLook(rollout) ?? now;
      }
      return story;
    },
  };
  return story;
}

export type Story = ReturnType<typeof createStory>;

/** One story for each phase and stage, in the order in which a rollout can meet them. */
export const AT: Readonly<Record<string, () => Story>> = {
  ...Object.fromEntries(
    [
      'queued',
      'starting create',
      'starting ready',
      'stepping scale',
      'stepping ready',
      'stepping route',
      'stepping confirm',
      'stepping test',
      'stepping bake',
      'stepping judge',
      'waiting',
      'promoting template',
      'promoting ready',
      'promoting route',
      'promoting confirm',
      'promoting cool',
      'promoting clean',
      'succeeded',
    ].map((phase) => [phase, () => createStory().until(phase)]),
  ),
  'starting announce': () => createStory().until('starting announce', { slack: false }),
  drifted: () => drifted(createStory().until('waiting'), 20),
  halted: () => halted(createStory().until('promoting ready')),
  ...Object.fromEntries(
    ['aborting route', 'aborting fence', 'aborting cool', 'aborting clean', 'aborted'].map((phase) => [
      phase,
      () => createStory().until('waiting').tell(abortBy(ann)).until(phase),
    ]),
  ),
};

export function drifted(story: Story, weight: number | null): Story {
  return story.tell({ type: 'drifted', seq: story.rollout.seq, drift: drift(weight) });
}

export function halted(story: Story): Story {
  return story.tell({ type: 'promotion_late', seq: story.rollout.seq, message: 'no pod is Ready' });
}
