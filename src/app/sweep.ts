/**
 * The safety net that every replica runs: whatever a lost hint, a crash or a lost Redis left lying is found here. Nothing in
 * it is needed for a rollout to be right, only for it to go on soon.
 */
import { type Commands, timeOf } from './commands.ts';
import type { Outbox } from './outbox.ts';
import { pause } from './pause.ts';
import type { Queue } from './ports/queue.ts';
import type { Intake } from './ports/store.ts';
import { createReconciliation, type Deps as ReconcileDeps } from './reconcile.ts';
import { type Request, THREADS } from './requests.ts';

type Deps = ReconcileDeps & {
  readonly queue: Queue;
  /** Between 0 and 1; spreads rounds and hints. */
  readonly random: () => number;
  readonly commands: Commands;
  readonly outbox: Pick<Outbox, 'flush' | 'doubts'>;
  /** Called once, when all that is only read after a start was read. */
  readonly settled?: () => void;
};

const DUE_EVERY_MS = 1_000;
/** A due rollout is the queue's to wake; later than this its hint was lost. */
const LATE_MS = 1_000;
/** A replica that claimed it and died loses it this soon. */
const CLAIM_MS = 3_000;
const OUTBOX_EVERY_MS = 1_000;
const INBOX_EVERY_MS = 5_000;
/** An inbox entry this old was left by a process that died after the acknowledgement. */
const ABANDONED_MS = 10_000;
/** Older than this nobody expects it to be acted on any more (design section 7.7). */
const EXPIRED_MS = 300_000;
const RECONCILE_EVERY_MS = 60_000;
const BATCH = 100;
/** Hints that may wait in the queue: with more, those who are overdue are taken up later and not twice. */
const BACKLOG = 2_000;
/** Rollouts whose hints were lost are spread over at least two seconds, and so that this many a second come due. */
const SPREAD_PER_SECOND = 500;
/** Who asked for a rollout is read this slowly after a start: nothing waits for it. */
const ACQUAINT = { atOnce: 10, everyMs: 20 } as const;

