/** What the safety net finds, and that one thing that is broken does not keep it from the rest. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Commands } from '../../src/app/commands.ts';
import { createRollouts } from '../../src/app/handle.ts';
import type { Queue } from '../../src/app/ports/queue.ts';
import type { MarkedRoute, TrafficRouter } from '../../src/app/ports/router.ts';
import type { Store } from '../../src/app/ports/store.ts';
import type { Workload } from '../../src/app/ports/workload.ts';
import { THREADS } from '../../src/app/requests.ts';
import { createSweep } from '../../src/app/sweep.ts';
import { begin } from '../../src/core/decide.ts';
import { STABLE_ROUTE } from '../../src/core/plan.ts';
import { loaded, playTo, start } from '../contracts/store.ts';
import { samplePlan } from '../support/played.ts';
import { recordingLog } from '../support/redis.ts';
import { configOf, listeningChat, marksOf, only, openCorner, typed } from './support.ts';

/** A wait of a moment, on a busy machine as well. */
const PATIENT = { interval: 10, timeout: 5_000 };

let corner: ReturnType<typeof openCorner>;
const stops: (() => void)[] = [];
beforeEach(() => {
  corner = openCorner();
});
afterEach(async () => {
  for (const stop of stops.splice(0)) stop();
  vi.useRealTimers();
  await corner.close();
});

type Setting = {
  readonly services?: readonly string[];
  readonly workloadName?: 'versioned';
  readonly store?: Partial<Store>;
  readonly queue?: Partial<Queue>;
  readonly router?: Partial<TrafficRouter>;
  readonly workload?: Partial<Workload>;
  readonly answer?: () => Promise<void>;
  readonly flush?: (id: string) => Promise<void>;
  readonly doubts?: () => readonly string[];
};

function aSweep({ services = ['world'], ...given }: Setting) {
  const log = recordingLog();
  const store: Store = { ...corner.store, ...given.store };
  const { chat } = listeningChat();
  const queue = only<Queue>({ wake: async () => {}, wakeAt: async () => {}, backlog: async () => 0, ...given.queue });
  const router = only<TrafficRouter>({ listMarked: async () => [], getRoute: async () => null, ...given.router });
  const workload = only<Workload>({
    canaryImage: async () => 'buoyantio/world:v2',
    stableTemplate: async () => ({ template: {}, image: 'buoyantio/world:v1' }),
    isPromoted: async () => false,
    ...given.workload,
  });
  const shared = { store, queue, log, clock: () => performance.now(), random: () => 0, onMessages: () => {} };
  const rollouts = createRollouts({
    ...{ ...shared, router: () => router, workload: () => workload, metrics: only({}), prober: only({}) },
  });
  const answered: string[] = [];
  const expired: string[] = [];
  const sweep = createSweep({
    ...{
      ...shared,
      config: configOf(corner.env, services, given.workloadName ? { workload: given.workloadName } : {}),
      chat,
      rollouts,
    },
    commands: only<Commands>({
      remember: () => {},
      carryOut: async (_, taken) => {
        answered.push(taken.service);
        await given.answer?.();
        return null;
      },
      expire: async (_, taken) => {
        expired.push(taken.service);
        return null;
      },
    }),
    outbox: { flush: given.flush ?? (async () => {}), doubts: given.doubts ?? (() => []) },
    routerOf: () => router,
    workloadOf: () => workload,
  });
  stops.push(sweep.stop);
  return { sweep, answered, expired, log };
}

/** Sets the sweep going, with the rounds of so long a time at once; further ones do not come in this test. */
async function run(sweep: ReturnType<typeof createSweep>, ms: number): Promise<void> {
  // Once it is connected: while the clock jumps, Redis would seem late.
  await corner.store.now();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  sweep.start();
  await vi.advanceTimersByTimeAsync(ms);
}

/** A write that works. */
const noting = (list: string[], what: string) => async () => {
  list.push(what);
  return { kind: 'done' } as const;
};

const marked = (rollout: string, env: string | null, more = {}): MarkedRoute => ({
  object: 'HTTPRoute world/world',
  marks: marksOf(rollout, more),
  env,
});

describe('what is due', () => {
  it('does not wait for Slack', async () => {
    let looked = 0;
    const { sweep } = aSweep({
      store: {
        takeOverdue: async () => {
          looked++;
          return [];
        },
        pendingOutbox: async () => ['world-aaaaaa'],
      },
      flush: () => new Promise(() => {}),
    });
    await run(sweep, 2_300);
    await expect.poll(() => looked, PATIENT).toBeGreaterThan(2);
  });
});

