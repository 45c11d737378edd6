import { describe, expect, it } from 'vitest';
import { decide, HOLD_LIMIT_MS, HOLD_MS } from '../../src/core/decide.ts';
import type { Event } from '../../src/core/event.ts';
import { gateDeadline } from '../../src/core/gate.ts';
import { STABLE_ROUTE } from '../../src/core/plan.ts';
import { isAbortable, openGate, type Rollout, wantedRoute } from '../../src/core/rollout.ts';
import { next } from '../../src/core/schedule.ts';
import {
  AT,
  abortBy,
  aCheck,
  ann,
  aPlan,
  aStep,
  bob,
  createStory,
  drift,
  drifted,
  fenced,
  gatePlan,
  HOUR,
  halted,
  label,
  MINUTE,
  person,
  previewStep,
  replay,
  requester,
  result,
  results,
  SECOND,
  START,
  type Story,
} from './support.ts';

/** Every event as it would come for this very state: right seq, epoch and gate, and late enough. */
const EVENTS: Readonly<Record<Event['type'], (rollout: Rollout) => Event>> = {
  requested: ({ id, plan, epoch }) => ({ type: 'requested', id, plan, epoch }),
  claimed: ({ seq }) => ({ type: 'claimed', seq, journal: {} }),
  created: ({ seq }) => ({ type: 'created', seq }),
  canary_ready: ({ seq }) => ({ type: 'canary_ready', seq }),
  start_failed: ({ seq }) => ({ type: 'start_failed', seq, message: 'ImagePullBackOff' }),
  scaled: ({ seq }) => ({ type: 'scaled', seq }),
  routed: ({ seq }) => ({ type: 'routed', seq }),
  confirmed: ({ seq }) => ({ type: 'confirmed', seq, warning: null }),
  tested: ({ seq }) => ({ type: 'tested', seq, results: [{ test: 'smoke', passed: true, detail: '' }] }),
  baked: ({ seq }) => ({ type: 'baked', seq }),
  judged: (rollout) => ({ type: 'judged', seq: rollout.seq, results: results(rollout, 'pass') }),
  sampled: (rollout) => ({ type: 'sampled', epoch: rollout.epoch, results: results(rollout, 'pass') }),
  drifted: ({ seq }) => ({ type: 'drifted', seq, drift: drift(20) }),
  write_refused: ({ seq }) => ({ type: 'write_refused', seq, message: 'denied by a webhook' }),
  lost: ({ seq }) => ({ type: 'lost', seq, message: 'Deployment hello/world-canary is gone' }),
  approved: (rollout) => ({ type: 'approved', gate: gateOf(rollout), actor: ann, reason: null }),
  held: (rollout) => ({ type: 'held', gate: gateOf(rollout), actor: ann }),
  gate_reminded: (rollout) => ({ type: 'gate_reminded', gate: gateOf(rollout) }),
  gate_expired: (rollout) => ({ type: 'gate_expired', gate: gateOf(rollout) }),
  reapplied: (rollout) => ({ type: 'reapplied', gate: gateOf(rollout), actor: ann }),
  accepted: (rollout) => ({ type: 'accepted', gate: gateOf(rollout), actor: ann }),
  retried: (rollout) => ({ type: 'retried', gate: gateOf(rollout), actor: ann }),
  kept: (rollout) => ({ type: 'kept', gate: gateOf(rollout), actor: ann }),
  template_set: ({ seq }) => ({ type: 'template_set', seq }),
  stable_ready: ({ seq }) => ({ type: 'stable_ready', seq }),
  promotion_late: ({ seq }) => ({ type: 'promotion_late', seq, message: 'no pod is Ready' }),
  cooled: ({ seq }) => ({ type: 'cooled', seq }),
  cool_down_cut: () => ({ type: 'cool_down_cut', actor: ann }),
  cleaned: ({ seq }) => ({ type: 'cleaned', seq }),
  disputed: () => ({ type: 'disputed', message: 'HTTPRoute hello/other still sends to world-v1' }),
  abort_requested: ({ epoch }) => abortBy(ann, epoch),
  overtaken: ({ epoch }) => ({ type: 'overtaken', epoch: epoch + 1 }),
  reverted: ({ seq }) => ({ type: 'reverted', seq }),
  refenced: ({ seq }) => ({ type: 'refenced', seq }),
  abort_stalled: ({ seq }) => ({ type: 'abort_stalled', seq, message: 'no answer' }),
  stalled: ({ seq }) => ({ type: 'stalled', seq, since: START, message: 'no answer' }),
  resumed: ({ seq }) => ({ type: 'resumed', seq }),
  message_delivered: () => ({ type: 'message_delivered', key: 'root', ts: '2' }),
};
const gateOf = (rollout: Rollout) => openGate(rollout)?.id ?? 'world-1.1';

const PHASES = Object.keys(AT);
const stays = (...phases: string[]) => Object.fromEntries(phases.map((phase) => [phase, phase]));
const moves = (to: string, ...phases: string[]) => Object.fromEntries(phases.map((phase) => [phase, to]));
const STEPPING = ['scale', 'ready', 'route', 'confirm', 'test', 'bake', 'judge'].map((stage) => `stepping ${stage}`);
const STARTING = ['starting create', 'starting ready', 'starting announce'];
const ABORTING = ['route', 'fence', 'cool', 'clean'].map((stage) => `aborting ${stage}`);
const RUNNING = PHASES.filter((phase) => !/^(aborting|aborted|succeeded)/.test(phase));
const PROMOTING = ['template', 'ready', 'route', 'confirm', 'cool', 'clean'].map((stage) => `promoting ${stage}`);

