/** How a promotion lets go of the cluster: the version before loses its pods only where the routes show that nobody asks it. */
import { expect, it } from 'vitest';
import { cleanUp, disputeOf, orStalled, revert } from '../../src/app/ending.ts';
import type { EffectDeps } from '../../src/app/outcome.ts';
import type { Written } from '../../src/app/ports/cluster.ts';
import type { TrafficRouter } from '../../src/app/ports/router.ts';
import type { Loaded } from '../../src/app/ports/store.ts';
import type { Ended, Workload } from '../../src/app/ports/workload.ts';
import { begin } from '../../src/core/decide.ts';
import { STABLE_ROUTE, type Target } from '../../src/core/plan.ts';
import type { Phase } from '../../src/core/rollout.ts';
import { aPlan } from '../core/support.ts';
import { recordingLog } from '../support/redis.ts';
import { only } from './support.ts';

type Held = Awaited<ReturnType<TrafficRouter['getRoute']>>;
const all = { ...STABLE_ROUTE, weight: 100 };
const promoting: Phase = { kind: 'promoting', stage: 'clean', since: 0 };
const recalled: Phase = { kind: 'promoting', stage: 'clean', since: 0, recalled: true };
const aborting: Phase = {
  kind: 'aborting',
  stage: 'clean',
  since: 0,
  startedAt: 0,
  cause: { kind: 'not started', message: 'x' },
  from: 'at 10%',
  demote: false,
  stalled: false,
};
const versioned: Partial<Target> = { workload: 'versioned', versioned: { base: 'world', canary: 'world-v2' } };

type Cluster = {
  readonly held: Held;
  readonly taken?: 'pending' | 'confirmed' | 'rejected';
  readonly still?: readonly string[];
};
const settled: Held = { route: all, marks: null, settled: true };

it.each<[string, Phase, Partial<Target>, Cluster, Ended]>([
  ['the canary has the place of stable', promoting, versioned, { held: settled }, 'promoted'],
  ['the version before is wanted back', recalled, versioned, { held: settled }, 'recalled'],
  ['it is wanted back, and served already', recalled, versioned, { held: { ...settled, route: null } }, 'disputed'],
  ['somebody changed the routes since', promoting, versioned, { held: { ...settled, route: null } }, 'disputed'],
  [
    'another rule still sends to stable',
    promoting,
    versioned,
    { held: settled, still: ['HTTPRoute world'] },
    'disputed',
  ],
  ['no controller has confirmed the routes', promoting, versioned, { held: settled, taken: 'pending' }, 'disputed'],
  ['one route was not settled', promoting, versioned, { held: { route: all, marks: null } }, 'disputed'],
  ['the routes were given back', promoting, versioned, { held: { route: STABLE_ROUTE, marks: null } }, 'disputed'],
  ['the routes are gone', promoting, versioned, { held: null }, 'disputed'],
  ['it was aborted', aborting, versioned, { held: { route: STABLE_ROUTE, marks: null } }, 'aborted'],
  ['stable itself was promoted', promoting, {}, { held: { route: STABLE_ROUTE, marks: null } }, 'promoted'],
])('where %s', async (_, phase, names, { held, taken = 'confirmed', still = [] }, wanted) => {
  let ended: Ended | undefined;
  const plan = aPlan();
  const requested = {
    type: 'requested',
    id: 'world-aaaaaa',
    plan: { ...plan, target: { ...plan.target, ...names } },
    epoch: 1,
  } as const;
  const { rollout } = begin(requested, 0);
  const deps = only<EffectDeps>({
    log: recordingLog(),
    router: () =>
      only<TrafficRouter>({
        getRoute: async () => held,
        confirmed: async () => (taken === 'rejected' ? { kind: taken, message: 'no such port' } : { kind: taken }),
        sendsToStable: async () => still,
        release: async () => ({ kind: 'done' }),
      }),
    workload: () =>
      only<Workload>({
        async cleanUp(_target, _fence, how) {
          ended = how;
          return { kind: 'done' };
        },
      }),
  });
  const loaded: Loaded = { rollout: { ...rollout, phase }, head: '', now: 0, abort: null };
  const cleaned = await cleanUp(deps, loaded);
  expect(cleaned).toMatchObject({ kind: 'event', event: { type: 'cleaned' } });
  expect(ended).toBe(wanted);
  // What people are told goes with the pods.
  expect(JSON.stringify(cleaned).includes('disputed')).toBe(wanted === 'disputed');
});

