/** One rollout for everything that Sluice can say about one: phases, gates, decisions, endings, notes. */
import type { MessageKey, Note } from '../../../src/core/event.ts';
import type { Phase, Rollout } from '../../../src/core/rollout.ts';
import {
  type ana,
  bo,
  cy,
  gate,
  inPlace,
  latency,
  plan,
  result,
  rollout,
  successRate,
  system,
  T0,
  waiting,
} from './support.ts';

export type Said = { readonly when: string; readonly rollout: Rollout; readonly key: MessageKey; readonly note?: Note };

const at = T0 + 600_000;
const root = (when: string, state: Rollout): Said => ({ when, rollout: state, key: 'root' });
const ask = (when: string, state: Rollout): Said => ({ when, rollout: state, key: 'gate:1' });
const end = (when: string, state: Rollout): Said => ({ when, rollout: state, key: 'result' });

const aborting = {
  kind: 'aborting',
  stage: 'route',
  since: at,
  startedAt: at,
  from: 'at the gate of 10%',
  demote: false,
  stalled: false,
} as const;
const byBo = { kind: 'person', actor: bo, reason: 'p99 looks odd since noon' } as const;
const failing = [result(successRate, 99.95), result(latency, 812)];

const drifted: Phase = {
  kind: 'drifted',
  since: T0,
  drift: {
    object: 'HTTPRoute hello/world',
    difference: 'rule 1 sends 30% to world-canary, Sluice wrote 10%',
    weight: 30,
  },
  resume: 'step',
};
const halted: Phase = {
  kind: 'halted',
  since: T0,
  why: 'Deployment world: 1 of 3 new pods is Ready after 10 min',
  kept: false,
};
const copies = { weight: 0, preview: null, mirror: 20 };
const routes = [
  ['copies of the requests', copies],
  ['users by a pattern', { weight: 0, preview: { header: 'x-user', pattern: '^qa-.*' }, mirror: null }],
  ['users by cookie', { weight: 0, preview: { cookie: 'beta', value: 'always' }, mirror: null }],
] as const;
const full = { step: 3, route: { weight: 100, preview: null, mirror: null } };

const gates = [
  gate({
    id: 'world-7k2q9x.1',
    step: 0,
    measured: false,
    results: [],
    approvals: [{ actor: bo, at: T0, reason: null }],
    decision: { kind: 'approved', actor: bo, at },
  }),
  gate({
    id: 'world-7k2q9x.2',
    step: 1,
    results: failing,
    approvals: [{ actor: cy, at, reason: 'known spike of the nightly backup' }],
    decision: { kind: 'approved', actor: cy, at },
  }),
];

const bySelector = { ...plan().target, traffic: { router: 'kubernetes', service: 'hello/world' } } as const;
const foreign = {
  ...{ object: 'Deployment hello/world', difference: 'its image was changed to buoyantio/world:v9', weight: null },
};

const rolledBack = plan({ kind: 'rollback', version: 'v1', from: 'v2', strategy: 'rollback', requester: bo });
const disputed = 'HTTPRoute hello/other still sends to world-v1';
const inDispute = rollout(
  { kind: 'succeeded', since: at, disputed },
  { ...full, gates, plan: plan({ target: { ...plan().target, deployment: 'world-v1' } }) },
);

const endedBy = (cause: Extract<Phase, { kind: 'aborted' }>['cause'], from = 'at 10%') =>
  rollout({ kind: 'aborted', since: at, cause, from }, { gates });

