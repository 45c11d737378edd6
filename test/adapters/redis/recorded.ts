/**
 * What Redis holds of rollouts that went through everything that can happen to one: recorded now, or read from a golden file of an
 * earlier Sluice, key by key as it stands there.
 */
import { createKeys } from '../../../src/adapters/redis/keys.ts';
import type { Store } from '../../../src/app/ports/store.ts';
import type { CheckResult } from '../../../src/core/analysis.ts';
import { begin, decide } from '../../../src/core/decide.ts';
import type { Event } from '../../../src/core/event.ts';
import type { Plan } from '../../../src/core/plan.ts';
import { type AbortCause, openGate, type Rollout } from '../../../src/core/rollout.ts';
import { loaded } from '../../contracts/store.ts';
import { BO, nextEvent, samplePlan } from '../../support/played.ts';
import { withRedis } from '../../support/redis.ts';

/** Of one rollout; what is packed is base64 with `packed:` before it. */
export type Kept = {
  readonly id: string;
  readonly state: Readonly<Record<string, string>>;
  readonly events: readonly string[];
  readonly outbox: readonly (readonly [entry: string, fields: readonly string[]])[];
};
export type Golden = { readonly rollouts: readonly Kept[] };

type Corner = { readonly url: string; readonly env: string };
/** `go`: what comes next by itself, until it is there. */
type Move = { readonly go: (rollout: Rollout) => boolean } | { readonly event: (rollout: Rollout) => Event };
type Play = {
  readonly id: string;
  readonly moves: readonly Move[];
  /** Begun as one that Redis had lost after its promotion. */
  readonly disputed?: string;
  /** Its gates run out at once. */
  readonly expires?: true;
  /** At the end an abort is recorded, and not yet its event. */
  readonly aborted?: true;
};
type Answer = Extract<Event, { seq: number }>;
type WithoutSeq<One> = One extends Answer ? Omit<One, 'seq'> : never;
type AtGate = 'held' | 'gate_reminded' | 'gate_expired' | 'reapplied' | 'accepted' | 'retried' | 'kept';

const drift = { object: 'HTTPRoute hello/world', difference: 'its weights are 80 and 20', weight: 20 };

const to = (kind: Rollout['phase']['kind'], stage?: string): Move => ({
  go: ({ phase }) => phase.kind === kind && (stage === undefined || ('stage' in phase && phase.stage === stage)),
});
const toGate = (n: number): Move => ({ go: ({ gates, phase }) => phase.kind === 'waiting' && gates.length === n });
const happens = (make: (rollout: Rollout) => Event): Move => ({ event: make });
/** `event` without the `seq` that it answers. */
const answers = (event: WithoutSeq<Answer>): Move => happens(({ seq }) => ({ ...event, seq }));
const atGate = (type: AtGate): Move => happens((rollout) => ({ type, gate: openGate(rollout)?.id ?? '', actor: BO }));
const aborts = (cause: AbortCause): Move =>
  happens(({ epoch }) => ({ type: 'abort_requested', cause, epoch: epoch + 1 }));
const DELIVERED = happens(() => ({ type: 'message_delivered', key: 'gate:1', ts: '1763632800.000200' }));
const sampled = (verdict: 'fail' | 'no data'): Move =>
  happens(({ epoch, plan }) => ({
    type: 'sampled',
    epoch,
    results: plan.checks.map(({ name }) => result(name, verdict)),
  }));
const result = (check: string, verdict: 'fail' | 'no data'): CheckResult => ({
  ...{ check, verdict, stable: { value: 9 }, requests: { canary: 120, stable: 1_080 } },
  canary: verdict === 'fail' ? { value: 9.5 } : { missing: 'no samples' },
});
const BACK: readonly Move[] = (['reverted', 'refenced', 'cooled', 'cleaned'] as const).map((type) => answers({ type }));

/** Every event, note, phase and cause at least once. */
const PLAYS: readonly Play[] = [
  {
    id: 'world-aaaaaa',
    moves: [
      ...[to('stepping', 'confirm'), answers({ type: 'confirmed', warning: 'the route has no status yet' }), toGate(1)],
      ...[DELIVERED, atGate('gate_reminded'), atGate('held'), sampled('no data')],
      ...[
        answers({ type: 'stalled', since: 1_763_632_800_000, message: 'connect ECONNREFUSED' }),
        answers({ type: 'resumed' }),
      ],
      ...[to('promoting'), answers({ type: 'write_refused', message: 'quota' }), atGate('kept'), atGate('retried')],
      ...[to('promoting', 'ready'), answers({ type: 'promotion_late', message: 'not Ready' }), atGate('retried')],
      ...[to('promoting', 'confirm'), happens(({ epoch }) => ({ type: 'overtaken', epoch: epoch + 1 }))],
      ...[to('promoting', 'cool'), happens(() => ({ type: 'cool_down_cut', actor: BO, recalled: true }))],
      ...[to('succeeded'), happens(() => ({ type: 'disputed', message: 'a rule sends to world-v1' }))],
    ],
  },
  {
    id: 'world-bbbbbb',
    moves: [to('promoting', 'clean'), answers({ type: 'cleaned', disputed: 'a rule sends to world-v1' })],
  },
  { id: 'world-cccccc', moves: [], disputed: 'HTTPRoute hello/world was changed' },
  {
    id: 'world-dddddd',
    moves: [
      ...[toGate(1), answers({ type: 'drifted', drift }), atGate('accepted'), toGate(3)],
      ...[answers({ type: 'drifted', drift }), atGate('reapplied'), to('stepping', 'route')],
      ...[answers({ type: 'write_refused', message: 'denied by a webhook' }), ...BACK],
    ],
  },
  { id: 'world-eeeeee', moves: [answers({ type: 'start_failed', message: 'ImagePullBackOff' }), ...BACK] },
  { id: 'world-ffffff', moves: [toGate(1), answers({ type: 'lost', message: 'world-canary is gone' }), ...BACK] },
  { id: 'world-gggggg', moves: [toGate(1), DELIVERED, atGate('gate_expired'), ...BACK], expires: true },
  {
    id: 'world-hhhhhh',
    moves: [
      ...[toGate(2), aborts({ kind: 'person', actor: BO, reason: 'too slow' })],
      ...[answers({ type: 'abort_stalled', message: '1 of 3 pods', rolling: true })],
      ...[answers({ type: 'abort_stalled', message: 'connect ECONNREFUSED' }), ...BACK],
    ],
  },
  { id: 'world-jjjjjj', moves: [to('stepping', 'bake'), to('stepping', 'bake'), sampled('fail'), sampled('fail')] },
  {
    id: 'world-kkkkkk',
    moves: [to('promoting', 'ready'), aborts({ kind: 'fenced', message: 'the cluster is ahead' })],
  },
  { id: 'world-mmmmmm', moves: [toGate(1), aborts({ kind: 'given up', message: 'it ended the process' })] },
  {
    id: 'world-nnnnnn',
    moves: [to('promoting', 'template'), answers({ type: 'drifted', drift: { ...drift, weight: null } })],
  },
  { id: 'world-pppppp', moves: [toGate(3)], aborted: true },
  { id: 'world-qqqqqq', moves: [to('starting', 'create')] },
  { id: 'world-rrrrrr', moves: [to('promoting', 'ready'), answers({ type: 'promotion_late', message: 'not Ready' })] },
];

