/** Rollouts in Redis: one hash each, an append-only stream of events, and the lock that makes them one per service. */
import type { Log } from '../../app/ports/log.ts';
import type { Loaded, RecordedEvent, Release, Store } from '../../app/ports/store.ts';
import { Unreadable } from '../../app/unreadable.ts';
import type { Outgoing } from '../../core/event.ts';
import { serviceOf } from '../../core/id.ts';
import { isKnownPhase } from '../../core/known.ts';
import type { Plan } from '../../core/plan.ts';
import { isAbortable, isTerminal, openGate, type Rollout } from '../../core/rollout.ts';
import { next, nextLook } from '../../core/schedule.ts';
import { inBatches } from './batches.ts';
import { linkHash, NO_HEAD, type StoredEvent, withoutPlan } from './chain.ts';
import type { RedisClient } from './connect.ts';
import { scoreOf } from './hints.ts';
import type { Keys, RolloutKeys } from './keys.ts';
import { pack, unpack } from './pack.ts';
import { millis, type StateReply } from './scripts.ts';
import { createThreads, threadOf } from './threads.ts';

/** Layout of the hash. A rollout with another number is left alone. */
const SCHEMA = 1;
const LOADED_FOR_MS = 5_000;
const ENDED_KEPT_MS = 30 * 24 * 3_600_000;
const RELEASES_KEPT = 20;
const PLANS_KEPT = 500;

type Deps = {
  readonly work: RedisClient;
  /** Its calls end within 250 ms. */
  readonly urgent: RedisClient;
  readonly keys: Keys;
  readonly log: Log;
};

/** What is kept of a recorded abort; its epoch is the hash's own. */
type AbortRequest = Pick<NonNullable<Loaded['abort']>, 'actor' | 'reason'>;

type RolloutStore = Pick<
  Store,
  'load' | 'create' | 'save' | 'nextEpoch' | 'requestAbort' | 'holder' | 'rolloutIn' | 'active' | 'events' | 'releases'
>;

