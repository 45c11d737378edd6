/** Redis against the cluster's marks: what a rollout holds that has ended, or that Redis has lost, is given back. */
import { type Config, imageOf, planOf, type Service, versionOf } from '../core/config.ts';
import { begin } from '../core/decide.ts';
import type { Event } from '../core/event.ts';
import { serviceOf } from '../core/id.ts';
import type { Target } from '../core/plan.ts';
import { type Drift, isTerminal, type Rollout } from '../core/rollout.ts';
import { routeObjects, routePlaces } from '../core/traffic.ts';
import { disputeOf } from './ending.ts';
import type { Rollouts } from './handle.ts';
import { locate, targetOf } from './locate.ts';
import type { Chat } from './ports/chat.ts';
import type { Fence, Written } from './ports/cluster.ts';
import type { Log } from './ports/log.ts';
import type { MarkedRoute, TrafficRouter } from './ports/router.ts';
import type { Store } from './ports/store.ts';
import type { Workload } from './ports/workload.ts';

export type Deps = {
  readonly config: Config;
  readonly store: Store;
  readonly chat: Chat;
  readonly rollouts: Rollouts;
  readonly routerOf: (target: Target) => TrafficRouter;
  readonly workloadOf: (target: Target) => Workload;
  readonly log: Log;
  /** Told of each rollout that has something to say. */
  readonly onMessages: (id: string) => void;
};

/** Does a part of the work; one that fails must not keep it from the rest. */
type Guarded = (name: string, work: () => Promise<void>) => Promise<void>;

export function createReconciliation(deps: Deps, guarded: Guarded) {
  const { store, log, config, rollouts } = deps;

  async function compareMarks(): Promise<void> {
    for (const [router, places] of routed()) {
      for (const place of places) {
        await guarded(`marks in ${place}`, async () => {
          for (const marked of await router.listMarked([place]))
            await guarded(`marks of ${marked.object}`, () => compare(marked));
        });
      }
    }
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

  /** Whether a route carries the marks of a rollout of ours that has not ended; throws where that cannot be told. */
  async function holdsAny(): Promise<boolean> {
    for (const [router, places] of routed()) {
      const found = await router.listMarked(places);
      if (found.some((marked) => serviceHeld(marked) !== null && isOurs(marked))) return true;
    }
    return false;
  }

  function serviceHeld({ marks }: MarkedRoute): string | null {
    const service = serviceOf(marks.rollout);
    return marks.phase === 'active' && service !== null && Object.hasOwn(config.services, service) ? service : null;
  }

  const isOurs = ({ env }: MarkedRoute) => env === null || env === config.env;

  async function compare(marked: MarkedRoute): Promise<void> {
    const { object, marks, env } = marked;
    const service = serviceHeld(marked);
    if (service === null) return;
    const loaded = await store.load(marks.rollout);
    if (!loaded && !isOurs(marked)) {
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
    const disputed = await giveBack(plan.target, { rollout: marks.rollout, epoch, seq: 1 }, journal, ended);
    if (disputed !== null) await rollouts.record(marks.rollout, { type: 'disputed', message: disputed });
  }

  /** Why the pods of both versions stay, as a clause; null: they do not. */
  async function giveBack(
    target: Target,
    fence: Fence,
    journal: Rollout['journal'],
    ended: 'promoted' | 'aborted',
  ): Promise<string | null> {
    const router = deps.routerOf(target);
    let disputed: string | null = null;
    if (ended === 'aborted' || !target.versioned) await router.reset(target, fence, journal, true);
    else {
      const settled = await settleAgain(router, target, fence.rollout, journal);
      // Somebody else goes on with them.
      if (settled.kind === 'fenced') return null;
      if (settled.kind === 'done') disputed = await disputeOf(router, target, await router.confirmed(target));
      else disputed = settled.kind === 'drifted' ? changedBySomebody(settled.drift) : settled.message;
    }
    if (disputed !== null)
      log.warn({ ...fence, disputed }, 'what its routes say stays, and so do the pods of both versions');
    const cleaned = await deps.workloadOf(target).cleanUp(target, fence, disputed === null ? ended : 'disputed');
    // The marks stay with what is left, so that the next round tries again.
    if (cleaned.kind === 'refused') throw new Error(`clean up ${fence.rollout}: ${cleaned.message}`);
    const released = await router.release(target, fence);
    if (released.kind === 'refused') throw new Error(`release the route of ${fence.rollout}: ${released.message}`);
    return disputed;
  }

  /** As far as nobody changed the routes since. */
  async function settleAgain(
    router: TrafficRouter,
    target: Target,
    rollout: string,
    journal: Rollout['journal'],
  ): Promise<Written> {
    const marks = (await router.getRoute(target))?.marks;
    if (!marks || !router.settle) return { kind: 'refused', message: `${routeObjects(target).join(', ')} is gone` };
    return router.settle(target, { rollout, epoch: marks.epoch, seq: marks.seq + 1 }, journal, false);
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
    const held = await deps.routerOf(target).getRoute(target);
    const isPromoted = async () => held?.route?.weight === 0 && deps.workloadOf(target).isPromoted(target, id);
    if (held?.settled || (await isPromoted())) {
      log.warn({ rollout: id }, 'Redis had lost this rollout after its promotion: only the clean-up is left');
      const disputed = await giveBack(target, { rollout: id, epoch: epoch + 1, seq: 1 }, {}, 'promoted');
      if (disputed !== null) await writeDown(service, target, { id, epoch: epoch + 1, disputed });
      return;
    }
    const by = abortedBy === null ? '' : ` (aborted there by ${abortedBy.split('@')[0]})`;
    const reason = `Redis had lost this rollout; it was found by its marks in the cluster${by}`;
    // Aborted in the same step: begun alone, it would start from its first step should this process die now.
    if (!(await writeDown(service, target, { id, epoch }, { actor: { kind: 'system' }, reason }))) return;
    log.warn({ rollout: id }, 'Redis had lost this rollout: aborting it');
    await rollouts.tick(id);
  }

  /** As far as the cluster tells what it is; `epoch`: what was found there. false: another rollout holds its service. */
  async function writeDown(
    service: Service,
    target: Target,
    { epoch, ...lost }: { readonly id: string; readonly epoch: number; readonly disputed?: string },
    abort?: Parameters<Store['create']>[3],
  ): Promise<boolean> {
    const workload = deps.workloadOf(target);
    const [channel, canary, stable] = await Promise.all([
      deps.chat.channel(service.channel).catch(() => null),
      workload.canaryImage(target),
      workload.stableTemplate(target),
    ]);
    const plan = planOf(config, {
      service: service.name,
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
    const raised = await store.nextEpoch(service.name, epoch);
    const event: Extract<Event, { type: 'requested' }> = { type: 'requested', ...lost, plan, epoch: raised };
    // What it had posted is looked for: its old buttons must not outlive it.
    await store.markSending(lost.id, 'root');
    const created = await store.create(begin(event, await store.now()), event, null, abort);
    if (created.kind === 'created') deps.onMessages(lost.id);
    else log.warn({ rollout: lost.id, created }, 'a lost rollout is found, but another holds its service');
    return created.kind === 'created';
  }

  return { compareMarks, holdsAny };
}

const changedBySomebody = ({ object, difference }: Drift) => `${object} was changed by somebody else: ${difference}`;