/** Gates are reminded of at once, and each check is always due. */
function planOf({ expires }: Play, env: string): Plan {
  const plan = samplePlan('world', env);
  const onTimeout = expires ? 'abort' : 'hold';
  return {
    ...plan,
    steps: plan.steps.map((step) => ({ ...step, gate: step.gate && { ...step.gate, timeoutMs: 0, onTimeout } })),
    checks: plan.checks.map((check) => ({ ...check, intervalMs: 0 })),
  };
}

/** Plays all of it on this store, one rollout after the other. */
export async function recordAll(store: Store, corner: Corner): Promise<Golden> {
  const rollouts: Kept[] = [];
  for (const play of PLAYS) {
    await playOne(store, play, corner.env);
    rollouts.push(await keptOf(corner, play.id));
    // The next one of the service begins without waiting for its end.
    await withRedis(corner.url, (redis) => redis.del(createKeys(corner.env).service('world').lock));
  }
  return { rollouts };
}

async function playOne(store: Store, play: Play, env: string): Promise<void> {
  const { id, disputed } = play;
  const epoch = await store.nextEpoch('world', 0);
  const event = { type: 'requested', id, plan: planOf(play, env), epoch, ...(disputed && { disputed }) } as const;
  await store.create(begin(event, await store.now()), event, null);
  for (const move of play.moves) {
    if ('event' in move) await record(store, id, move.event);
    else for (let isThere = false; !isThere; ) isThere = await goOn(store, id, move.go);
  }
  if (play.aborted) await store.requestAbort(id, BO, 'too slow');
}

async function goOn(store: Store, id: string, isThere: (rollout: Rollout) => boolean): Promise<boolean> {
  if (isThere((await loaded(store, id)).rollout)) return true;
  await record(store, id, (rollout) => {
    const event = nextEvent(rollout);
    if (!event) throw new Error(`${id} never comes there`);
    return event;
  });
  return false;
}

async function record(store: Store, id: string, make: (rollout: Rollout) => Event): Promise<void> {
  const found = await loaded(store, id);
  const event = make(found.rollout);
  const decided = decide(found.rollout, event, found.now);
  if (!decided.ok) throw new Error(`${id}: ${event.type} is refused: ${JSON.stringify(decided.rejection)}`);
  const saved = await store.save(found, event, decided);
  if (typeof saved === 'string') throw new Error(`${id}: ${event.type}: ${saved}`);
}

async function keptOf({ url, env }: Corner, id: string): Promise<Kept> {
  const at = createKeys(env).rollout(id);
  return withRedis(url, async (redis) => ({
    id,
    state: Object.fromEntries(
      Object.entries(await redis.hgetallBuffer(at.state)).map(([key, value]) => [key, text(value)]),
    ),
    events: (await redis.lrangeBuffer(at.events, 0, -1)).map(text),
    outbox: await redis.xrange(at.outbox, '-', '+'),
  }));
}

/** Puts it where a Sluice with this `env` finds it. */
export function restore({ url, env }: Corner, { id, state, events, outbox }: Kept): Promise<void> {
  const at = createKeys(env).rollout(id);
  return withRedis(url, async (redis) => {
    await redis.hset(at.state, new Map(Object.entries(state).map(([key, value]) => [key, bytes(value)])));
    await redis.rpush(at.events, ...events.map(bytes));
    for (const [entry, fields] of outbox) await redis.xadd(at.outbox, entry, ...fields);
  });
}

const PACKED = 'packed:';
const text = (stored: Buffer) => {
  const read = stored.toString('utf8');
  return Buffer.from(read).equals(stored) ? read : `${PACKED}${stored.toString('base64')}`;
};
const bytes = (kept: string): Buffer =>
  kept.startsWith(PACKED) ? Buffer.from(kept.slice(PACKED.length), 'base64') : Buffer.from(kept);