export function createRolloutStore({ work, urgent, keys, log }: Deps): RolloutStore {
  const readPlan = createPlanReader();
  const threads = createThreads(work, keys, hint);

  /** Hints are written beside a transition: one that fails is only late, the sweep finds the rollout. */
  function hint(id: string, write: Promise<unknown>): void {
    write.catch((error: unknown) => log.warn({ rollout: id, err: error }, 'hint not written'));
  }

  /**
   * Before the transition, should this process die right after it; and after it, should the sweep have dropped the hint in
   * between. One too many is dropped by the sweep.
   */
  function hintUnsent(id: string, messages: readonly Outgoing[], now: number): void {
    if (messages.length > 0) hint(id, work.zadd(keys.unsent, 'NX', now, id));
  }

  function hintDue(rollout: Rollout, now: number): void {
    const { id } = rollout;
    hint(id, isTerminal(rollout) ? work.zrem(keys.due, id) : work.zadd(keys.due, lookOf(rollout, now), id));
  }

  async function active(services: readonly string[]): Promise<readonly string[]> {
    // One call each and not one for all: the locks live in different slots.
    const holders = await inBatches(services, (batch) =>
      Promise.all(batch.map((service) => work.get(keys.service(service).lock))),
    );
    return holders.filter((id) => id !== null);
  }

  return {
    async load(id) {
      if (serviceOf(id) === null) return null;
      const at = keys.rollout(id);
      return parseLoaded(id, at, await work.sluiceLoadBuffer(at.state), readPlan);
    },

    async create({ rollout, messages }, event, intake, abort) {
      const { id, plan, epoch, requestedAt: at } = rollout;
      const at1 = keys.rollout(id);
      hintUnsent(id, messages, at);
      const [kind, detail] = await work.sluiceCreate(
        ...[at1.state, at1.events, at1.outbox, at1.lock, at1.epoch, at1.inbox],
        ...[
          id,
          at1.rollouts,
          epoch,
          linkHash(NO_HEAD, 1, at, event),
          rollout.phase.kind,
          flag(isAbortable(rollout)),
          at,
        ],
        ...[
          pack(withoutPlan(event).event),
          pack(plan),
          stateOf(rollout),
          SCHEMA,
          intake ?? '',
          abort ? pack(abort) : '',
          lookOf(rollout, at),
        ],
        ...messages.flatMap(written),
      );
      if (kind === 'busy') return { kind, by: detail };
      if (kind === 'epoch')
        throw new Error(`create ${id}: epoch ${epoch} is used up, Redis knows ${detail}; ask nextEpoch again`);
      if (kind === 'gone') return { kind };
      if (kind !== 'created') throw new Error(`create ${id}: there is a rollout with this id`);
      hintUnsent(id, messages, at);
      hintDue(rollout, at);
      return { kind: 'created' };
    },

    async save(loaded, event, { rollout, messages }, { intake = '', releases = [] } = {}) {
      const { id, epoch } = rollout;
      // The hash carries the epoch of a recorded abort already: whoever has not seen that abort loses the compare.
      const known = loaded.abort?.epoch ?? loaded.rollout.epoch;
      const head = linkHash(loaded.head, rollout.version, loaded.now, event);
      const at = keys.rollout(id);
      hintUnsent(id, messages, loaded.now);
      threads.note(loaded.rollout, rollout);
      const [kind, ...time] = await work.sluiceSave(
        ...[at.state, at.events, at.outbox, at.lock, at.epoch, at.inbox, at.releases],
        ...[id, loaded.rollout.version, known, loaded.head, loaded.now, flag(event.type === 'abort_requested')],
        ...[rollout.version, epoch, head, rollout.phase.kind, flag(isAbortable(rollout)), stateOf(rollout)],
        ...[
          pack(withoutPlan(event).event),
          intake,
          isTerminal(rollout) ? ENDED_KEPT_MS : '',
          LOADED_FOR_MS,
          RELEASES_KEPT,
          lookOf(rollout, loaded.now),
          threadOf(rollout) ?? '',
        ],
        ...[messages.length, ...messages.flatMap(written), ...releases.map((release) => JSON.stringify(release))],
      );
      const [seconds, microseconds] = time;
      if (kind === 'gone') return kind;
      if (kind === 'lower epoch') throw new Error(`save ${event.type} of ${id}: epoch ${epoch} is below ${known}`);
      if (kind !== 'saved' || seconds === undefined || microseconds === undefined) {
        log.debug({ rollout: id, event: event.type, version: rollout.version, differs: kind }, 'transition refused');
        return 'conflict';
      }
      const now = millis([seconds, microseconds]);
      hintUnsent(id, messages, now);
      hintDue(rollout, now);
      threads.drop(loaded.rollout, rollout);
      return { rollout, head, now, abort: null };
    },

    async nextEpoch(service, seen) {
      // `create` refuses an epoch that was used in the meantime, so there is nothing to reserve.
      return Math.max(Number((await work.get(keys.service(service).epoch)) ?? 0), seen) + 1;
    },

    async requestAbort(id, actor, reason) {
      if (serviceOf(id) === null) return null;
      const at = keys.rollout(id);
      const [recorded, ...reply] = await urgent.sluiceAbortBuffer(at.state, at.epoch, SCHEMA, pack({ actor, reason }));
      // If this process dies now, or cannot read what a newer one wrote, a sweep carries the abort out.
      if (recorded === 1) hint(id, urgent.zadd(keys.due, timeIn(reply), id));
      const loaded = parseLoaded(id, at, reply, readPlan);
      if (!loaded) return null;
      return { loaded, recorded: recorded === 1 };
    },

    holder: (service) => work.get(keys.service(service).lock),

    rolloutIn: async (thread, services) =>
      (await threads.noted(thread)) ?? threads.among(thread, await active(services)),

    active,

    async events(id) {
      if (serviceOf(id) === null) return [];
      const { state, events } = keys.rollout(id);
      const [plan, stored] = await Promise.all([work.hgetBuffer(state, 'plan'), work.lrangeBuffer(events, 0, -1)]);
      return stored.map((entry, index) => parseEvent(entry, index + 1, plan));
    },

    async releases(service) {
      const kept = await work.lrange(keys.service(service).releases, 0, -1);
      return kept.map((release): Release => JSON.parse(release));
    },
  };
}

