/**
 * The safety net that every replica runs: whatever a lost hint, a crash or a lost Redis left lying is found here. Nothing in
 * it is needed for a rollout to be right, only for it to go on soon.
 */
import { type Config, imageOf, planOf, versionOf } from '../core/config.ts';
import { begin } from '../core/decide.ts';
import { serviceOf } from '../core/id.ts';
import type { Target } from '../core/plan.ts';
import { type Event, isTerminal, type Rollout } from '../core/rollout.ts';
import { routePlaces } from '../core/traffic.ts';
import { type Commands, timeOf } from './commands.ts';
import { endOfPromotion } from './ending.ts';
import type { Deps as HandleDeps, Rollouts } from './handle.ts';
import { locate, targetOf } from './locate.ts';
import { pause } from './pause.ts';
import type { Chat, Ended, Fence, Intake, MarkedRoute, TrafficRouter, Workload } from './ports.ts';
import { type Request, THREADS } from './requests.ts';

type Deps = Pick<HandleDeps, 'store' | 'queue' | 'log' | 'clock' | 'random' | 'onMessages'> & {
  readonly config: Config;
  readonly chat: Chat;
  readonly rollouts: Rollouts;
  readonly commands: Commands;
  readonly flush: (id: string) => Promise<void>;
  readonly routerOf: (target: Target) => TrafficRouter;
  readonly workloadOf: (target: Target) => Workload;
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
const ACQUAINT = { atOnce: 50, everyMs: 100 } as const;

export function createSweep(deps: Deps) {
  const { store, queue, log, config, rollouts } = deps;
  const timers = new Set<NodeJS.Timeout>();
  const acquainted = new Set<string>();
  let stopped = false;
  let isSettled = false;
  let reconciling: Promise<void> | null = null;

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
    await Promise.all((await store.pendingOutbox(BATCH)).map(deps.flush));
  }

  async function inbox(): Promise<void> {
    for (const service of await store.withIntakes([...Object.keys(config.services), THREADS])) {
      await guarded(`inbox of ${service}`, async () => {
        const now = await store.now();
        for (const intake of await store.intakes(service)) {
          const age = now - timeOf(intake);
          if (age >= ABANDONED_MS) await guarded(`request ${intake.id}`, () => takeUp(service, intake, age));
        }
      });
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

  async function compareAll(): Promise<void> {
    const active = await store.active(Object.keys(config.services));
    await guarded('lost hints', () => remind(active));
    void guarded('who asked', () => acquaint(active)).then(settle);
    for (const [router, places] of routed()) {
      for (const place of places) {
        await guarded(`marks in ${place}`, async () => {
          for (const marked of await router.listMarked([place]))
            await guarded(`marks of ${marked.object}`, () => compare(marked));
        });
      }
    }
  }

  /** Puts lost hints back. Whoever has theirs is left alone: a start with thousands of waiting rollouts is no herd. */
  async function remind(active: readonly string[]): Promise<void> {
    const { late, unsent } = await store.forgotten(active, RECONCILE_EVERY_MS);
    const now = await store.now();
    const spreadMs = Math.max(2_000, (late.length / SPREAD_PER_SECOND) * 1_000);
    const reminded = late.map(({ id, at }) => store.schedule(id, Math.max(at, now + deps.random() * spreadMs)));
    await Promise.all(reminded);
    for (const id of unsent) void deps.flush(id);
  }

  /** An abort by who asked for the rollout needs no look-up, even when another process had started it. */
  async function acquaint(active: readonly string[]): Promise<void> {
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

  /** Each router once with all its places: one LIST per place, however many services live there. */
  function routed(): Map<TrafficRouter, readonly string[]> {
    const places = new Map<TrafficRouter, readonly string[]>();
    for (const { target } of Object.values(config.services)) {
      const router = deps.routerOf(targetOf({ target }));
      places.set(router, [...new Set([...(places.get(router) ?? []), ...routePlaces(target)])]);
    }
    return places;
  }

  async function compare({ object, marks, env }: MarkedRoute): Promise<void> {
    const service = serviceOf(marks.rollout);
    if (marks.phase !== 'active' || service === null || !Object.hasOwn(config.services, service)) return;
    const loaded = await store.load(marks.rollout);
    if (!loaded && env !== null && env !== config.env) {
      log.warn({ object, marks, env }, 'this route is held by the bot of another env: it is left alone');
      return;
    }
    if (!loaded) return recover(service, marks.rollout, marks.epoch, marks.abort);
    if (!isTerminal(loaded.rollout)) {
      if (marks.epoch > loaded.rollout.epoch) await rollouts.fenced(loaded.rollout, marks);
      return;
    }
    log.warn({ object, marks }, 'an ended rollout still holds its route: giving it back');
    const epoch = Math.max(marks.epoch, loaded.rollout.epoch) + 1;
    const { phase, plan, journal } = loaded.rollout;
    const ended = phase.kind === 'succeeded' ? 'promoted' : 'aborted';
    await giveBack(plan.target, { rollout: marks.rollout, epoch, seq: 1 }, journal, ended);
  }

  async function giveBack(target: Target, fence: Fence, journal: Rollout['journal'], ended: Ended): Promise<void> {
    const router = deps.routerOf(target);
    let how = ended;
    if (ended !== 'promoted' || !target.versioned) await router.reset(target, fence, journal, true);
    else {
      const end = await settleAgain(router, target, fence.rollout, journal);
      if (!end) return;
      how = end;
    }
    await deps.workloadOf(target).cleanUp(target, fence, how);
    await router.release(target, fence);
  }

  /** As far as nobody changed the routes since; null: somebody else goes on with them. */
  async function settleAgain(
    router: TrafficRouter,
    target: Target,
    rollout: string,
    journal: Rollout['journal'],
  ): Promise<Ended | null> {
    const marks = (await router.getRoute(target))?.marks;
    if (!marks || !router.settle) return 'disputed';
    const settled = await router.settle(target, { rollout, epoch: marks.epoch, seq: marks.seq + 1 }, journal, false);
    if (settled.kind === 'done') {
      const { kind: taken } = await router.confirmed(target);
      return endOfPromotion(router, target, { rollout, taken, log });
    }
    log.warn({ rollout, settled }, 'its routes were changed: what they say stays, and so do the pods of both versions');
    return settled.kind === 'fenced' ? null : 'disputed';
  }

  /**
   * A rollout that only the cluster remembers: Redis lost its data. It is written down again under its own id and aborted at
   * once, so that traffic, clean-up and the words in Slack go the ordinary way. What stable serves already stays.
   */
  async function recover(name: string, id: string, epoch: number, abortedBy: string | null): Promise<void> {
    const service = config.services[name];
    if (!service) return;
    const configured = targetOf(service);
    const located = await locate(deps.routerOf(configured), configured, { rollout: id });
    if (!located.ok) throw new Error(located.refusal);
    const { target } = located;
    const workload = deps.workloadOf(target);
    const held = await deps.routerOf(target).getRoute(target);
    if (held?.settled || (held?.route?.weight === 0 && (await workload.isPromoted(target, id)))) {
      log.warn({ rollout: id }, 'Redis had lost this rollout after its promotion: only the clean-up is left');
      return giveBack(target, { rollout: id, epoch: epoch + 1, seq: 1 }, {}, 'promoted');
    }
    const [channel, canary, stable] = await Promise.all([
      deps.chat.channel(service.channel).catch(() => null),
      workload.canaryImage(target),
      workload.stableTemplate(target),
    ]);
    const plan = planOf(config, {
      service: name,
      kind: 'deploy',
      version: (canary && versionOf(service.image, canary)) ?? 'unknown',
      from: stable && versionOf(service.image, stable.image),
      strategy: null,
      template: null,
      image: canary ?? imageOf(service, 'unknown'),
      located: target,
      container: target.container,
      requester: { kind: 'system' },
      reason: null,
      channelId: channel?.ok ? channel.id : service.channel,
      warnings: [],
    });
    const raised = await store.nextEpoch(name, epoch);
    const event: Extract<Event, { type: 'requested' }> = { type: 'requested', id, plan, epoch: raised };
    const by = abortedBy === null ? '' : ` (aborted there by ${abortedBy.split('@')[0]})`;
    const reason = `Redis had lost this rollout; it was found by its marks in the cluster${by}`;
    // Aborted in the same step: begun alone, it would start from its first step should this process die now.
    const abort = { actor: { kind: 'system' }, reason } as const;
    const created = await store.create(begin(event, await store.now()), event, null, abort);
    if (created.kind !== 'created') {
      log.warn({ rollout: id, created }, 'a lost rollout is found, but another holds its service');
      return;
    }
    log.warn({ rollout: id, epoch: raised }, 'Redis had lost this rollout: aborting it');
    deps.onMessages(id);
    await rollouts.tick(id);
  }

  return { start, stop, reconcile };
}