describe('each event moves only the phases that ask for it', () => {
  it.each<[Event['type'], Readonly<Record<string, string>>]>([
    ['requested', {}],
    ['claimed', moves('starting create', 'queued')],
    ['created', moves('starting ready', 'starting create')],
    ['canary_ready', { 'starting ready': 'stepping scale', 'stepping ready': 'stepping route' }],
    ['start_failed', moves('aborting route', 'queued', ...STARTING, ...STEPPING)],
    ['scaled', moves('stepping ready', 'stepping scale')],
    ['routed', { 'stepping route': 'stepping confirm', 'promoting route': 'promoting confirm' }],
    ['confirmed', { 'stepping confirm': 'stepping test', 'promoting confirm': 'promoting cool' }],
    ['tested', moves('stepping bake', 'stepping test')],
    ['baked', moves('stepping judge', 'stepping bake')],
    ['judged', moves('waiting', 'stepping judge')],
    [
      'sampled',
      stays(...STEPPING.slice(3), 'waiting', 'drifted', ...PROMOTING.slice(0, 3), 'halted', 'aborting route'),
    ],
    [
      'drifted',
      {
        ...moves('aborting route', 'queued', ...STARTING),
        ...moves('drifted', ...STEPPING, 'waiting', ...PROMOTING, 'halted'),
      },
    ],
    [
      'write_refused',
      { ...moves('aborting route', 'queued', ...STARTING, ...STEPPING, 'waiting'), ...moves('halted', ...PROMOTING) },
    ],
    [
      'lost',
      moves('aborting route', 'queued', ...STARTING, ...STEPPING, 'waiting', 'promoting template', 'promoting ready'),
    ],
    ['approved', moves('stepping scale', 'waiting')],
    ['held', stays('waiting')],
    ['gate_reminded', stays('waiting')],
    ['gate_expired', moves('aborting route', 'waiting')],
    ['reapplied', moves('stepping scale', 'drifted')],
    ['accepted', moves('stepping scale', 'drifted')],
    ['retried', moves('promoting template', 'halted')],
    ['kept', stays('halted')],
    ['template_set', moves('promoting ready', 'promoting template')],
    ['stable_ready', moves('promoting route', 'promoting ready')],
    ['promotion_late', moves('halted', 'promoting ready')],
    ['cooled', { 'promoting cool': 'promoting clean', 'aborting cool': 'aborting clean' }],
    ['cool_down_cut', moves('promoting clean', 'promoting cool')],
    ['cleaned', { 'promoting clean': 'succeeded', 'aborting clean': 'aborted' }],
    ['disputed', stays('succeeded')],
    [
      'abort_requested',
      moves(
        'aborting route',
        'queued',
        ...STARTING,
        ...STEPPING,
        'waiting',
        'drifted',
        ...PROMOTING.slice(0, 2),
        'halted',
      ),
    ],
    ['overtaken', stays(...PROMOTING.slice(2))],
    ['reverted', moves('aborting fence', 'aborting route')],
    ['refenced', moves('aborting cool', 'aborting fence')],
    ['abort_stalled', stays(...ABORTING)],
    ['stalled', stays(...RUNNING)],
    // What did not stand still does not go on.
    ['resumed', {}],
    ['message_delivered', { ...stays(...PHASES), 'starting announce': 'stepping scale' }],
  ])('%s', (type, expected) => {
    const taken = PHASES.flatMap((phase) => {
      const story = AT[phase]?.();
      if (!story) throw new Error(`no story for ${phase}`);
      if (openGate(story.rollout)) story.tell({ type: 'message_delivered', key: 'gate:1', ts: '2' });
      const before = structuredClone(story.rollout);
      const decided = decide(story.rollout, EVENTS[type](story.rollout), story.now + 24 * HOUR);
      expect(story.rollout).toEqual(before);
      return decided.ok ? [[phase, label(decided.rollout.phase)]] : [];
    });
    expect(Object.fromEntries(taken)).toEqual(expected);
  });

  it('has a row for every event', () => {
    expect(Object.keys(EVENTS)).toHaveLength(38);
  });
});

describe('answers', () => {
  const answers = Object.entries(EVENTS).filter(([, make]) => 'seq' in make(createStory().rollout));

  it.each(answers)('%s is refused when it answers an older wish', (_, make) => {
    for (const phase of PHASES.filter((name) => name !== 'succeeded' && name !== 'aborted')) {
      const story = AT[phase]?.() ?? createStory();
      for (const seq of [story.rollout.seq - 1, story.rollout.seq + 1]) {
        expect(story.refusal({ ...make(story.rollout), seq } as Event), phase).toEqual({ kind: 'stale' });
      }
    }
  });

  it('a repeated answer is refused, since the first one raised the seq', () => {
    const story = createStory().until('stepping route');
    const routed: Event = { type: 'routed', seq: story.rollout.seq };
    story.tell(routed);
    expect(story.refusal(routed)).toEqual({ kind: 'stale' });
    expect(story.rollout.routeSeq).toBe(routed.seq);
  });

  it('a sample of before an abort is refused by its epoch', () => {
    const story = createStory().until('waiting');
    const late: Event = { type: 'sampled', epoch: story.rollout.epoch, results: results(story.rollout, 'pass') };
    story.tell(abortBy(ann)).pass(HOUR);
    expect(story.refusal(late)).toEqual({ kind: 'stale' });
  });

  it('each recorded event counts one version, a changed wish takes it as its seq, talk does not', () => {
    const story = createStory().until('waiting');
    const { version, seq } = story.rollout;
    story.sample('pass').tell({ type: 'held', gate: story.gate.id, actor: ann });
    expect(story.rollout).toMatchObject({ version: version + 2, seq });
    story.approve(ann);
    expect(story.rollout).toMatchObject({ version: version + 3, seq: version + 3 });
  });

  it('an ended rollout takes only news of its own messages, and that its end is in dispute', () => {
    for (const end of ['succeeded', 'aborted']) {
      const story = AT[end]?.() ?? createStory();
      for (const [type, make] of Object.entries(EVENTS)) {
        if (type !== 'message_delivered' && type !== 'disputed')
          expect(story.refusal(make(story.rollout)), type).toEqual({ kind: 'ended' });
      }
      story.tell({ type: 'message_delivered', key: 'result', ts: '9' });
      expect(story.rollout.messages.result).toBe('9');
    }
  });

  describe('a promotion whose routes do not show that the version before has no traffic', () => {
    const message = 'HTTPRoute hello/other still sends to world-v1';
    const told = [{ key: 'result' }, { key: 'root' }, { note: { kind: 'disputed', message } }];

    it('says so under a key that no other record of this rollout gives, though both count alike', () => {
      const { rollout, now } = createStory().until('succeeded');
      const keysAt = (at: number) => {
        const decided = decide(rollout, { type: 'disputed', message }, at);
        return decided.ok ? decided.messages.map(({ key }) => key) : [];
      };
      expect(keysAt(now)).toEqual(['result', 'root', expect.stringMatching(/^note:/)]);
      expect(keysAt(now + HOUR)[2]).not.toBe(keysAt(now)[2]);
    });

    it('says so when it ends', () => {
      const story = createStory().until('promoting clean');
      const decided = decide(story.rollout, { type: 'cleaned', seq: story.rollout.seq, disputed: message }, story.now);
      expect(decided).toMatchObject({ ok: true, messages: told });
      expect(decided.ok && decided.rollout.phase).toEqual({ kind: 'succeeded', since: story.now, disputed: message });
    });

    it('says so once when it is found out later, and keeps the time of its end', () => {
      const story = createStory().until('succeeded');
      const { since } = story.rollout.phase;
      const event: Event = { type: 'disputed', message };
      expect(decide(story.pass(HOUR).rollout, event, story.now)).toMatchObject({ ok: true, messages: told });
      story.tell(event);
      expect(story.rollout.phase).toEqual({ kind: 'succeeded', since, disputed: message });
      expect(story.refusal(event)).toEqual({ kind: 'stale' });
    });

    it('is nothing of an abort: that has words of its own', () => {
      expect(AT.aborted?.().refusal({ type: 'disputed', message })).toEqual({ kind: 'stale' });
    });
  });
});

