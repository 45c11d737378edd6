import { describe, expect, it } from 'vitest';
import type { Event } from '../../src/core/event.ts';
import type { Rollout } from '../../src/core/rollout.ts';
import { ABORT_STALLED_MS, next, nextLook } from '../../src/core/schedule.ts';
import {
  AT,
  abortBy,
  aCheck,
  ann,
  aPlan,
  aStep,
  createStory,
  drifted,
  fenced,
  gatePlan,
  goodAnswer,
  HOUR,
  halted,
  MINUTE,
  previewStep,
  SECOND,
  type Story,
} from './support.ts';

const at = (phase: string): Story => AT[phase]?.() ?? createStory();
const holding = aPlan({ steps: [aStep(10, { gate: { ...gatePlan, onTimeout: 'hold' } }), aStep(100)], checks: [] });
const unchecked = aPlan({ checks: [] });
const delivered: Event = { type: 'message_delivered', key: 'gate:1', ts: '5' };

it('sizes the canary by its copies too, from its creation on', () => {
  const mirrored = aStep(10, { route: { weight: 10, preview: null, mirror: 40 } });
  const story = createStory(aPlan({ steps: [mirrored, aStep(100)] })).until('starting create');
  const wish = () => next(story.rollout, story.now, { sample: false });
  expect(wish()).toMatchObject({ effect: { kind: 'create canary', weight: 40 } });
  story.until('stepping scale');
  expect(wish()).toMatchObject({ effect: { kind: 'scale canary', weight: 40 } });
});

describe('what a rollout wants', () => {
  it.each([
    ['queued', { kind: 'claim' }],
    ['starting create', { kind: 'create canary', weight: 10 }],
    ['starting ready', { kind: 'await canary' }],
    ['stepping scale', { kind: 'scale canary', weight: 10 }],
    ['stepping ready', { kind: 'await canary' }],
    ['stepping route', { kind: 'set route', route: { weight: 10, preview: null, mirror: null }, overwrite: false }],
    ['stepping confirm', { kind: 'confirm route' }],
    ['stepping test', { kind: 'test canary' }],
    ['stepping judge', { kind: 'sample', checks: ['success rate'], judge: true }],
    ['promoting template', { kind: 'promote', overwrite: false }],
    ['promoting ready', { kind: 'await stable' }],
    ['promoting route', { kind: 'end route', overwrite: false }],
    ['promoting confirm', { kind: 'confirm route' }],
    ['promoting clean', { kind: 'clean up' }],
    ['aborting route', { kind: 'revert', demote: false }],
    ['aborting fence', { kind: 'raise epoch' }],
    ['aborting clean', { kind: 'clean up' }],
  ])('at %s', (phase, effect) => {
    const { rollout, now } = at(phase);
    expect(next(rollout, now)).toMatchObject({ kind: 'effect', effect });
  });

  it.each([
    'starting announce',
    'stepping bake',
    'waiting',
    'drifted',
    'halted',
    'promoting cool',
    'aborting cool',
    'succeeded',
    'aborted',
  ])('nothing at %s', (phase) => {
    const { rollout, now } = at(phase);
    expect(next(rollout, now)).toEqual({ kind: 'wait' });
  });

  it('times that an effect counts from are those of its stage', () => {
    for (const phase of [
      'starting ready',
      'stepping ready',
      'stepping confirm',
      'promoting ready',
      'promoting confirm',
    ]) {
      const { rollout, now } = at(phase);
      expect(next(rollout, now), phase).toMatchObject({ effect: { since: rollout.phase.since } });
    }
  });

  it('a preview step is made for its own weight and judged without checks', () => {
    const story = createStory(aPlan({ steps: [previewStep, aStep(100)] })).until('starting create');
    expect(next(story.rollout, story.now)).toMatchObject({ effect: { weight: 0 } });
    story.until('stepping judge');
    expect(next(story.rollout, story.now)).toMatchObject({ effect: { kind: 'sample', checks: [], judge: true } });
  });
});