it('messages that wait in Redis, and what only this process doubts, are taken up again each second', async () => {
  const flushed: string[] = [];
  const { sweep } = aSweep({
    store: { pendingOutbox: async () => ['world-aaaaaa', 'world-bbbbbb'] },
    flush: async (id) => void flushed.push(id),
    doubts: () => ['world-bbbbbb', 'world-cccccc'],
  });
  await run(sweep, 1_300);
  await expect.poll(() => flushed.slice(0, 3), PATIENT).toEqual(['world-aaaaaa', 'world-bbbbbb', 'world-cccccc']);
});

describe('many that are due at once', () => {
  const BATCH = 100;

  it.each([
    { backlog: 0, taken: 2_000 },
    { backlog: 1_500, taken: 500 },
    { backlog: 50_000, taken: BATCH },
  ])('are taken up as far as $backlog hints that wait leave room', async ({ backlog, taken }) => {
    const rounds: number[] = [];
    const { sweep } = aSweep({
      store: { takeOverdue: async (_, __, limit) => Array.from({ length: limit }, (___, n) => `world-${n}`) },
      queue: { backlog: async () => backlog, wakeAt: async () => void rounds.push(1) },
    });
    await run(sweep, 800);
    await expect.poll(() => rounds.length, PATIENT).toBe(taken);
  });
});

describe('the inbox', () => {
  const aged = (ms: number): Partial<Store> => ({
    withIntakes: async (services) => services,
    intakes: async (service) => [{ id: `${(await corner.store.now()) - ms}-0`, body: typed(`${service} v2`) }],
  });

  it('is worked through, though one entry is broken', async () => {
    const { sweep, answered } = aSweep({
      services: ['alpha', 'beta'],
      store: aged(20_000),
      answer: () => Promise.reject(new Error('broken')),
    });
    await run(sweep, 3_800);
    await expect.poll(() => answered, PATIENT).toEqual(expect.arrayContaining(['alpha', 'beta']));
  });

  it('of the threads is worked through too', async () => {
    const { sweep, answered } = aSweep({ store: aged(20_000) });
    await run(sweep, 3_800);
    await expect.poll(() => answered, PATIENT).toContain(THREADS);
  });

  it("works on what was recorded before Redis' clock was set back", async () => {
    const { sweep, answered } = aSweep({ store: aged(-3_600_000) });
    await run(sweep, 3_800);
    await expect.poll(() => answered, PATIENT).toContain('world');
  });

  it('drops what is older than 5 minutes', async () => {
    const { sweep, answered, expired } = aSweep({ store: aged(301_000) });
    await run(sweep, 3_800);
    await expect.poll(() => expired, PATIENT).toContain('world');
    expect(answered).toEqual([]);
  });
});

describe('a rollout that only the cluster knows', () => {
  const ID = 'world-aaaaaa';
  const listed = (route: MarkedRoute): Partial<TrafficRouter> => ({ listMarked: async () => [route] });

  it('is begun aborted: nobody starts it again should this process die', async () => {
    const { sweep } = aSweep({
      router: listed(marked(ID, corner.env)),
      store: { lease: () => Promise.reject(new Error('killed')) },
    });
    await sweep.reconcile();
    const found = await loaded(corner.store, ID);
    expect(found).toMatchObject({ rollout: { phase: { kind: 'queued' }, epoch: 5 }, abort: { epoch: 6 } });
  });

  it('is told with what happened, and gives stable its template back', async () => {
    const written: string[] = [];
    const { sweep } = aSweep({
      router: {
        ...listed(marked(ID, null, { abort: 'U0BO@now' })),
        reset: (_, { epoch }) => noting(written, `reset at ${epoch}`)(),
        release: async () => ({ kind: 'done' }),
        confirmed: async () => ({ kind: 'confirmed' }),
      },
      workload: {
        demote: noting(written, 'demote'),
        raise: async () => ({ kind: 'done' }),
        cleanUp: async () => ({ kind: 'done' }),
      },
    });
    await sweep.reconcile();
    expect(written).toEqual(['demote', 'reset at 6']);
    const { phase } = (await loaded(corner.store, ID)).rollout;
    expect(phase).toMatchObject({
      cause: { kind: 'fenced', message: expect.stringMatching(/lost .*aborted there by U0BO/) },
    });
  });

  it('is left alone when the bot of another env drives it', async () => {
    const { sweep, log } = aSweep({ router: listed(marked(ID, 'production')) });
    await sweep.reconcile();
    expect(await corner.store.load(ID)).toBeNull();
    expect(log.lines.map(({ message }) => message).join()).toMatch(/another env/);
  });

  it('keeps what is promoted, and only cleans up', async () => {
    const done: string[] = [];
    const { sweep } = aSweep({
      router: {
        ...listed(marked(ID, corner.env)),
        getRoute: async () => ({ route: { weight: 0, preview: null, mirror: null }, marks: marksOf(ID) }),
        reset: noting(done, 'reset'),
        release: noting(done, 'release'),
      },
      workload: { isPromoted: async () => true, cleanUp: noting(done, 'clean up') },
    });
    await sweep.reconcile();
    expect(await corner.store.load(ID)).toBeNull();
    expect(done).toEqual(['reset', 'clean up', 'release']);
  });
});