/** When it is to be looked at next, as the due index says it. */
const lookOf = (rollout: Rollout, now: number) =>
  scoreOf(next(rollout, now).kind === 'wait' ? (nextLook(rollout) ?? Number.POSITIVE_INFINITY) : now);

const flag = (yes: boolean) => (yes ? '1' : '0');

/**
 * Without the plan, which never changes and is written once. What waits for people may do so for days and is packed; what
 * runs is written the fast way.
 */
function stateOf(rollout: Rollout): string | Buffer {
  const { plan: _, ...state } = rollout;
  return openGate(rollout) ? pack(state) : JSON.stringify(state);
}

function written({ key, note }: Outgoing): [key: string, note: string] {
  return [key, note ? JSON.stringify(note) : ''];
}

/** A plan never changes, and unpacking it is most of a load: those that were read last are kept. */
function createPlanReader() {
  const kept = new Map<string, { readonly packed: Buffer; readonly plan: Plan }>();
  return (id: string, packed: Buffer): Plan => {
    const known = kept.get(id);
    if (known?.packed.equals(packed)) return known.plan;
    const plan = unpack<Plan>(packed);
    const [oldest] = kept.keys();
    if (kept.size >= PLANS_KEPT && oldest !== undefined) kept.delete(oldest);
    // A copy: what was read is a part of a much larger buffer.
    kept.set(id, { packed: Buffer.from(packed), plan });
    return plan;
  };
}

type ReadPlan = ReturnType<typeof createPlanReader>;

const timeIn = ([, , , , , , ...time]: StateReply): number => millis(time);

function parseLoaded(id: string, at: RolloutKeys, reply: StateReply, readPlan: ReadPlan): Loaded | null {
  const [schema, plan, state, head, abort, epoch] = reply;
  if (schema === null) return null;
  if (`${schema}` !== `${SCHEMA}`) {
    throw new Unreadable(
      `rollout ${id} has schema ${schema}, this Sluice knows ${SCHEMA}: run the version that wrote it`,
    );
  }
  try {
    if (plan === null || state === null || head === null) throw new Error('a part of it is missing');
    const rollout: Rollout = { ...unpack<Omit<Rollout, 'plan'>>(state), plan: readPlan(id, plan) };
    if (rollout.id !== id || !rollout.phase || !rollout.plan?.target) throw new Error('it has another shape');
    if (!isKnownPhase(rollout.phase)) throw new Unreadable(newerPhase(rollout));
    return {
      rollout,
      head: `${head}`,
      now: timeIn(reply),
      abort: abort === null ? null : { ...unpack<AbortRequest>(abort), epoch: Number(`${epoch}`) },
    };
  } catch (cause) {
    if (cause instanceof Unreadable) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    const remedy = `DEL ${[at.state, at.events, at.outbox].join(' ')}`;
    throw new Unreadable(
      `rollout ${id} cannot be read in Redis (${why}): delete it there (${remedy}), and Sluice finds it by its marks in the cluster and aborts it`,
      { cause },
    );
  }
}

const newerPhase = ({ id, phase }: Rollout) =>
  `rollout ${id} is in a phase that only a newer Sluice knows (${[phase.kind, 'stage' in phase ? phase.stage : ''].join(' ').trim()}): run that version`;

/** `save.lua` and `create.lua` write an entry as time, hash and event, with a blank between. */
function parseEvent(entry: Buffer, version: number, plan: Buffer | null): RecordedEvent {
  const first = entry.indexOf(' ');
  const second = entry.indexOf(' ', first + 1);
  const event = unpack<StoredEvent>(entry.subarray(second + 1));
  return {
    version,
    at: Number(entry.toString('latin1', 0, first)),
    event: event.type === 'requested' ? { ...event, plan: planOf(plan) } : event,
    hash: entry.toString('latin1', first + 1, second),
  };
}

function planOf(plan: Buffer | null): Plan {
  if (plan === null) throw new Error('a rollout has lost its plan in Redis');
  return unpack(plan);
}