export const SAID: readonly Said[] = [
  root(
    'queued',
    rollout({ kind: 'queued', since: T0 }, { step: 0, route: { weight: 0, preview: null, mirror: null } }),
  ),
  root('creating the canary, with a reason and a warning', {
    ...rollout(
      { kind: 'starting', stage: 'create', since: T0 },
      { step: 0, route: { weight: 0, preview: null, mirror: null } },
    ),
    plan: plan({ reason: 'fix the login for <Safari> & friends' }),
    warnings: ['NetworkPolicy hello/world selects stable only'],
  }),
  root(
    'waiting for its pods',
    rollout(
      { kind: 'starting', stage: 'ready', since: T0 },
      { step: 0, route: { weight: 0, preview: null, mirror: null } },
    ),
  ),
  root('ready before Slack had the message', rollout({ kind: 'starting', stage: 'announce', since: T0 }, { step: 0 })),
  ...(['scale', 'ready', 'route', 'confirm', 'test', 'bake', 'judge'] as const).map((stage) =>
    root(`in a step: ${stage}`, rollout({ kind: 'stepping', stage, since: T0 })),
  ),
  root(
    'at the gate of the preview',
    waiting(
      { step: 0 },
      { step: 0, route: { weight: 0, preview: { header: 'x-canary', value: 'always' }, mirror: null } },
    ),
  ),
  ...(['scale', 'route'] as const).map((stage) => {
    const [first, ...rest] = plan().steps;
    const steps = first ? [{ ...first, route: copies }, ...rest] : rest;
    return root(
      `in a step with copies: ${stage}`,
      rollout({ kind: 'stepping', stage, since: T0 }, { step: 0, route: copies, plan: plan({ steps }) }),
    );
  }),
  root('at the gate of 10%', waiting()),
  root('at the gate of 10%, in place', waiting({}, { plan: inPlace() })),
  root(
    'a check fails while it waits',
    waiting({ results: failing }, { guard: { since: T0, next: {}, failures: { 'p99 latency': 1 }, last: failing } }),
  ),
  root('changed from outside', rollout(drifted, { gates: [gate({ kind: 'drift' })] })),
  ...(['template', 'ready', 'route', 'confirm', 'cool', 'clean'] as const).map((stage) =>
    root(`promoting: ${stage}`, rollout({ kind: 'promoting', stage, since: T0 }, full)),
  ),
  root('halted', rollout(halted, { ...full, gates: [gate({ kind: 'halted', step: 3 })] })),
  root('halted and kept', rollout({ ...halted, kept: true }, { ...full, gates: [gate({ kind: 'halted', step: 3 })] })),
  root('aborting', rollout({ ...aborting, cause: byBo })),
  root('at a gate, and standing still', { ...waiting(), stalledSince: T0 + 300_000 }),
  root('aborting does not get through', rollout({ ...aborting, cause: byBo, stalled: true })),
  root(
    'aborted, cooling down',
    rollout({ ...aborting, stage: 'cool', cause: byBo }, { route: { weight: 0, preview: null, mirror: null } }),
  ),
  root('live', rollout({ kind: 'succeeded', since: at }, full)),
  root('in dispute', inDispute),
  root('rolled back, in dispute', { ...inDispute, plan: rolledBack }),
  root('aborted by a person', endedBy(byBo)),
  root('aborted by a check', endedBy({ kind: 'check', check: 'p99 latency', results: failing })),
  root('lost', endedBy({ kind: 'lost', message: 'Deployment hello/world-canary is gone' })),
  root('given up', endedBy({ kind: 'given up', message: "Sluice's process ended 5 times in a row." })),
  root('not started', endedBy({ kind: 'not started', message: 'ImagePullBackOff' })),
  root('expired', endedBy({ kind: 'expired', gate: 'world-7k2q9x.2' })),
  root('refused by the cluster', endedBy({ kind: 'refused by the cluster', message: 'quota' })),
  root('fenced', endedBy({ kind: 'fenced', message: 'taken over' })),

  ask(
    'the preview, nothing measured',
    waiting(
      { step: 0, measured: false, results: [], tests: [{ test: 'smoke', passed: true, detail: '200 from 2 pods' }] },
      { step: 0 },
    ),
  ),
  ask('a share of pods', waiting({}, { plan: inPlace() })),
  ...routes.map(([when, route]) => {
    const [first, ...rest] = plan().steps;
    const steps = first ? [{ ...first, route, bakeMs: 60_000 }, ...rest] : rest;
    return ask(when, waiting({ step: 0 }, { step: 0, route, plan: plan({ steps }) }));
  }),
  ask('all checks pass', waiting()),
  ask('not delivered yet', waiting({ deliveredAt: null })),
  ask('a check fails', waiting({ results: failing })),
  ask(
    'no data',
    waiting({
      results: [
        result(successRate, 'no such series'),
        result(latency, 120, { requests: { canary: 3, stable: 4210 }, verdict: 'no data' }),
      ],
    }),
  ),
  ask(
    'a test failed',
    waiting({ tests: [{ test: 'smoke', passed: false, detail: 'pod world-canary-1: status 500' }] }),
  ),
  ask('no checks are configured', waiting({ results: [] }, { plan: plan({ checks: [] }) })),
  ask('the last step', waiting({ step: 3 }, full)),
  ask(
    'one of two approvals',
    waiting({
      plan: { approvals: 2, timeoutMs: 3_600_000, onTimeout: 'hold' },
      approvals: [{ actor: bo, at, reason: null }],
    }),
  ),
  ask('held', waiting({ heldMs: 900_000 })),
  ask(
    'approved',
    waiting({ approvals: [{ actor: bo, at, reason: null }], decision: { kind: 'approved', actor: bo, at } }),
  ),
  ask(
    'approved anyway',
    waiting({
      results: failing,
      approvals: [{ actor: cy, at, reason: 'known spike' }],
      decision: { kind: 'approved', actor: cy, at },
    }),
  ),
  ask(
    'aborted at the gate',
    rollout({ ...aborting, cause: byBo }, { gates: [gate({ decision: { kind: 'aborted', actor: bo, at } })] }),
  ),
  ask(
    'aborted by a check at the gate',
    rollout(
      { ...aborting, cause: { kind: 'check', check: 'p99 latency', results: failing } },
      { gates: [gate({ results: failing, decision: { kind: 'aborted', actor: system, at } })] },
    ),
  ),
  ask(
    'expired',
    rollout(
      { ...aborting, cause: { kind: 'expired', gate: 'world-7k2q9x.1' } },
      { gates: [gate({ decision: { kind: 'expired', actor: system, at } })] },
    ),
  ),
  ask('superseded', rollout(drifted, { gates: [gate({ decision: { kind: 'superseded', actor: system, at } })] })),
  ask('drift, acceptable', rollout(drifted, { gates: [gate({ kind: 'drift', results: [] })] })),
  ask('drift of stable', rollout({ ...drifted, drift: foreign }, { gates: [gate({ kind: 'drift', results: [] })] })),
  ask(
    'drift, not of weights',
    rollout(
      { ...drifted, drift: { ...drifted.drift, weight: null } },
      { gates: [gate({ kind: 'drift', results: [] })] },
    ),
  ),
  ask(
    'drift re-applied',
    rollout(
      { kind: 'stepping', stage: 'route', since: at },
      { gates: [gate({ kind: 'drift', results: [], decision: { kind: 're-applied', actor: bo, at } })] },
    ),
  ),
  ask(
    'drift accepted',
    rollout(
      { kind: 'stepping', stage: 'route', since: at },
      {
        acceptedWeight: 30,
        gates: [gate({ kind: 'drift', results: [], decision: { kind: 'accepted', actor: bo, at } })],
      },
    ),
  ),
  ask('halted', rollout(halted, { ...full, gates: [gate({ kind: 'halted', step: 3, results: [] })] })),
  ask(
    'halted and kept',
    rollout({ ...halted, kept: true }, { ...full, gates: [gate({ kind: 'halted', step: 3, results: [] })] }),
  ),
  ask(
    'halted and tried again',
    rollout(
      { kind: 'promoting', stage: 'template', since: at },
      {
        ...full,
        gates: [gate({ kind: 'halted', step: 3, results: [], decision: { kind: 'retried', actor: cy, at } })],
      },
    ),
  ),

  end('live', rollout({ kind: 'promoting', stage: 'cool', since: at }, { ...full, gates })),
  end(
    'live, the version before unknown',
    rollout({ kind: 'succeeded', since: at }, { ...full, gates, plan: plan({ from: null }) }),
  ),
  end('rolled back', rollout({ kind: 'succeeded', since: at }, { ...full, plan: rolledBack })),
  end('in dispute', inDispute),
  end('in dispute, the version before unknown', { ...inDispute, plan: plan({ from: null }) }),
  end('aborted by a person', endedBy(byBo, 'at the gate of 10%')),
  end('aborted by a check', endedBy({ kind: 'check', check: 'p99 latency', results: failing })),
  end(
    'not started',
    endedBy(
      { kind: 'not started', message: 'ImagePullBackOff: Back-off pulling image "buoyantio/world:v2"' },
      'before any traffic moved',
    ),
  ),
  end('lost', endedBy({ kind: 'lost', message: 'Deployment hello/world-canary is gone' }, 'at the gate of 10%')),
  end('given up', endedBy({ kind: 'given up', message: "Sluice's process ended 5 times in a row." })),
  end(
    'aborted, stable was changed by somebody else',
    rollout({ kind: 'aborted', since: at, cause: byBo, from: 'after an outside change, at 10%', foreign }, { gates }),
  ),
  end('expired', endedBy({ kind: 'expired', gate: 'world-7k2q9x.2' })),
  end(
    'refused by the cluster',
    endedBy({ kind: 'refused by the cluster', message: 'HTTPRoute hello/world: exceeded quota' }),
  ),
  end('fenced', endedBy({ kind: 'fenced', message: 'HTTPRoute hello/world is held by world-8m3r0y at epoch 9' })),

  {
    when: 'first reminder',
    rollout: waiting(),
    key: 'note:9',
    note: { kind: 'reminder', gate: 'world-7k2q9x.1', count: 1 },
  },
  {
    when: 'last reminder',
    rollout: waiting({ plan: { approvals: 1, timeoutMs: 3_600_000, onTimeout: 'hold' } }),
    key: 'note:9',
    note: { kind: 'reminder', gate: 'world-7k2q9x.1', count: 2 },
  },
  {
    when: 'unconfirmed',
    rollout: rollout({ kind: 'stepping', stage: 'bake', since: T0 }),
    key: 'note:9',
    note: { kind: 'unconfirmed', message: 'No controller confirmed the route within 10 s.' },
  },
  {
    when: 'abort stalled',
    rollout: rollout({ ...aborting, cause: byBo, stalled: true }),
    key: 'note:9',
    note: { kind: 'abort stalled', message: 'patch HTTPRoute hello/world: connect ECONNREFUSED 10.0.0.1:6443' },
  },
  {
    when: 'abort in which pods of the new version still serve',
    rollout: rollout({ ...aborting, cause: byBo, stalled: true, rolling: true }),
    key: 'note:9',
    note: {
      kind: 'abort stalled',
      rolling: true,
      message: '2 of 5 pods are still of the version that is taken back; Deployment world: 3 of 5 pods are Ready',
    },
  },
  {
    when: 'aborting, pods of the new version still serve',
    rollout: rollout({ ...aborting, cause: byBo, stalled: true, rolling: true }),
    key: 'root',
  },
  {
    when: 'stalled in a step',
    rollout: rollout({ kind: 'stepping', stage: 'route', since: T0 }, { routeSeq: 9, stalledSince: T0 }),
    key: 'note:9',
    note: {
      ...{ kind: 'stalled', since: T0 },
      message: 'patch HTTPRoute hello/world: connect ECONNREFUSED 10.0.0.1:6443',
    },
  },
  {
    when: 'stalled before any traffic moved',
    rollout: rollout({ kind: 'queued', since: T0 }, { routeSeq: 0, stalledSince: T0 }),
    key: 'note:9',
    note: { kind: 'stalled', since: T0, message: 'no watch within 3000 ms' },
  },
  {
    when: 'stalled at a gate, by selector',
    rollout: waiting(
      {},
      {
        ...{ plan: plan({ target: bySelector }), routeSeq: 9, stalledSince: T0 },
        journal: { 'Service hello/world': '{"app":"world"}' },
        guard: { since: T0, next: {}, failures: {}, last: [] },
      },
    ),
    key: 'note:9',
    note: { kind: 'stalled', since: T0, message: 'patch Deployment hello/world-canary: status 500' },
  },
  {
    when: 'stalled, asked for from a terminal',
    rollout: rollout(
      { kind: 'queued', since: T0 },
      { plan: plan({ requester: { kind: 'cli', user: 'ci@runner', name: 'ci@runner' } }), stalledSince: T0 },
    ),
    key: 'note:9',
    note: { kind: 'stalled', since: T0, message: 'no watch within 3000 ms' },
  },
  {
    when: 'stalled after the promotion',
    rollout: rollout({ kind: 'promoting', stage: 'clean', since: T0 }, { ...full, routeSeq: 9, stalledSince: T0 }),
    key: 'note:9',
    note: { kind: 'stalled', since: T0, message: 'deployments "world-canary" is forbidden' },
  },
  {
    when: 'resumed',
    rollout: rollout({ kind: 'stepping', stage: 'route', since: T0 }),
    key: 'note:9',
    note: { kind: 'resumed', ms: 425_000 },
  },
  {
    when: 'resumed at a gate',
    rollout: waiting(),
    key: 'note:9',
    note: { kind: 'resumed', ms: 425_000 },
  },
  {
    when: 'resumed after an outside change',
    rollout: rollout(drifted, { gates: [gate({ kind: 'drift', results: [] })] }),
    key: 'note:9',
    note: { kind: 'resumed', ms: 425_000 },
  },
  { when: 'in dispute', rollout: inDispute, key: 'note:9', note: { kind: 'disputed', message: disputed } },
  {
    when: 'in dispute, the version before unknown, asked for from a terminal',
    rollout: {
      ...inDispute,
      plan: plan({ from: null, requester: { kind: 'cli', user: 'ci@runner', name: 'ci@runner' } }),
    },
    key: 'note:9',
    note: { kind: 'disputed', message: disputed },
  },
  {
    when: 'clean-up of an abort stalled',
    rollout: rollout({ ...aborting, stage: 'clean', cause: byBo, stalled: true }),
    key: 'note:9',
    note: { kind: 'abort stalled', message: 'deployments "world-canary" is forbidden' },
  },
];