describe('a promotion of versions beside each other that only the cluster knows', () => {
  const ID = 'world-aaaaaa';
  const all = { weight: 100, preview: null, mirror: null };
  const drift = { object: 'HTTPRoute world/world', difference: 'it sends to world-v1', weight: null };
  const found: Partial<TrafficRouter> = {
    listMarked: async () => [marked(ID, corner.env)],
    locate: async (target) => ({
      ok: true,
      target: { ...target, deployment: 'world-v1', versioned: { base: 'world', canary: 'world-v2' } },
    }),
  };
  const lost = (router: Partial<TrafficRouter>, done: string[]) =>
    aSweep({
      workloadName: 'versioned',
      router: {
        ...found,
        getRoute: async () => ({ route: all, marks: marksOf(ID), settled: true }),
        confirmed: async () => ({ kind: 'confirmed' }),
        sendsToStable: async () => [],
        release: noting(done, 'release'),
        ...router,
      },
      workload: {
        async cleanUp(_target, { epoch }, ended) {
          done.push(`${ended} at ${epoch}`);
          return { kind: 'done' };
        },
      },
    });

  it('is none while one of its routes is not settled: it is aborted', async () => {
    const { sweep } = aSweep({
      workloadName: 'versioned',
      router: { ...found, getRoute: async () => ({ route: null, marks: marksOf(ID) }) },
      store: { lease: () => Promise.reject(new Error('killed')) },
    });
    await sweep.reconcile();
    expect(await loaded(corner.store, ID)).toMatchObject({ rollout: { epoch: 5 }, abort: { epoch: 6 } });
  });

  it.each<
    [string, Partial<TrafficRouter>, Awaited<ReturnType<NonNullable<TrafficRouter['settle']>>>, readonly string[]]
  >([
    ['is finished', {}, { kind: 'done' }, ['promoted at 5', 'release']],
    [
      'leaves what somebody changed since, and the pods of both',
      { getRoute: async () => ({ route: null, marks: marksOf(ID), settled: true }) },
      { kind: 'drifted', drift },
      ['disputed at 5', 'release'],
    ],
    [
      'leaves the pods of both where another rule sends to the version before',
      { sendsToStable: async () => ['HTTPRoute world/world'] },
      { kind: 'done' },
      ['disputed at 5', 'release'],
    ],
    ['is left to whoever holds it by now', {}, { kind: 'fenced', by: marksOf('world-bbbbbb') }, []],
  ])('%s', async (_, router, settled, wanted) => {
    const done: string[] = [];
    const written: unknown[] = [];
    const settle: TrafficRouter['settle'] = async (_target, by, _journal, overwrite) => {
      written.push({ ...by, overwrite });
      return settled;
    };
    await lost({ ...router, settle }, done).sweep.reconcile();
    expect(written).toEqual([{ rollout: ID, epoch: 4, seq: 10, overwrite: false }]);
    expect(done).toEqual(wanted);
    // What has nothing to be told is not written down again.
    const kept = await corner.store.load(ID);
    const isTold = wanted[0]?.startsWith('disputed') ?? false;
    expect(kept?.rollout.phase ?? null).toEqual(
      isTold
        ? { kind: 'succeeded', since: expect.any(Number), disputed: expect.stringMatching(/^HTTPRoute world\/world /) }
        : null,
    );
    const messages = (await corner.store.unsent(ID)).map(({ outgoing: { key, note } }) => note?.kind ?? key);
    expect(messages).toEqual(isTold ? ['root', 'result', 'disputed'] : []);
  });
});