describe('the first step', () => {
  it('waits for the delivery of the root message', () => {
    const story = createStory().until('starting announce', { slack: false });
    expect(next(story.rollout, story.now + 24 * HOUR)).toEqual({ kind: 'wait' });
    story.tell({ type: 'message_delivered', key: 'gate:1', ts: '1' });
    expect(story.label).toBe('starting announce');
    story.tell({ type: 'message_delivered', key: 'root', ts: '1' });
    expect(story.label).toBe('stepping scale');
    expect(story.rollout.messages.root).toBe('1');
  });

  it('a change from outside before any traffic moved ends the start with its words', () => {
    const story = drifted(createStory().until('starting ready'), 20);
    expect(story.rollout.phase).toMatchObject({
      kind: 'aborting',
      from: 'before any traffic moved',
      cause: { kind: 'not started', message: 'HTTPRoute hello/world: weight is 20' },
    });
  });
});

describe('evidence of a step', () => {
  const ungated = aPlan({ steps: [aStep(10, { gate: null }), aStep(100)] });
  const judging = (plan = ungated) => createStory(plan).until('stepping judge');

  it.each([
    ['goes on when every check passes', 'pass', 'stepping scale'],
    ['asks people when a check fails', 'fail', 'waiting'],
    ['asks people when there is no data', 'no data', 'waiting'],
  ] as const)('a step without a gate %s', (_, verdict, reached) => {
    const story = judging().answer(verdict);
    expect(story.label).toBe(reached);
    expect(story.rollout.step).toBe(reached === 'waiting' ? 0 : 1);
  });

  it('asks people when an answer leaves a check out, whatever it said before', () => {
    const plan = aPlan({ ...ungated, checks: [aCheck('success rate'), aCheck('latency')] });
    for (const answer of [[], [result('latency', 'pass')], [result('unheard of', 'pass')]]) {
      const story = judging(plan);
      story.tell({ type: 'judged', seq: story.rollout.seq, results: answer });
      expect(story.label).toBe('waiting');
      expect(story.gate.results.map(({ check }) => check)).toEqual(['success rate', 'latency']);
      expect(story.gate.results[0]?.verdict).toBe('no data');
    }
  });

  it.each([
    ['a test fails', [{ test: 'smoke', passed: false, detail: '503' }]],
    ['no pod was there to be tested', []],
  ])('asks people when %s', (_, tests) => {
    const story = createStory(aPlan({ steps: [aStep(10, { gate: null, test: true }), aStep(100)] }));
    story.until('stepping test').tell({ type: 'tested', seq: story.rollout.seq, results: tests });
    story.until('waiting', { approver: null });
    expect(story.gate.tests).toMatchObject([{ test: 'smoke', passed: false }]);
    expect(story.refusal({ type: 'approved', gate: story.gate.id, actor: ann, reason: null })).toEqual({
      kind: 'needs reason',
    });
  });

  it('measures nothing before canary traffic flows, and says so at the gate', () => {
    const story = createStory(aPlan({ steps: [previewStep, aStep(100)] })).until('waiting');
    expect(story.rollout.guard).toBeNull();
    expect(story.gate).toMatchObject({ measured: false, results: [], tests: [{ test: 'smoke', passed: true }] });
    expect(story.said).toEqual(['gate:1', 'root']);
    story.approve(ann);
    expect(story.label).toBe('stepping scale');
  });

  it('watches from the first mirrored request', () => {
    const mirror = aStep(0, { route: { weight: 0, preview: null, mirror: 20 } });
    const story = createStory(aPlan({ steps: [mirror, aStep(100)] })).until('stepping confirm');
    expect(story.rollout.guard?.since).toBe(story.now);
  });

  it('watches from the first request of matched users, where the step watches the checks for them', () => {
    const users = aStep(0, { route: previewStep.route });
    const story = createStory(aPlan({ steps: [users, aStep(100)] })).until('stepping confirm');
    expect(story.rollout.guard?.since).toBe(story.now);
    story.until('waiting', { approver: null });
    expect(story.gate).toMatchObject({ measured: true, results: [{ check: 'success rate', verdict: 'pass' }] });
  });

  it('keeps the guard from step to step and the planned weight of each', () => {
    const story = createStory().until('stepping confirm');
    const since = story.rollout.guard?.since;
    story.until(({ step, phase }) => step === 2 && phase.kind === 'waiting');
    expect(story.rollout).toMatchObject({ guard: { since }, route: { weight: 100 } });
  });

  it('says in the thread that no controller confirmed the route', () => {
    const story = createStory().until('stepping confirm');
    story.tell({ type: 'confirmed', seq: story.rollout.seq, warning: 'nobody answered' });
    expect(story.said).toEqual(['unconfirmed']);
    expect(story.label).toBe('stepping test');
  });
});

