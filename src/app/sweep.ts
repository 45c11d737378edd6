/**
 * The safety net that every replica runs: whatever a lost hint, a crash or a lost Redis left lying is found here. Nothing in
 * it is needed for a rollout to be right, only for it to go on soon.
 */
import { type Config, imageOf, planOf, versionOf } from '../core/config.ts';
import { begin } from '../core/decide.ts';
import { serviceOf } from '../core/id.ts';
import type { Target } from '../core/plan.ts';
import { type Event, isTerminal } from '../core/rollout.ts';
import type { Commands } from './commands.ts';
import type { Deps as HandleDeps, Rollouts } from './handle.ts';
import type { Chat, MarkedRoute, TrafficRouter, Workload } from './ports.ts';
import type { Request } from './requests.ts';

type Deps = Pick<HandleDeps, 'store' | 'queue' | 'log' | 'clock' | 'random' | 'onMessages'> & {
  readonly config: Config;
  readonly chat: Chat;
  readonly rollouts: Rollouts;
  readonly commands: Commands;
  readonly flush: (id: string) => Promise<void>;
  readonly routerOf: (target: Target) => TrafficRouter;
  readonly workloadOf: (target: Target) => Workload;
};

const DUE_EVERY_MS = 1_000;
/** A due rollout is the queue's to wake; later than this its hint was lost. */
const LATE_MS = 1_000;
const CLAIM_MS = 10_000;
const INBOX_EVERY_MS = 5_000;
/** An inbox entry this old was left by a process that died after the acknowledgement. */
const ABANDONED_MS = 10_000;
const RECONCILE_EVERY_MS = 60_000;
const BATCH = 100;

export function createSweep(deps: Deps) {
  const { store, queue, log, config, rollouts } = deps;
  const timers = new Set<NodeJS.Timeout>();
  let stopped = false;

  function start(): void {
    every('due', DUE_EVERY_MS, due);
    every('inbox', INBOX_EVERY_MS, inbox);
    every('reconcile', RECONCILE_EVERY_MS, reconcile);
    void guarded('reconcile', reconcile);
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
    for (const id of await store.takeOverdue(LATE_MS, CLAIM_MS, BATCH)) await queue.wake(id);
    await Promise.all((await store.pendingOutbox(BATCH)).map(deps.flush));
  }

  async function inbox(): Promise<void> {
    for (const service of Object.keys(config.services)) {
      const now = await store.now();
      for (const intake of await store.intakes(service)) {
        if (now - Number(intake.id.split('-')[0]) < ABANDONED_MS) continue;
        const request = intake.body as Request;
        log.info({ service, intake: intake.id }, 'taking up a request that was left over');
        const said = await deps.commands.answer(request, { service, id: intake.id });
        if (said) await deps.chat.tell(request.replyTo, said);
      }
    }
  }

  /** Redis against itself (every active rollout is due some time) and against the cluster's marks. */
  async function reconcile(): Promise<void> {
    const now = await store.now();
    for (const id of await store.active(Object.keys(config.services))) {
      const loaded = await store.load(id);
      if (!loaded || isTerminal(loaded.rollout)) continue;
      deps.commands.remember(loaded.rollout);
      // Spread, so that a restart with many waiting rollouts is no herd.
      await store.schedule(id, now + deps.random() * 2_000);
    }
    for (const [router, namespaces] of routed()) {
      for (const marked of await router.listMarked(namespaces)) await compare(marked);
    }
  }

  /** Each router once with all its namespaces: one LIST per namespace, however many services live there. */
  function routed(): Map<TrafficRouter, readonly string[]> {
    const namespaces = new Map<TrafficRouter, readonly string[]>();
    for (const { target } of Object.values(config.services)) {
      const router = deps.routerOf({ ...target, container: target.container ?? '' });
      const own = target.traffic.routes.map((route) => route.split('/')[0] ?? '');
      namespaces.set(router, [...new Set([...(namespaces.get(router) ?? []), ...own])]);
    }
    return namespaces;
  }

  async function compare({ object, marks }: MarkedRoute): Promise<void> {
    const service = serviceOf(marks.rollout);
    if (marks.phase !== 'active' || service === null || !Object.hasOwn(config.services, service)) return;
    const loaded = await store.load(marks.rollout);
    if (!loaded) return recover(service, marks.rollout, marks.epoch, marks.abort);
    if (!isTerminal(loaded.rollout)) {
      if (marks.epoch > loaded.rollout.epoch) await rollouts.fenced(loaded.rollout, marks);
      return;
    }
    log.warn({ object, marks }, 'an ended rollout still holds its route: giving it back');
    const { plan, journal } = loaded.rollout;
    const fence = { rollout: marks.rollout, epoch: Math.max(marks.epoch, loaded.rollout.epoch) + 1, seq: 1 };
    await deps.routerOf(plan.target).reset(plan.target, fence, journal, true);
    await deps.workloadOf(plan.target).cleanUp(plan.target, fence);
    await deps.routerOf(plan.target).release(plan.target, fence);
  }

  /**
   * A rollout that only the cluster remembers: Redis lost its data. It is written down again under its own id and aborted at
   * once, so that traffic, clean-up and the words in Slack go the ordinary way.
   */
  async function recover(name: string, id: string, epoch: number, abortedBy: string | null): Promise<void> {
    const service = config.services[name];
    if (!service) return;
    const target: Target = { ...service.target, container: service.target.container ?? '' };
    const workload = deps.workloadOf(target);
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
      container: target.container,
      requester: { kind: 'system' },
      reason: null,
      channelId: channel?.ok ? channel.id : service.channel,
      warnings: [],
    });
    const raised = await store.nextEpoch(name, epoch);
    const event: Extract<Event, { type: 'requested' }> = { type: 'requested', id, plan, epoch: raised };
    const created = await store.create(begin(event, await store.now()), event, null);
    if (created.kind === 'busy') {
      log.warn({ rollout: id, by: created.by }, 'a lost rollout is found, but another holds its service');
      return;
    }
    log.warn({ rollout: id, epoch: raised }, 'Redis had lost this rollout: aborting it');
    const message = 'Redis had lost this rollout; it was found by its marks in the cluster';
    const by = abortedBy === null ? '' : ` (aborted there by ${abortedBy.split('@')[0]})`;
    await rollouts.record(id, {
      type: 'abort_requested',
      cause: { kind: 'fenced', message: message + by },
      epoch: raised + 1,
    });
    deps.onMessages(id);
    await rollouts.tick(id);
  }

  return { start, stop, reconcile };
}