describe('when it is looked at again', () => {
  it.each(['queued', 'starting create', 'starting announce', 'stepping scale', 'succeeded', 'aborted'])(
    '%s is moved by events only',
    (phase) => {
      expect(nextLook(at(phase).rollout)).toBeNull();
    },
  );

  it.each(['aborting route', 'aborting fence', 'aborting clean'])('%s is stalled after 30 s', (phase) => {
    const story = at(phase);
    expect(nextLook(story.rollout)).toBe(story.now + ABORT_STALLED_MS);
  });

  it('after a sample the phase has its turn', () => {
    const story = at('stepping route');
    const late = story.now + HOUR;
    const guarded = { ...story.rollout, guard: { since: 0, next: { 'success rate': 0 }, failures: {}, last: [] } };
    expect(next(guarded, late)).toMatchObject({ effect: { kind: 'sample' } });
    expect(next(guarded, late, { sample: false })).toMatchObject({ effect: { kind: 'set route' } });
  });

  it('is sampled at once, and then as often as ever, when the clock was set back', () => {
    const story = createStory().until('waiting').pass(-HOUR);
    expect(next(story.rollout, story.now)).toMatchObject({ effect: { kind: 'sample' } });
    story.sample('pass');
    const due = Object.values(story.rollout.guard?.next ?? {});
    expect(due.every((at) => at > story.now && at <= story.now + MINUTE)).toBe(true);
  });

  it('a bake ends after its time', () => {
    const story = createStory(unchecked).until('stepping bake');
    expect(nextLook(story.rollout)).toBe(story.now + MINUTE);
    story.pass(MINUTE - 1);
    expect(next(story.rollout, story.now)).toEqual({ kind: 'wait' });
    expect(next(story.rollout, story.now + 1)).toMatchObject({ event: { type: 'baked' } });
  });

  it.each(['promoting cool', 'aborting cool'])('%s ends after the cool-down', (phase) => {
    const story = at(phase);
    expect(nextLook(story.rollout)).toBe(story.now + 30 * SECOND);
    expect(next(story.rollout, story.now + 30 * SECOND - 1)).toEqual({ kind: 'wait' });
    expect(next(story.rollout, story.now + 30 * SECOND)).toMatchObject({ event: { type: 'cooled' } });
  });

  it.each([
    ['before any traffic moved is skipped', () => createStory().until('starting ready').tell(abortBy(ann)), 0],
    [
      'of a rollout that Redis had lost is kept',
      () => createStory().tell({ type: 'abort_requested', cause: fenced, epoch: 20 }),
      30,
    ],
    [
      'after a preview is kept',
      () =>
        createStory(aPlan({ steps: [previewStep] }))
          .until('waiting')
          .tell(abortBy(ann)),
      30,
    ],
  ])('the cool-down of an abort %s', (_, make, seconds) => {
    const story = make().until('aborting cool');
    expect(nextLook(story.rollout)).toBe(story.now + seconds * SECOND);
    expect(next(story.rollout, story.now).kind).toBe(seconds === 0 ? 'event' : 'wait');
  });

  it('an abort that is still being tried is looked at after 30 s, once', () => {
    const story = createStory().until('waiting').tell(abortBy(ann));
    expect(nextLook(story.rollout)).toBe(story.now + 30 * SECOND);
    story.until('aborting fence');
    expect(nextLook(story.rollout)).toBe(story.now + 30 * SECOND);
    story.tell({ type: 'abort_stalled', seq: story.rollout.seq, message: 'no answer' });
    expect(nextLook(story.rollout)).toBeNull();
  });

  it('a long cool-down is not looked at before its end', () => {
    const story = createStory(aPlan({ coolDownMs: HOUR }))
      .until('waiting')
      .tell(abortBy(ann))
      .until('aborting cool');
    expect(nextLook(story.rollout)).toBe(story.now + HOUR);
  });
});

describe('an open gate', () => {
  const waiting = (plan = unchecked) => createStory(plan).until('waiting').tell(delivered);
  const told = (story: Story, ms: number) => next(story.rollout, story.gate.openedAt + ms);

  it('reminds at 50% and at 80% of its time, then expires', () => {
    const story = waiting();
    expect(nextLook(story.rollout)).toBe(story.now + 2 * HOUR);
    expect(told(story, 2 * HOUR - 1)).toEqual({ kind: 'wait' });
    expect(told(story, 2 * HOUR)).toEqual({ kind: 'event', event: { type: 'gate_reminded', gate: 'world-1.1' } });
    story.pass(2 * HOUR).answer();
    expect(nextLook(story.rollout)).toBe(story.gate.openedAt + 3.2 * HOUR);
    story.pass(1.2 * HOUR).answer();
    expect(nextLook(story.rollout)).toBe(story.gate.openedAt + 4 * HOUR);
    expect(told(story, 4 * HOUR)).toEqual({ kind: 'event', event: { type: 'gate_expired', gate: 'world-1.1' } });
  });

  it('expires without reminders when it was not looked at in time', () => {
    expect(told(waiting(), 5 * HOUR)).toMatchObject({ event: { type: 'gate_expired' } });
  });

  it('whose message was not delivered does not remind, and expires an hour later', () => {
    const story = createStory(unchecked).until('waiting');
    expect(nextLook(story.rollout)).toBe(story.now + 5 * HOUR);
    expect(told(story, 5 * HOUR - 1)).toEqual({ kind: 'wait' });
    expect(told(story, 5 * HOUR)).toMatchObject({ event: { type: 'gate_expired' } });
  });

  it('on hold is looked at later', () => {
    const story = waiting().tell({ type: 'held', gate: 'world-1.1', actor: ann });
    expect(nextLook(story.rollout)).toBe(story.now + 2 * HOUR + 7.5 * MINUTE);
    expect(told(story, 4 * HOUR + 15 * MINUTE)).toMatchObject({ event: { type: 'gate_expired' } });
  });

  it('that holds reminds twice and then waits for people', () => {
    const story = waiting(holding)
      .pass(2 * HOUR)
      .answer()
      .pass(1.2 * HOUR)
      .answer();
    expect(story.gate.reminders).toBe(2);
    expect(nextLook(story.rollout)).toBeNull();
    expect(told(story, 99 * HOUR)).toEqual({ kind: 'wait' });
  });

  it('that holds and was never delivered waits quietly', () => {
    const story = createStory(holding).until('waiting');
    expect(nextLook(story.rollout)).toBeNull();
    expect(told(story, 99 * HOUR)).toEqual({ kind: 'wait' });
  });

  it.each([
    ['a change from outside', () => drifted(createStory(unchecked).until('waiting'), 20)],
    ['a halted promotion', () => halted(createStory(unchecked).until('promoting ready'))],
  ])('about %s never expires', (_, make) => {
    const { rollout, now } = make();
    expect(nextLook(rollout)).toBeNull();
    expect(next(rollout, now + 99 * HOUR)).toEqual({ kind: 'wait' });
  });
});