describe('failing checks', () => {
  it.each([
    'stepping confirm',
    'stepping test',
    'stepping bake',
    'waiting',
    'drifted',
    'promoting template',
    'promoting ready',
  ])('two failing samples in a row abort by themselves at %s', (phase) => {
    const story = AT[phase]?.() ?? createStory();
    const { epoch } = story.rollout;
    story.sample('fail');
    expect(story.label).toBe(phase);
    story.sample('fail');
    expect(story.rollout.phase).toMatchObject({
      kind: 'aborting',
      stage: 'route',
      cause: { kind: 'check', check: 'success rate', results: [{ verdict: 'fail' }] },
    });
    expect(story.rollout.epoch).toBe(epoch + 1);
    expect(openGate(story.rollout)).toBeNull();
  });

  it('abort an open gate whatever was approved before', () => {
    const plan = aPlan({ steps: [aStep(10, { gate: { ...gatePlan, approvals: 2 } }), aStep(100)] });
    const story = createStory(plan).until('waiting').approve(ann).sample('fail').sample('fail');
    expect(story.gate.decision).toMatchObject({ kind: 'aborted', actor: { kind: 'system' } });
    expect(story.said).toEqual(['gate:1', 'root']);
    expect(story.refusal({ type: 'approved', gate: 'world-1.1', actor: bob, reason: 'x' })).toMatchObject({
      kind: 'gate closed',
      gate: { decision: { kind: 'aborted' } },
    });
  });

  it('seen again by the judgement just after a sample is not a second failure', () => {
    const story = createStory().until('stepping bake').sample('fail');
    const { seq } = story.tell({ type: 'baked', seq: story.rollout.seq }).rollout;
    story.tell({ type: 'judged', seq, results: results(story.rollout, 'fail') });
    expect(story.label).toBe('waiting');
    expect(story.gate.results).toMatchObject([{ verdict: 'fail' }]);
    expect(story.sample('fail').label).toBe('aborting route');
  });

  it('move nothing while halted: a person decides', () => {
    const story = AT.halted?.() ?? createStory();
    expect(story.sample('fail').sample('fail').sample('fail').label).toBe('halted');
  });

  it('abort at the judgement too', () => {
    const story = createStory().until('stepping judge', { verdict: 'pass' });
    const strict = createStory(aPlan({ checks: [aCheck('success rate', { fails: 1 })] })).until('stepping judge');
    expect(story.answer('fail').label).toBe('waiting');
    expect(strict.answer('fail').label).toBe('aborting route');
  });

  it.each([
    ['a pass between them resets the count', ['fail', 'pass', 'fail'], 'waiting'],
    ['no data between them does not reset', ['fail', 'no data', 'fail'], 'aborting route'],
    ['no data alone never counts', ['no data', 'no data', 'no data', 'no data'], 'waiting'],
    ['no data never takes a failure back', ['fail', 'no data', 'no data'], 'waiting'],
  ] as const)('%s', (_, verdicts, reached) => {
    const story = createStory().until('waiting');
    for (const verdict of verdicts) story.sample(verdict);
    expect(story.label).toBe(reached);
  });

  it('are counted for each check by itself', () => {
    const plan = aPlan({ checks: [aCheck('a'), aCheck('b', { intervalMs: 15 * SECOND })] });
    const story = createStory(plan)
      .until('waiting')
      .pass(15 * SECOND);
    const told = (a: 'pass' | 'fail', b: 'pass' | 'fail') =>
      story
        .tell({ type: 'sampled', epoch: story.rollout.epoch, results: [result('a', a), result('b', b)] })
        .pass(15 * SECOND);
    told('fail', 'pass');
    told('pass', 'fail');
    told('fail', 'pass');
    expect(story.label).toBe('waiting');
  });

  it('one window measured by two replicas counts once', () => {
    const story = createStory().until('waiting').sample('fail');
    const twin: Event = { type: 'sampled', epoch: story.rollout.epoch, results: results(story.rollout, 'fail') };
    expect(story.refusal(twin)).toEqual({ kind: 'stale' });
    story.pass(14 * SECOND);
    expect(story.refusal(twin)).toEqual({ kind: 'stale' });
  });

  it('edit the gate only when a verdict changes', () => {
    const story = createStory().until('waiting');
    expect(story.sample('pass').said).toEqual([]);
    expect(story.sample('fail').said).toEqual(['gate:1']);
    expect(story.gate.results).toMatchObject([{ verdict: 'fail' }]);
    expect(story.sample('pass').said).toEqual(['gate:1']);
  });
});