export function createSweep(deps: Deps) {
  const { store, queue, log, config } = deps;
  const { compareMarks, holdsAny } = createReconciliation(deps, guarded);
  const timers = new Set<NodeJS.Timeout>();
  const acquainted = new Set<string>();
  let stopped = false;
  let isSettled = false;
  let reconciling: Promise<void> | null = null;
  let isAcquainting = false;
  /** Redis TIME at the last round. */
  let newest = 0;

  function start(): void {
    every('due', DUE_EVERY_MS, due);
    // Apart from what is due: that must not wait for Slack.
    every('outbox', OUTBOX_EVERY_MS, outbox);
    every('inbox', INBOX_EVERY_MS, inbox);
    every('reconcile', RECONCILE_EVERY_MS, reconcile);
    void reconcile();
  }

  function stop(): void {
    stopped = true;
    for (const timer of timers) clearTimeout(timer);
  }

  /** Repeats with jitter, never twice at once; a failure only waits for the next round. */
  function every(name: string, ms: number, work: () => Promise<void>): void {
    const timer = setTimeout(
      async () => {
        timers.delete(timer);
        if (stopped) return;
        await guarded(name, work);
        if (!stopped) every(name, ms, work);
      },
      ms * (0.75 + deps.random() / 2),
    );
    timers.add(timer);
  }

  async function guarded(name: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      log.warn({ sweep: name, err: error }, 'sweep failed, will be repeated');
    }
  }

  async function due(): Promise<void> {
    let room: number | null = null;
    do {
      const overdue = await store.takeOverdue(LATE_MS, CLAIM_MS, BATCH);
      if (overdue.length > 0) {
        const now = await store.now();
        // As a timer, not as a wake-up: that would wait behind the job of the replica that died with this rollout in hand.
        await Promise.all(overdue.map((id) => queue.wakeAt(id, now, now)));
      }
      if (overdue.length < BATCH) return;
      room = (room ?? BACKLOG - (await queue.backlog())) - BATCH;
    } while (room > 0 && !stopped);
  }

  async function outbox(): Promise<void> {
    const waiting = new Set([...(await store.pendingOutbox(BATCH)), ...deps.outbox.doubts()]);
    await Promise.all([...waiting].map(deps.outbox.flush));
  }

  async function inbox(): Promise<void> {
    const services = await store.withIntakes([...Object.keys(config.services), THREADS]);
    // Side by side: each answer may wait for Slack, and an abort of one service waits for no other.
    await Promise.all(services.map((service) => guarded(`inbox of ${service}`, () => inboxOf(service))));
  }

  async function inboxOf(service: string): Promise<void> {
    const now = await store.now();
    for (const intake of await store.intakes(service)) {
      const age = now - timeOf(intake);
      // From far ahead of now: Redis' clock was set back, and nobody knows how long it has waited.
      if (age >= ABANDONED_MS || age < -ABANDONED_MS)
        await guarded(`request ${intake.id}`, () => takeUp(service, intake, age));
    }
  }

  async function takeUp(service: string, intake: Intake, age: number): Promise<void> {
    const request = intake.body as Request;
    const taken = { service, id: intake.id };
    log.info({ ...taken, age }, 'a request was left over');
    await (age > EXPIRED_MS ? deps.commands.expire(request, taken) : deps.commands.carryOut(request, taken));
  }

  /** Redis against itself (every active rollout is due some time) and against the cluster's marks; one run at a time. */
  function reconcile(): Promise<void> {
    reconciling ??= guarded('reconcile', compareAll).finally(() => {
      reconciling = null;
    });
    return reconciling;
  }

  /**
   * Whether a rollout runs, by Redis, or by its marks in the cluster should Redis have lost it; also where that cannot be told.
   */
  async function isGuarding(): Promise<boolean> {
    try {
      const active = await store.active(Object.keys(config.services));
      return active.length > 0 || (await holdsAny());
    } catch (error) {
      log.warn({ err: error }, 'whether a rollout runs cannot be told: going on as if one did');
      return true;
    }
  }

  async function compareAll(): Promise<void> {
    const active = await store.active(Object.keys(config.services));
    await guarded('lost hints', () => remind(active));
    void guarded('who asked', () => acquaint(active)).then(settle);
    await compareMarks();
  }

  /** Puts lost hints back. Whoever has theirs is left alone: a start with thousands of waiting rollouts is no herd. */
  async function remind(active: readonly string[]): Promise<void> {
    const { late: lost, unsent } = await store.forgotten(active, RECONCILE_EVERY_MS);
    const now = await store.now();
    const isBack = now < newest - LATE_MS;
    newest = now;
    if (isBack) log.warn({}, "Redis' clock was set back: looking at all rollouts again");
    // What was due then is far ahead now.
    const late = isBack ? active.map((id) => ({ id, at: now })) : lost;
    const spreadMs = Math.max(2_000, (late.length / SPREAD_PER_SECOND) * 1_000);
    const reminded = late.map(({ id, at }) => store.schedule(id, Math.max(at, now + deps.random() * spreadMs)));
    await Promise.all(reminded);
    for (const id of unsent) void deps.outbox.flush(id);
  }

  /** What another process has begun is known here too: an abort by who asked for it needs no look-up then. */
  async function acquaint(active: readonly string[]): Promise<void> {
    // With thousands, or a slow Redis, it lasts longer than rounds are apart: who has come since is read in the next one.
    if (isAcquainting) return;
    isAcquainting = true;
    try {
      await readStrangers(active);
    } finally {
      isAcquainting = false;
    }
  }

  async function readStrangers(active: readonly string[]): Promise<void> {
    const current = new Set(active);
    for (const id of acquainted) if (!current.has(id)) acquainted.delete(id);
    const strangers = active.filter((id) => !acquainted.has(id));
    for (let at = 0; at < strangers.length && !stopped; at += ACQUAINT.atOnce) {
      await Promise.all(
        strangers.slice(at, at + ACQUAINT.atOnce).map((id) =>
          guarded(`active ${id}`, async () => {
            const loaded = await store.load(id);
            if (loaded) deps.commands.remember(loaded.rollout);
            acquainted.add(id);
            // Changed objects wake those that this process has looked at: with users on the canary, nobody waits for a reminder.
            if (loaded && loaded.rollout.route.weight > 0) await queue.wake(id);
          }),
        ),
      );
      await pause(ACQUAINT.everyMs);
    }
  }

  function settle(): void {
    if (!isSettled) deps.settled?.();
    isSettled = true;
  }

  return { start, stop, reconcile, isGuarding };
}