describe('an ended promotion of versions beside each other that still holds its route', () => {
  const drift = { object: 'HTTPRoute world/world', difference: 'it sends to world-v1', weight: null };

  /** `succeeded`, long before its marks are found. */
  async function ended() {
    const id = 'world-aaaaaa';
    const plan = samplePlan('world', corner.env);
    const target = { ...plan.target, deployment: 'world-v1', workload: 'versioned' } as const;
    const versioned = { base: 'world', canary: 'world-v2' };
    const event = { type: 'requested', id, plan: { ...plan, target: { ...target, versioned } }, epoch: 1 } as const;
    await corner.store.create(begin(event, await corner.store.now()), event, null);
    return playTo(corner.store, id, ({ kind }) => kind === 'succeeded');
  }

  it.each<[string, 'done' | 'drifted' | 'fenced', readonly string[]]>([
    ['is told once that somebody changed it since, and the pods of both stay', 'drifted', ['disputed']],
    ['is given back', 'done', ['promoted']],
    ['is left to whoever holds it by now', 'fenced', []],
  ])('%s', async (_, settled, wanted) => {
    const { rollout } = await ended();
    const how: (string | undefined)[] = [];
    const by = marksOf(rollout.id);
    const { sweep } = aSweep({
      router: {
        listMarked: async () => [marked(rollout.id, corner.env)],
        getRoute: async () => ({ route: { ...STABLE_ROUTE, weight: 100 }, marks: by, settled: true }),
        settle: async () =>
          settled === 'done'
            ? { kind: settled }
            : settled === 'fenced'
              ? { kind: settled, by }
              : { kind: settled, drift },
        confirmed: async () => ({ kind: 'confirmed' }),
        sendsToStable: async () => [],
        release: async () => ({ kind: 'done' }),
      },
      workload: {
        async cleanUp(_target, _fence, end) {
          how.push(end);
          return { kind: 'done' };
        },
      },
    });
    for (let times = 0; times < 2; times++) await sweep.reconcile();
    expect(how).toEqual([...wanted, ...wanted]);
    const disputed = 'HTTPRoute world/world was changed by somebody else: it sends to world-v1';
    expect((await loaded(corner.store, rollout.id)).rollout.phase).toEqual({
      ...rollout.phase,
      ...(settled === 'drifted' && { disputed }),
    });
    const notes = (await corner.store.unsent(rollout.id)).flatMap(({ outgoing }) => outgoing.note ?? []);
    expect(notes.filter(({ kind }) => kind === 'disputed')).toHaveLength(settled === 'drifted' ? 1 : 0);
  });

  it.each<[string, 'cleanUp' | 'release', readonly string[]]>([
    ['keeps its marks while what it made cannot be taken away', 'cleanUp', ['cleanUp', 'cleanUp']],
    ['is tried again while its marks cannot be taken off', 'release', ['cleanUp', 'release', 'cleanUp', 'release']],
  ])('%s', async (_, refused, wanted) => {
    const { rollout } = await ended();
    const asked: string[] = [];
    const step = (name: string) => async () => {
      asked.push(name);
      return name === refused ? ({ kind: 'refused', message: 'no right' } as const) : ({ kind: 'done' } as const);
    };
    const { sweep } = aSweep({
      router: {
        listMarked: async () => [marked(rollout.id, corner.env)],
        getRoute: async () => ({
          route: { ...STABLE_ROUTE, weight: 100 },
          marks: marksOf(rollout.id),
          settled: true,
        }),
        settle: async () => ({ kind: 'done' }),
        confirmed: async () => ({ kind: 'confirmed' }),
        sendsToStable: async () => [],
        release: step('release'),
      },
      workload: { cleanUp: step('cleanUp') },
    });
    for (let times = 0; times < 2; times++) await sweep.reconcile();
    expect(asked).toEqual(wanted);
  });
});