describe('checks', () => {
  const due = ({ rollout, now }: Story, ms = 0) => {
    const wish = next(rollout, now + ms);
    return wish.kind === 'effect' && wish.effect.kind === 'sample' && !wish.effect.judge ? wish.effect.checks : [];
  };

  it('are measured at their own intervals, first one interval after the traffic', () => {
    const plan = aPlan({ checks: [aCheck('slow'), aCheck('fast', { intervalMs: 5 * SECOND })] });
    const story = createStory(plan).until('stepping bake');
    expect(nextLook(story.rollout)).toBe(story.now + 5 * SECOND);
    expect([4_999, 5_000, 15_000].map((ms) => due(story, ms))).toEqual([[], ['fast'], ['slow', 'fast']]);
    story.pass(5 * SECOND).answer();
    expect(nextLook(story.rollout)).toBe(story.now + 5 * SECOND);
    expect(due(story, 10 * SECOND)).toEqual(['slow', 'fast']);
  });

  it.each([
    'stepping confirm',
    'stepping test',
    'stepping bake',
    'waiting',
    'drifted',
    'promoting template',
    'promoting ready',
    'halted',
  ])('go on at %s', (phase) => {
    const story = at(phase);
    expect(due(story, 15 * SECOND)).toEqual(['success rate']);
    expect(nextLook(story.rollout)).toBeLessThanOrEqual(story.now + 15 * SECOND);
  });

  it.each(['promoting route', 'promoting cool', 'aborting route', 'aborting cool', 'aborted', 'succeeded'])(
    'are over at %s',
    (phase) => {
      expect(due(at(phase), HOUR)).toEqual([]);
    },
  );

  it('come before the wish of the phase, and the judgement measures each once', () => {
    expect(due(at('promoting template'), HOUR)).toEqual(['success rate']);
    expect(due(at('stepping judge'), HOUR)).toEqual([]);
    expect(nextLook(at('stepping judge').rollout)).toBeNull();
  });
});

describe('at every phase', () => {
  const GRID = [
    0,
    1,
    SECOND,
    5 * SECOND,
    15 * SECOND,
    29_999,
    30 * SECOND,
    MINUTE,
    HOUR,
    2 * HOUR,
    5 * HOUR,
    30 * HOUR,
  ];

  it.each(Object.keys(AT))(
    '%s answers the same until it is to be looked at, and is never looked at for nothing',
    (phase) => {
      const { rollout, now } = at(phase);
      const look = nextLook(rollout);
      for (const ms of GRID) {
        if (look === null || now + ms < look) expect(next(rollout, now + ms)).toEqual(next(rollout, now));
        else expect(next(rollout, now + ms)).not.toEqual({ kind: 'wait' });
      }
      if (look !== null && look > now) expect(next(rollout, look - 1)).toEqual(next(rollout, now));
    },
  );

  it.each(Object.keys(AT))('%s left alone for two days never spins', (phase) => {
    const story = at(phase);
    let end = story.now + 48 * HOUR;
    let turns = 0;
    for (let here = 0; story.now < end; here++) {
      expect(here, `${story.label} turns on the spot`).toBeLessThan(40);
      if (next(story.rollout, story.now).kind !== 'wait') {
        story.answer();
        turns++;
        continue;
      }
      const look = nextLook(story.rollout);
      if (look === null) end = story.now;
      else {
        expect(look).toBeGreaterThan(story.now);
        story.pass(look - story.now);
        here = 0;
      }
    }
    // A sample each 15 s is all that an idle rollout costs.
    expect(turns).toBeLessThan(48 * 240 + 60);
  });

  it('an answer makes the same effect go away', () => {
    for (const phase of Object.keys(AT)) {
      const story = at(phase);
      const before: Rollout = story.rollout;
      const wish = next(before, story.now);
      if (wish.kind !== 'effect') continue;
      story.tell(goodAnswer(wish.effect, before));
      expect(story.label, phase).not.toBe(phase);
    }
  });
});