describe('approval', () => {
  const approval = (story: Story, over: Partial<Extract<Event, { type: 'approved' }>> = {}): Event => ({
    type: 'approved',
    gate: story.gate.id,
    actor: ann,
    reason: null,
    ...over,
  });
  const pair = aPlan({ steps: [aStep(10, { gate: { ...gatePlan, approvals: 2 } }), aStep(100)] });

  it('the requester cannot approve with four eyes', () => {
    const story = createStory().until('waiting');
    expect(story.refusal(approval(story, { actor: requester }))).toEqual({ kind: 'four eyes' });
    expect(story.refusal(approval(story, { actor: { ...requester, name: 'renamed' } }))).toEqual({ kind: 'four eyes' });
  });

  it('the requester may approve where four eyes are off', () => {
    const plan = aPlan();
    const story = createStory({ ...plan, access: { ...plan.access, fourEyes: false } }).until('waiting');
    expect(story.approve(requester).label).toBe('stepping scale');
  });

  it('a quorum is of distinct people', () => {
    const story = createStory(pair).until('waiting').approve(ann);
    expect(story.label).toBe('waiting');
    expect(story.said).toEqual(['gate:1', 'root']);
    const { at } = story.gate.approvals[0] ?? { at: -1 };
    expect(story.pass(SECOND).refusal(approval(story))).toEqual({ kind: 'already approved', at });
    expect(story.refusal(approval(story, { actor: requester }))).toEqual({ kind: 'four eyes' });
    story.approve(bob);
    expect(story.rollout.gates[0]).toMatchObject({
      approvals: [{ actor: ann }, { actor: bob }],
      decision: { kind: 'approved', actor: bob, at: story.now },
    });
    expect(story.rollout.step).toBe(1);
  });

  it.each(['fail', 'no data'] as const)('needs a reason with %s', (verdict) => {
    const story = createStory(aPlan({ checks: [aCheck('success rate', { fails: 9 })] }))
      .until('waiting')
      .sample(verdict);
    for (const reason of [null, '', ' \n'])
      expect(story.refusal(approval(story, { reason }))).toEqual({ kind: 'needs reason' });
    story.approve(ann, 'known flake');
    expect(story.gate).toMatchObject({ approvals: [{ reason: 'known flake' }], results: [{ verdict }] });
    expect(story.rollout.step).toBe(1);
  });

  it('a double click gets the decision that was made', () => {
    const story = createStory().until('waiting');
    const click = approval(story);
    story.tell(click);
    expect(story.refusal(click)).toMatchObject({
      kind: 'gate closed',
      gate: { decision: { kind: 'approved', actor: ann } },
    });
  });

  it('the button of an older gate never approves a later one', () => {
    const story = createStory().until('waiting');
    const old = approval(story);
    story.approve(ann).until('waiting', { approver: null });
    expect(story.refusal(old)).toMatchObject({ kind: 'gate closed', gate: { id: 'world-1.1' } });
    expect(story.refusal({ ...old, gate: 'world-1.9' } as Event)).toEqual({ kind: 'gate closed', gate: null });
    expect(story.refusal({ ...old, gate: 'hello-1.2' } as Event)).toEqual({ kind: 'gate closed', gate: null });
    expect(story.gate.approvals).toEqual([]);
  });

  it('the gate is edited before anything else is said', () => {
    expect(createStory().until('waiting').approve(ann).said).toEqual(['gate:1', 'root']);
    const last = createStory().until(({ step, phase }) => step === 2 && phase.kind === 'waiting');
    expect(last.approve(ann).said).toEqual(['gate:3', 'root']);
    expect(last.label).toBe('promoting template');
  });
});

describe('the clock of a gate', () => {
  const expire = (story: Story): Event => ({ type: 'gate_expired', gate: story.gate.id });
  const delivered: Event = { type: 'message_delivered', key: 'gate:1', ts: '5' };

  it('starts with the delivery of its message', () => {
    const story = createStory().until('waiting').pass(MINUTE).tell(delivered);
    expect(story.gate.deliveredAt).toBe(story.now);
    expect(gateDeadline(story.gate)).toBe(story.now + 4 * HOUR);
    story.pass(MINUTE).tell({ ...delivered, ts: '6' });
    expect(story.gate.deliveredAt).toBe(story.now - MINUTE);
  });

  it('starts one hour after the gate was made at the latest', () => {
    const story = createStory().until('waiting');
    const latest = story.now + HOUR + 4 * HOUR;
    expect(gateDeadline(story.gate)).toBe(latest);
    story.pass(3 * HOUR).tell(delivered);
    expect(gateDeadline(story.gate)).toBe(latest);
  });

  it('aborts when it has run out, not before', () => {
    const story = createStory().until('waiting').tell(delivered);
    expect(story.pass(4 * HOUR - 1).refusal(expire(story))).toEqual({ kind: 'stale' });
    story.pass(1).tell(expire(story));
    expect(story.gate.decision).toEqual({ kind: 'expired', actor: { kind: 'system' }, at: story.now });
    expect(story.rollout.phase).toMatchObject({ kind: 'aborting', cause: { kind: 'expired', gate: 'world-1.1' } });
    expect(story.said).toEqual(['gate:1', 'root']);
  });

  it('an expiry that was seen before somebody pressed Hold is refused', () => {
    const story = createStory()
      .until('waiting')
      .tell(delivered)
      .pass(4 * HOUR);
    story.tell({ type: 'held', gate: story.gate.id, actor: ann });
    expect(story.refusal(expire(story))).toEqual({ kind: 'stale' });
  });

  it('never aborts a gate that holds', () => {
    const hold = aPlan({ steps: [aStep(10, { gate: { ...gatePlan, onTimeout: 'hold' } }), aStep(100)] });
    const story = createStory(hold)
      .until('waiting')
      .tell(delivered)
      .pass(48 * HOUR);
    expect(story.refusal(expire(story))).toEqual({ kind: 'stale' });
    expect(story.approve(ann).rollout.step).toBe(1);
  });

  it('is moved by 15 minutes for each press of Hold, by 4 hours in all', () => {
    const story = createStory().until('waiting').tell(delivered);
    const before = gateDeadline(story.gate) ?? 0;
    for (let presses = 1; presses <= HOLD_LIMIT_MS / HOLD_MS; presses++) {
      story.tell({ type: 'held', gate: story.gate.id, actor: ann });
      expect(gateDeadline(story.gate)).toBe(before + presses * 15 * MINUTE);
    }
    expect(story.refusal({ type: 'held', gate: story.gate.id, actor: bob })).toEqual({ kind: 'hold limit' });
    expect(story.gate.heldMs).toBe(4 * HOUR);
  });

  it('one reminder seen by two replicas is given once', () => {
    const story = createStory()
      .until('waiting')
      .tell(delivered)
      .pass(2 * HOUR);
    const reminded: Event = { type: 'gate_reminded', gate: story.gate.id };
    expect(story.tell(reminded).said).toEqual(['gate:1', 'reminder']);
    expect(story.refusal(reminded)).toEqual({ kind: 'stale' });
    story.pass(1.2 * HOUR).tell(reminded);
    expect(story.gate.reminders).toBe(2);
    expect(story.pass(HOUR).refusal(reminded)).toEqual({ kind: 'stale' });
  });
});