// ---- words that would like to break out ------------------------------------------------------------------------------

/** Kubernetes and the configuration allow no longer names, and no other characters. */
const LONGEST = 'w'.repeat(63);
const LONG = 'x'.repeat(5000);
const EVIL = '<!channel> <@U0BO> <https://evil.example|click> & ``` *bold* \u202Eevil\u202C \u{1F680}\nsecond line';

/** Every foreign text is hostile or huge. */
function hostile(state: Rollout, words: string): Rollout {
  const actor = { kind: 'person', user: 'U0ANA', name: words } as const;
  const name = words.slice(0, 63);
  return {
    ...state,
    id: `${LONGEST}-7k2q9x`,
    plan: {
      ...state.plan,
      version: words.slice(0, 128),
      from: `${words.slice(0, 120)} before`,
      image: words,
      strategy: name,
      reason: words,
      requester: actor,
      warnings: [words, words],
      access: { ...state.plan.access, approve: Array.from({ length: 40 }, (_, i) => `S0TEAM${i}`) },
      target: {
        ...state.plan.target,
        service: LONGEST,
        deployment: LONGEST,
        traffic: { router: 'gateway-api', routes: [`${LONGEST}/${LONGEST}`] },
      },
      checks: Array.from({ length: 60 }, (_, i) => ({ ...latency, name: `${words.slice(0, 200)}${i}` })),
    },
    warnings: [words],
    gates: state.gates.map((one) => ({
      ...one,
      results: Array.from({ length: 60 }, (_, i) => result({ ...latency, name: `${words.slice(0, 200)}${i}` }, words)),
      tests: Array.from({ length: 60 }, () => ({ test: words, passed: false, detail: words })),
      approvals: one.approvals.map(() => ({ actor, at, reason: words })),
    })),
    phase: hostilePhase(state.phase, words, actor),
  };
}

function hostilePhase(phase: Phase, words: string, actor: typeof ana): Phase {
  switch (phase.kind) {
    case 'drifted':
      return { ...phase, drift: { ...phase.drift, object: words, difference: words } };
    case 'halted':
      return { ...phase, why: words };
    case 'succeeded':
      return phase.disputed === undefined ? phase : { ...phase, disputed: words };
    case 'aborting':
    case 'aborted': {
      const { cause } = phase;
      if (cause.kind === 'person') return { ...phase, from: words, cause: { ...cause, actor, reason: words } };
      if (cause.kind === 'check') return { ...phase, from: words, cause: { ...cause, check: words } };
      return { ...phase, from: words, cause: 'message' in cause ? { ...cause, message: words } : cause };
    }
    default:
      return phase;
  }
}

export const HOSTILE: readonly Said[] = SAID.flatMap((said) =>
  [LONG, EVIL, EVIL.repeat(80)].map((words, i) => ({
    ...said,
    when: `${said.when}, ${['5,000 characters', 'hostile words', '8,000 hostile characters'][i]}`,
    rollout: hostile(said.rollout, words),
    ...(said.note && 'message' in said.note ? { note: { ...said.note, message: words } } : {}),
  })),
);