it('is not over while the marks cannot be taken off: the next rollout would be held up by them', async () => {
  const { rollout } = begin({ type: 'requested', id: 'world-aaaaaa', plan: aPlan(), epoch: 1 }, 0);
  const release: TrafficRouter['release'] = async () => ({ kind: 'refused', message: 'no right' });
  const getRoute = async () => ({ route: STABLE_ROUTE, marks: null });
  const deps = only<EffectDeps>({
    router: () => only<TrafficRouter>({ getRoute, release }),
    workload: () => only<Workload>({ cleanUp: async () => ({ kind: 'done' }) }),
  });
  const loaded: Loaded = { rollout: { ...rollout, phase: aborting }, head: '', now: 0, abort: null };
  await expect(cleanUp(deps, loaded)).rejects.toThrow('release the route of world-aaaaaa: no right');
});

it.each<[string, Phase, Partial<Target>, Held, readonly string[]]>([
  ['aborted: a share was put back', aborting, {}, { route: { ...all, weight: 10 }, marks: null }, ['reset']],
  ['aborted: nobody can tell what was put there', aborting, {}, { route: null, marks: null }, ['reset']],
  ['aborted, of a version: a share was put back', aborting, versioned, { route: all, marks: null }, ['reset']],
  ['promoted: all of it was put back', promoting, {}, { route: all, marks: null }, ['reset']],
  ['promoted, and the canary stays', promoting, versioned, settled, []],
  ['nothing was put back', aborting, {}, { route: STABLE_ROUTE, marks: null }, []],
  ['the route is gone', aborting, {}, null, []],
])('the canary has no traffic when it goes: %s', async (_, phase, names, held, wanted) => {
  const { deps, loaded, calls } = routed(phase, names, held);
  expect(await cleanUp(deps, loaded)).toMatchObject({ kind: 'event', event: { type: 'cleaned' } });
  expect(calls).toEqual([...wanted, 'delete', 'release']);
});

it('keeps the canary while the route that was put back cannot be reset', async () => {
  const held: Held = { route: { ...all, weight: 10 }, marks: null };
  const { deps, loaded, calls } = routed(aborting, {}, held, { kind: 'drifted', drift: aDrift });
  await expect(cleanUp(deps, loaded)).rejects.toThrow('it is another one');
  expect(calls).toEqual(['reset']);
});

const aDrift = { object: 'HTTPRoute world', difference: 'it is another one', weight: null };

function routed(phase: Phase, names: Partial<Target>, held: Held, reset: Written = { kind: 'done' }) {
  const calls: string[] = [];
  const call = async (what: string, answer: Written = { kind: 'done' }) => {
    calls.push(what);
    return answer;
  };
  const plan = aPlan();
  const target = { ...plan.target, ...names };
  const { rollout } = begin({ type: 'requested', id: 'world-aaaaaa', plan: { ...plan, target }, epoch: 1 }, 0);
  const deps = only<EffectDeps>({
    log: recordingLog(),
    router: () =>
      only<TrafficRouter>({
        getRoute: async () => held,
        confirmed: async () => ({ kind: 'confirmed' }),
        sendsToStable: async () => [],
        reset: (_target, _fence, _journal, overwrite) =>
          call(overwrite ? 'reset' : 'reset of what is as it was', reset),
        release: () => call('release'),
      }),
    workload: () => only<Workload>({ cleanUp: () => call('delete') }),
  });
  const loaded: Loaded = { rollout: { ...rollout, phase }, head: '', now: 0, abort: null };
  return { deps, loaded, calls };
}