describe('a change from outside', () => {
  const accept = (story: Story, actor = ann): Event => ({ type: 'accepted', gate: story.gate.id, actor });
  const reapply = (story: Story): Event => ({ type: 'reapplied', gate: story.gate.id, actor: ann });
  const atSecondGate = () => createStory().until(({ step, phase }) => step === 1 && phase.kind === 'waiting');

  it('stops at a gate of its own and closes the open one', () => {
    const story = drifted(atSecondGate(), 20);
    expect(story.said).toEqual(['gate:2', 'gate:3', 'root']);
    expect(story.rollout.gates).toMatchObject([
      { decision: { kind: 'approved' } },
      { decision: { kind: 'superseded' } },
      { kind: 'drift', decision: null, results: [] },
    ]);
    expect(next(story.rollout, story.now)).toEqual({ kind: 'wait' });
    expect(gateDeadline(story.gate)).toBeNull();
    expect(story.refusal({ type: 'approved', gate: story.gate.id, actor: ann, reason: 'x' })).toMatchObject({
      kind: 'gate closed',
    });
  });

  it('re-applied, the step begins again with a Ready canary and overwrites', () => {
    const story = drifted(atSecondGate(), 20);
    story.tell(reapply(story));
    expect(story.gate.decision).toMatchObject({ kind: 're-applied', actor: ann });
    expect(next(story.rollout, story.now)).toMatchObject({ effect: { kind: 'scale canary', weight: 50 } });
    story.until('stepping route');
    expect(next(story.rollout, story.now)).toMatchObject({
      effect: { kind: 'set route', route: { weight: 50 }, overwrite: true },
    });
    story.until('waiting', { approver: null });
    expect(story.gate).toMatchObject({ id: 'world-1.4', approvals: [] });
    expect(story.rollout.step).toBe(1);
  });

  it('overwrites once: the next step meets the next change', () => {
    const story = drifted(atSecondGate(), 20);
    story.tell(reapply(story)).until(({ step, phase }) => step === 2 && label(phase) === 'stepping route');
    expect(next(story.rollout, story.now)).toMatchObject({ effect: { kind: 'set route', overwrite: false } });
  });

  it.each([
    ['the weight of the step before', 10, true],
    ['a weight between', 60, true],
    ['the weight of the step after', 100, true],
    ['less than the step before', 9, false],
    ['no weight at all', null, false],
  ])('may be accepted with %s: %s', (_, weight, acceptable) => {
    const story = drifted(atSecondGate(), weight);
    if (!acceptable) {
      expect(story.refusal(accept(story))).toEqual({ kind: 'not acceptable', low: 10, high: 100, found: weight });
      return;
    }
    story.tell(accept(story));
    expect(wantedRoute(story.rollout).weight).toBe(weight);
    expect(story.gate.decision).toMatchObject({ kind: 'accepted', actor: ann });
    story.until('waiting', { approver: null });
    expect(story.rollout).toMatchObject({ step: 1, route: { weight } });
    story.approve(ann).until('stepping route');
    expect(wantedRoute(story.rollout).weight).toBe(100);
  });

  it('is not accepted by the requester, who could have made it', () => {
    const story = drifted(atSecondGate(), 60);
    expect(story.refusal(accept(story, requester))).toEqual({ kind: 'four eyes' });
  });

  it('at the last step is accepted only with all traffic', () => {
    const last = createStory().until(({ step, phase }) => step === 2 && label(phase) === 'waiting');
    expect(drifted(last, 60).refusal(accept(last))).toMatchObject({ kind: 'not acceptable', found: 60 });
  });

  it('at the first step accepts from 0 to the second', () => {
    const story = drifted(createStory().until('waiting'), 51);
    expect(story.refusal(accept(story))).toEqual({ kind: 'not acceptable', low: 0, high: 50, found: 51 });
  });

  it('is asked about again when the cluster meets it in a write', () => {
    const story = createStory().until(({ step, phase }) => step === 1 && label(phase) === 'stepping route');
    drifted(story, 30);
    expect(story.rollout.route.weight).toBe(10);
    story.tell(accept(story)).until('waiting', { approver: null });
    expect(story.rollout.route.weight).toBe(30);
  });

  it.each([
    ['promoting template', 'promoting template', { kind: 'promote', overwrite: true }],
    ['promoting ready', 'promoting template', { kind: 'promote', overwrite: true }],
    ['promoting route', 'promoting route', { kind: 'end route', overwrite: true }],
  ])('at %s can only be re-applied, which goes on at %s', (phase, resumed, effect) => {
    const story = drifted(createStory().until(phase), 50);
    expect(story.refusal(accept(story))).toMatchObject({ kind: 'not acceptable', found: 50 });
    story.tell(reapply(story));
    expect(story.label).toBe(resumed);
    expect(next(story.rollout, story.now)).toEqual({ kind: 'effect', effect });
  });

  it.each(['waiting', 'promoting template'])(
    'of stable, met at %s: an abort leaves it as it is, and says so',
    (phase) => {
      const story = createStory().until(phase);
      const foreign = { object: 'Deployment hello/world', difference: 'its image was changed to v9', weight: null };
      story.tell({ type: 'drifted', seq: story.rollout.seq, drift: foreign });
      story.tell(abortBy(ann));
      expect(story.rollout.phase).toMatchObject({ kind: 'aborting', demote: false, foreign });
      story.until('aborted');
      expect(story.rollout.phase).toMatchObject({ kind: 'aborted', foreign });
    },
  );

  it('while halted still belongs to the promotion: an abort gives stable its template back', () => {
    const story = drifted(halted(createStory().until('promoting ready')), 50);
    expect(story.rollout.gates.at(-2)).toMatchObject({ kind: 'halted', decision: { kind: 'superseded' } });
    story.tell(abortBy(ann));
    expect(story.rollout.phase).toMatchObject({ kind: 'aborting', demote: true });
  });
});