describe('a bot without Slack', () => {
  const ID = 'world-aaaaaa';
  const marks = (env: string | null, more = {}): Setting => ({
    router: { listMarked: async () => [marked(ID, env, more)] },
  });
  const gone = () => Promise.reject(new Error('no answer'));

  it.each<[string, boolean, () => Setting]>([
    ['guards nothing where neither Redis nor the cluster has a rollout', false, () => ({})],
    ['guards what Redis says', true, () => ({ store: { active: async () => [ID] } })],
    ['guards what only the cluster knows, since Redis has lost it', true, () => marks(corner.env)],
    ['guards no rollout that has ended', false, () => marks(corner.env, { phase: 'done' })],
    ['leaves what the bot of another env drives to that one', false, () => marks('production')],
    ['guards where Redis does not answer', true, () => ({ store: { active: gone } })],
    ['guards where the cluster does not answer', true, () => ({ router: { listMarked: gone } })],
  ])('%s', async (_, guards, setting) => {
    const { sweep, log } = aSweep(setting());
    expect(await sweep.isGuarding()).toBe(guards);
    const said = log.lines.map(({ message }) => message).join();
    if (/does not answer/.test(_)) expect(said).toMatch(/cannot be told/);
    else expect(said).toBe('');
  });
});

describe('reconciling', () => {
  it('goes on past a service, a namespace and a route that cannot be read', async () => {
    const [broken, good] = [
      await start(corner.store, 'alpha', corner.env),
      await start(corner.store, 'beta', corner.env),
    ];
    const compared: string[] = [];
    const { sweep } = aSweep({
      services: ['alpha', 'beta'],
      store: {
        load: (id) => {
          compared.push(id);
          return id === broken.id ? Promise.reject(new Error('newer schema')) : corner.store.load(id);
        },
      },
      router: {
        listMarked: async ([namespace]) => {
          if (namespace === 'alpha') throw new Error('forbidden');
          return [marked(broken.id, null), marked(good.id, null, { epoch: 0 })];
        },
      },
    });
    await sweep.reconcile();
    // Once each for who asked for it, once each for its marks.
    expect(compared.toSorted()).toEqual([broken.id, broken.id, good.id, good.id].toSorted());
  });

  const HOUR = 3_600_000;

  it.each([
    { when: 'the due index has lost it', hint: null, again: true },
    { when: 'the hint of its last transition was lost, and an older one is far ahead', hint: HOUR, again: true },
    { when: 'an older hint is about to come', hint: 30_000, again: false },
  ])('puts the hint of a rollout back when $when', async ({ hint, again }) => {
    const { id } = await start(corner.store, 'world', corner.env);
    await expect.poll(() => corner.store.takeOverdue(0, 0, 10)).toEqual([id]);
    await corner.store.schedule(id, hint === null ? null : (await corner.store.now()) + hint);
    const { sweep } = aSweep({});
    await sweep.reconcile();
    expect(await corner.store.takeOverdue(0, 0, 10)).toEqual(again ? [id] : []);
  });

  it("looks at all of them again when Redis' clock was set back: what was due then is an hour ahead now", async () => {
    const { id } = await start(corner.store, 'world', corner.env);
    await corner.store.schedule(id, (await corner.store.now()) + 30_000);
    let back = 0;
    const scheduled: string[] = [];
    const { sweep } = aSweep({
      store: {
        now: async () => (await corner.store.now()) - back,
        schedule: async (one) => void scheduled.push(one),
      },
    });
    await sweep.reconcile();
    expect(scheduled).toEqual([]);
    back = HOUR;
    await sweep.reconcile();
    expect(scheduled).toEqual([id]);
    await sweep.reconcile();
    expect(scheduled).toEqual([id]);
  });

  it('leaves those alone who have their hints, however many wait', async () => {
    const { id } = await start(corner.store, 'world', corner.env);
    await expect.poll(() => corner.store.takeOverdue(0, 0, 10)).toEqual([id]);
    const scheduled: string[] = [];
    const { sweep } = aSweep({ store: { schedule: async (one) => void scheduled.push(one) } });
    await sweep.reconcile();
    expect(scheduled).toEqual([]);
  });

  it('reads who asked for a rollout once, though Redis takes longer for it than the rounds are apart', async () => {
    await start(corner.store, 'world', corner.env);
    let answer = () => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    let loads = 0;
    const { sweep } = aSweep({
      store: {
        load: async (id) => {
          loads++;
          await answered;
          return corner.store.load(id);
        },
      },
    });
    for (let round = 0; round < 3; round++) await sweep.reconcile();
    answer();
    expect(loads).toBe(1);
  });

  it('sends what active rollouts have to say, should the hint of it be lost', async () => {
    const { id } = await start(corner.store, 'world', corner.env);
    const flushed: string[] = [];
    const { sweep } = aSweep({ flush: async (one) => void flushed.push(one) });
    await sweep.reconcile();
    expect(flushed).toEqual([id]);
  });
});