it.each<[string, Cluster, RegExp]>([
  [
    'where they were changed',
    { held: { ...settled, route: null } },
    /^HTTPRoute hello\/world was changed by somebody else/,
  ],
  ['where they are gone', { held: null }, /^HTTPRoute hello\/world is gone$/],
  [
    'where another one sends to the version before',
    { held: settled, still: ['HTTPRoute hello/other'] },
    /^HTTPRoute hello\/other still sends to world$/,
  ],
  ['what their controller has not said', { held: settled, taken: 'pending' }, /has not confirmed the promotion$/],
  [
    'why their controller refuses them',
    { held: settled, taken: 'rejected' },
    /^HTTPRoute hello\/world is refused: no such port$/,
  ],
])('the routes of a promotion are named: %s', async (_, { held, taken = 'confirmed', still = [] }, wanted) => {
  const router = { getRoute: async () => held, sendsToStable: async () => still };
  const { target } = aPlan();
  const answer = taken === 'rejected' ? { kind: taken, message: 'no such port' } : { kind: taken };
  expect(await disputeOf(router, { ...target, ...versioned }, answer)).toMatch(wanted);
});

it.each<[string, number, string | undefined, object, boolean?]>([
  ['has rolled back', 31_000, undefined, { kind: 'event', event: { type: 'reverted' } }],
  ['still rolls', 29_000, '1 of 5 pods', { kind: 'pending' }],
  [
    'still rolls or is stuck after 30 s, so that people hear of it',
    30_000,
    '1 of 5 pods',
    { kind: 'event', event: { type: 'abort_stalled', message: '1 of 5 pods', rolling: true } },
  ],
  ['goes on rolling when people have heard of it', 40_000, '1 of 5 pods', { kind: 'pending' }, true],
  ["still rolls when Redis' clock has gone back by a moment", -900, '1 of 5 pods', { kind: 'pending' }],
  [
    "still rolls when Redis' clock was set back by an hour: nobody knows for how long, and people hear of it",
    -3_600_000,
    '1 of 5 pods',
    { kind: 'event', event: { type: 'abort_stalled', rolling: true } },
  ],
])('an abort that %s', async (_, now, rolling, wanted, stalled = false) => {
  let resets = 0;
  const { rollout } = begin({ type: 'requested', id: 'world-aaaaaa', plan: aPlan(), epoch: 1 }, 0);
  const deps = only<EffectDeps>({
    store: only<EffectDeps['store']>({ releases: async () => [] }),
    router: () =>
      only<TrafficRouter>({
        async reset() {
          resets += 1;
          return { kind: 'done' };
        },
      }),
    workload: () =>
      only<Workload>({ demote: async () => ({ kind: 'done', mayRoute: true, ...(rolling && { rolling }) }) }),
  });
  const loaded: Loaded = {
    rollout: { ...rollout, phase: { ...aborting, demote: true, stalled } },
    head: '',
    now,
    abort: null,
  };
  expect(await revert(deps, loaded, true)).toMatchObject(wanted);
  // What routes is given back all the same.
  expect(resets).toBe(1);
});

it.each<[string, number, boolean]>([
  ['29 s', 29_000, false],
  ['30 s', 30_000, true],
  ["who knows how long, Redis' clock was set back by an hour", -3_600_000, true],
])('people hear what holds an abort up when it lasts: %s', async (_, now, isTold) => {
  const { rollout } = begin({ type: 'requested', id: 'world-aaaaaa', plan: aPlan(), epoch: 1 }, 0);
  const router = only<TrafficRouter>({
    getRoute: async () => ({ route: STABLE_ROUTE, marks: null }),
    confirmed: async () => ({ kind: 'pending' }),
  });
  const deps = only<EffectDeps>({ log: recordingLog(), router: () => router });
  const loaded: Loaded = { rollout: { ...rollout, phase: aborting, confirmed: true }, head: '', now, abort: null };
  const message = expect.stringMatching(/the controller of .* has not taken the last route/);
  expect(await orStalled(deps, loaded, () => cleanUp(deps, loaded))).toEqual(
    isTold ? { kind: 'event', event: { type: 'abort_stalled', seq: rollout.seq, message } } : { kind: 'pending' },
  );
  const fault = orStalled(deps, loaded, () => Promise.reject(new Error('away')));
  if (isTold) expect(await fault).toMatchObject({ event: { message: 'away' } });
  else await expect(fault).rejects.toThrow('away');
});