describe('promotion', () => {
  it('changes stable, then gives the route back, cools down and cleans up', () => {
    const story = createStory().until('promoting template');
    const seen: string[] = [];
    while (story.label !== 'succeeded') {
      const wish = next(story.rollout, story.now);
      if (wish.kind === 'effect') seen.push(wish.effect.kind);
      if (wish.kind === 'wait' || (wish.kind === 'effect' && wish.effect.kind === 'sample')) story.pass(SECOND);
      if (wish.kind !== 'wait') story.answer();
    }
    expect(seen.filter((kind) => kind !== 'sample')).toEqual([
      'promote',
      'await stable',
      'end route',
      'confirm route',
      'clean up',
    ]);
    expect(story.rollout).toMatchObject({ route: STABLE_ROUTE, guard: null });
  });

  it('tells the result before the root is edited', () => {
    expect(createStory().until('promoting cool').said).toEqual(['result', 'root']);
  });

  it('can be cut short in its cool-down only', () => {
    const cut: Event = { type: 'cool_down_cut', actor: ann };
    expect(createStory().until('promoting cool').tell(cut).label).toBe('promoting clean');
  });

  it('remembers that it was cut short for the version before', () => {
    const { rollout } = createStory()
      .until('promoting cool')
      .tell({ type: 'cool_down_cut', actor: ann, recalled: true });
    expect(rollout.phase).toMatchObject({ kind: 'promoting', stage: 'clean', recalled: true });
  });

  it('that is late halts: nothing moves without a person', () => {
    const story = halted(createStory().until('promoting ready'));
    expect(story.rollout.phase).toMatchObject({ kind: 'halted', why: 'no pod is Ready', kept: false });
    expect(next({ ...story.rollout, guard: null }, story.now + 48 * HOUR)).toEqual({ kind: 'wait' });
    expect(story.said).toEqual(['gate:4', 'root']);
  });

  it('halted can be tried again, kept or aborted', () => {
    const again = AT.halted?.() ?? createStory();
    again.tell({ type: 'retried', gate: again.gate.id, actor: ann });
    expect(again.gate.decision).toMatchObject({ kind: 'retried', actor: ann });
    expect(again.until('succeeded').rollout.route).toEqual(STABLE_ROUTE);

    const kept = AT.halted?.() ?? createStory();
    kept.tell({ type: 'kept', gate: kept.gate.id, actor: ann });
    expect(kept.rollout.phase).toMatchObject({ kind: 'halted', kept: true });
    expect(openGate(kept.rollout)).not.toBeNull();
    expect(kept.tell({ type: 'retried', gate: kept.gate.id, actor: ann }).label).toBe('promoting template');

    const ended = AT.halted?.() ?? createStory();
    ended.tell(abortBy(ann));
    expect(ended.rollout.phase).toMatchObject({ kind: 'aborting', demote: true, from: 'during the promotion' });
    expect(ended.until('aborted').rollout.route).toEqual(STABLE_ROUTE);
  });

  it('refused by the cluster after stable serves the new version is tried again where it stopped', () => {
    const story = createStory().until('promoting route');
    story.tell({ type: 'write_refused', seq: story.rollout.seq, message: 'denied' });
    expect(story.label).toBe('halted');
    expect(story.refusal(abortBy(ann))).toEqual({ kind: 'already promoted' });
    expect(story.tell({ type: 'retried', gate: story.gate.id, actor: ann }).label).toBe('promoting route');
  });
});

describe('abort', () => {
  it.each(PHASES)('at %s raises the epoch or is refused with the reason', (phase) => {
    const story = AT[phase]?.() ?? createStory();
    const { epoch } = story.rollout;
    const refusal = story.refusal(abortBy(ann));
    if (phase === 'succeeded' || phase === 'aborted') expect(refusal).toEqual({ kind: 'ended' });
    else if (phase.startsWith('aborting')) expect(refusal).toEqual({ kind: 'already aborting' });
    else if (/^promoting (route|confirm|cool|clean)/.test(phase)) expect(refusal).toEqual({ kind: 'already promoted' });
    else {
      story.tell(abortBy(ann));
      expect(story.rollout.epoch).toBe(epoch + 1);
      expect(story.rollout.phase).toMatchObject({ kind: 'aborting', stage: 'route', startedAt: story.now });
      expect(next(story.rollout, story.now)).toMatchObject({ effect: { kind: 'revert' } });
      return;
    }
    expect(isAbortable(story.rollout)).toBe(false);
  });

  it('takes the epoch that was raised when it was recorded', () => {
    expect(createStory().until('waiting').tell(abortBy(ann, 40)).rollout.epoch).toBe(40);
    expect(createStory().until('waiting').tell(abortBy(ann, 3)).rollout.epoch).toBe(8);
  });

  it('beats an approval that comes after it', () => {
    const story = createStory().until('waiting');
    const approval: Event = { type: 'approved', gate: story.gate.id, actor: bob, reason: null };
    story.tell(abortBy(ann));
    expect(story.said).toEqual(['gate:1', 'root']);
    expect(story.refusal(approval)).toMatchObject({
      kind: 'gate closed',
      gate: { decision: { kind: 'aborted', actor: ann } },
    });
  });

  it('beats an approval that came before it, and the write that followed', () => {
    const story = createStory().until('waiting').approve(bob).until('stepping route');
    const routed: Event = { type: 'routed', seq: story.rollout.seq };
    story.tell(abortBy(ann));
    expect(story.refusal(routed)).toEqual({ kind: 'stale' });
    expect(story.rollout.gates[0]?.decision).toMatchObject({ kind: 'approved', actor: bob });
    expect(story.until('aborted').rollout.route).toEqual(STABLE_ROUTE);
  });

  it('goes back, fences, tells, cools down and cleans up', () => {
    const story = createStory().until('waiting').tell(abortBy(ann));
    const told = ['fence', 'cool', 'clean'].map((stage) => story.until(`aborting ${stage}`).said);
    expect(told).toEqual([[], ['result', 'root'], []]);
    expect(story.until('aborted').rollout).toMatchObject({ guard: null, route: STABLE_ROUTE });
    expect(story.rollout.phase).toMatchObject({ cause: { kind: 'person', actor: ann }, from: 'at the gate of 10%' });
  });

  it.each([
    ['queued', false],
    ['waiting', false],
    ['stepping route', false],
    ['promoting template', true],
    ['promoting ready', true],
    ['halted', true],
  ])('at %s gives stable its old template back: %s', (phase, demote) => {
    const story = AT[phase]?.() ?? createStory();
    expect(story.tell(abortBy(ann)).rollout.phase).toMatchObject({ demote });
  });

  it('without records of its own assumes a promotion and an unknown weight', () => {
    const story = createStory().tell({ type: 'abort_requested', cause: fenced, epoch: 20 });
    expect(story.rollout.phase).toMatchObject({ demote: true, from: 'at an unknown weight' });
  });

  it('begins once more above an epoch that the cluster has and Redis had not', () => {
    const story = createStory().until('waiting').tell(abortBy(ann)).until('aborting cool');
    const { startedAt } = story.rollout.phase.kind === 'aborting' ? story.rollout.phase : { startedAt: null };
    story.pass(SECOND).tell({ type: 'abort_requested', cause: fenced, epoch: 12 });
    expect(story.rollout).toMatchObject({
      epoch: 12,
      phase: { kind: 'aborting', stage: 'route', startedAt, cause: { kind: 'person' }, demote: true },
    });
    expect(story.until('aborted').rollout.epoch).toBe(12);
  });

  it('that stalls says so once and stays the same write', () => {
    const story = createStory().until('waiting').tell(abortBy(ann));
    const { seq } = story.rollout;
    story.tell({ type: 'abort_stalled', seq, message: 'no answer' });
    expect(story.said).toEqual(['abort stalled', 'root']);
    expect(story.refusal({ type: 'abort_stalled', seq, message: 'no answer' })).toEqual({ kind: 'stale' });
    expect(story.tell({ type: 'reverted', seq }).label).toBe('aborting fence');
  });

  it('that rolls back slowly and then gets stuck says both, once each', () => {
    const story = createStory().until('waiting').tell(abortBy(ann));
    const { seq } = story.rollout;
    const rolling: Event = { type: 'abort_stalled', seq, message: '1 of 2 pods', rolling: true };
    const fault: Event = { type: 'abort_stalled', seq, message: 'no answer' };
    expect(story.tell(rolling).said).toEqual(['abort stalled', 'root']);
    expect(story.refusal(rolling)).toEqual({ kind: 'stale' });
    expect(story.tell(fault).said).toEqual(['abort stalled', 'root']);
    expect(story.refusal(rolling)).toEqual({ kind: 'stale' });
    expect(story.refusal(fault)).toEqual({ kind: 'stale' });
  });

  it('whose slow roll-back people heard of says what keeps its clean-up', () => {
    const story = createStory().until('waiting').tell(abortBy(ann));
    const { seq } = story.rollout;
    story.tell({ type: 'abort_stalled', seq, message: '1 of 2 pods', rolling: true }).tell({ type: 'reverted', seq });
    const { rollout } = story;
    expect(story.tell({ type: 'abort_stalled', seq: rollout.seq, message: 'no right' }).said).toEqual([
      'abort stalled',
      'root',
    ]);
  });
});

describe('a rollout of which nothing gets through', () => {
  const stalled = ({ seq }: Rollout, since: number) => ({ type: 'stalled', seq, since, message: 'no answer' }) as const;

  it('says so once, stays the same write, and says when it goes on', () => {
    const story = createStory().until('stepping route');
    const { seq } = story.rollout;
    const since = story.now;
    story.pass(5 * 60 * SECOND).tell(stalled(story.rollout, since));
    expect(story.said).toEqual(['stalled', 'root']);
    expect(story.rollout).toMatchObject({ seq, stalledSince: since, phase: { kind: 'stepping', stage: 'route' } });
    expect(story.refusal(stalled(story.rollout, since))).toEqual({ kind: 'stale' });
    story.pass(60 * SECOND).tell({ type: 'resumed', seq });
    expect(story.said).toEqual(['resumed', 'root']);
    expect(story.rollout.stalledSince).toBeNull();
    expect(story.tell({ type: 'routed', seq }).label).toBe('stepping confirm');
  });

  it('takes what people decide meanwhile, and says the next time anew', () => {
    const story = createStory().until('waiting');
    story.tell(stalled(story.rollout, story.now));
    const gate = openGate(story.rollout)?.id ?? '';
    story.tell({ type: 'approved', gate, actor: ann, reason: 'seen' });
    expect(story.label).toBe('stepping scale');
    expect(story.rollout.stalledSince).not.toBeNull();
    story.tell({ type: 'resumed', seq: story.rollout.seq });
    story.pass(SECOND).tell(stalled(story.rollout, story.now));
    expect(story.rollout.stalledSince).toBe(story.now);
  });

  it('ends that with an abort, which has words of its own', () => {
    const story = createStory().until('waiting');
    story.tell(stalled(story.rollout, story.now)).tell(abortBy(ann));
    expect(story.rollout.stalledSince).toBeNull();
    expect(story.refusal(stalled(story.rollout, story.now))).toEqual({ kind: 'stale' });
    expect(story.refusal({ type: 'resumed', seq: story.rollout.seq })).toEqual({ kind: 'stale' });
  });
});

it('the same events give the same rollout again', () => {
  for (const phase of PHASES) {
    const story = AT[phase]?.() ?? createStory();
    expect(replay(story.events), phase).toEqual(story.rollout);
  }
  expect(() => replay([])).toThrow('begins with the request');
});

it('a person is known by user id, not by name', () => {
  const story = createStory(aPlan({ steps: [aStep(10, { gate: { ...gatePlan, approvals: 2 } }), aStep(100)] }));
  story.until('waiting').approve(ann);
  const renamed: Event = {
    type: 'approved',
    gate: story.gate.id,
    actor: { ...person('ann'), name: 'Ann B.' },
    reason: null,
  };
  expect(story.refusal(renamed)).toMatchObject({ kind: 'already approved' });
});
