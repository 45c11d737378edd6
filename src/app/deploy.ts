/** Starting a rollout: everything that can be refused is refused here, before anything is touched. */
import type { Command } from '../core/command.ts';
import { type Config, planOf, type Service, versionOf } from '../core/config.ts';
import { begin } from '../core/decide.ts';
import type { Event } from '../core/event.ts';
import type { Plan, Target } from '../core/plan.ts';
import { mayDo, type Verb } from '../core/policy.ts';
import { isAbortable } from '../core/rollout.ts';
import { nearest } from '../core/suggest.ts';
import { byHand as handWork } from '../core/traffic.ts';
import type { Answer } from './answers.ts';
import type { Rollouts } from './handle.ts';
import { locate, targetOf } from './locate.ts';
import { pause } from './pause.ts';
import type { People } from './people.ts';
import type { Chat } from './ports/chat.ts';
import type { Log } from './ports/log.ts';
import type { TrafficRouter } from './ports/router.ts';
import type { Release, Store } from './ports/store.ts';
import type { Workload } from './ports/workload.ts';
import { createPreparation } from './prepare.ts';
import { actorOf, type Request, type Taken } from './requests.ts';

type Deps = {
  readonly config: Config;
  readonly store: Store;
  readonly chat: Chat;
  readonly people: People;
  readonly rollouts: Pick<Rollouts, 'tick'>;
  readonly routerOf: (target: Target) => TrafficRouter;
  readonly workloadOf: (target: Target) => Workload;
  readonly log: Log;
  readonly newId: (service: string) => string;
  readonly onMessages: (id: string) => void;
  readonly remember: (rollout: ReturnType<typeof begin>['rollout']) => void;
};

export type Deploy = ReturnType<typeof createDeploy>;

const LOCK_FREE_TRIES = 50;

export function createDeploy(deps: Deps) {
  const { config, store, people } = deps;
  const { prepare, look, holding, foresee } = createPreparation(deps);

  async function start(
    request: Request,
    typed: Extract<Command, { kind: 'deploy' }>,
    taken: Taken,
  ): Promise<Answer | null> {
    const known = Object.keys(config.services);
    const service = Object.hasOwn(config.services, typed.service) ? config.services[typed.service] : undefined;
    if (!service) return { kind: 'unknown service', given: typed.service, near: nearest(typed.service, known), known };
    const refused = await notAllowed(request, 'deploy', service);
    if (refused) return refused;
    const prepared = await prepare(service, typed, actorOf(request));
    if ('kind' in prepared) return prepared;
    if (!typed.dryRun) return create(prepared.plan, prepared.epoch, taken);
    return { kind: 'dry run', plan: prepared.plan, writes: await foresee(prepared.plan) };
  }

  /** Back to a version that served before, with its whole template and without gates. */
  async function rollBack(
    request: Request,
    asked: { readonly service: string; readonly version: string | null; readonly reason: string | null },
    taken: Taken,
  ): Promise<Answer | null> {
    const known = Object.keys(config.services);
    const service = Object.hasOwn(config.services, asked.service) ? config.services[asked.service] : undefined;
    if (!service) return { kind: 'unknown service', given: asked.service, near: nearest(asked.service, known), known };
    const refused = await notAllowed(request, 'roll back', service);
    if (refused) return refused;
    // A rollout that is only cleaning up ends in a moment.
    let busy = await holding(service.name);
    for (
      let tries = 0;
      busy?.holder.phase.kind === 'promoting' && !isAbortable(busy.holder) && tries < LOCK_FREE_TRIES;
      tries++
    ) {
      await pause(200);
      busy = await holding(service.name);
    }
    if (busy) return busy;
    const releases = await store.releases(service.name);
    const meant = pick(releases, await liveVersion(service.name), asked.version)?.version ?? asked.version;
    const looked = await look(service, meant ?? 'the version before');
    if ('kind' in looked) return looked.kind === 'refused' ? { ...looked, isRollback: true } : looked;
    const live = looked.workload.version;
    if (asked.version !== null && asked.version === live)
      return { kind: 'already live', service: service.name, version: live };
    const versions = [...new Set([live, ...releases.map(({ version }) => version)])].filter((one) => one !== null);
    const target =
      pick(releases, live, asked.version) ??
      (takesRevisions(versions) ? await revisionOf(service, asked.version) : undefined);
    if (target && 'isLive' in target && target.isLive)
      return { kind: 'already live', service: service.name, version: target.version };
    if (!target) {
      const others = versions.filter((version) => version !== live);
      return { kind: 'nothing to roll back to', service: service.name, given: asked.version, known: others };
    }
    const plan = planOf(config, {
      service: service.name,
      kind: 'rollback',
      version: target.version,
      from: live,
      strategy: null,
      template: target.template,
      image: target.image,
      located: looked.target,
      container: looked.workload.container,
      requester: actorOf(request),
      reason: asked.reason,
      channelId: looked.channel,
      warnings: looked.warnings,
      progressDeadlineMs: looked.workload.progressDeadlineMs,
    });
    return create(plan, looked.epoch, taken);
  }

  /** The one that was asked for by its number. */
  async function revisionOf({ name }: Service, asked: string | null) {
    if (asked === null) return undefined;
    const found = (await revisions(name)).find(({ revision }) => `${revision}` === asked);
    return found && { ...found, version: found.version ?? `revision-${asked}` };
  }

  /** What the cluster itself still has, newest first, where the workload keeps some. `version`: null where its image matches none. */
  async function revisions(name: string) {
    const service = config.services[name];
    if (!service) return [];
    const target = targetOf(service);
    const found = (await deps.workloadOf(target).revisions?.(target)) ?? [];
    return found.map((one) => ({ ...one, version: versionOf(service.image, one.image) }));
  }

  async function notAllowed(request: Request, verb: Verb, service: Service): Promise<Answer | null> {
    const { access } = service;
    const membership = await people.membership(access.deploy);
    const verdict = mayDo(verb, request.user, { access, requester: null }, membership, people.now());
    if (verdict.kind === 'allowed') return null;
    return verdict.kind === 'denied'
      ? { kind: 'not allowed', verb, service: service.name, groups: verdict.groups }
      : { kind: 'membership unknown', verb, service: service.name, error: verdict.groups.join(', ') };
  }

  /** null: another replica has started it. */
  async function create(plan: Plan, seen: number, taken: Taken): Promise<Answer | null> {
    const { service } = plan.target;
    const id = deps.newId(service);
    const epoch = await store.nextEpoch(service, seen);
    const event: Extract<Event, { type: 'requested' }> = { type: 'requested', id, plan, epoch };
    const now = await store.now();
    const begun = begin(event, now);
    const created = await store.create(begun, event, taken?.id ?? null);
    if (created.kind === 'gone') return null;
    if (created.kind === 'busy') {
      const busy = await holding(service);
      if (busy) return busy;
      throw new Error(`the lock of ${service} is held by ${created.by}, which cannot be loaded`);
    }
    deps.remember(begun.rollout);
    deps.log.info({ rollout: id, version: plan.version, by: plan.requester }, 'rollout created');
    deps.onMessages(id);
    void deps.rollouts
      .tick(id)
      .catch((error: unknown) => deps.log.warn({ rollout: id, err: error }, 'first tick failed'));
    return { kind: 'started', rollout: begun.rollout, link: null };
  }

  /** The command that does by hand what an abort would do. */
  function byHand(name: string): string {
    const service = config.services[name];
    if (!service) return '';
    const { commands, edit } = handWork(targetOf(service));
    return `${commands.join('; ')}  # ${edit}`;
  }

  /** What the cluster serves; null: the Deployment is gone, or its image does not follow the pattern. */
  async function liveVersion(name: string): Promise<string | null> {
    const service = config.services[name];
    if (!service) return null;
    const configured = targetOf(service);
    const located = await locate(deps.routerOf(configured), configured, null, service.image);
    const serving = located.ok ? await deps.workloadOf(located.target).stableTemplate(located.target) : null;
    return serving && versionOf(service.image, serving.image);
  }

  return { start, rollBack, byHand, liveVersion, revisions };
}

/** Where versions are numbers, a number is a version: a revision that happens to have it may be anything. */
export const takesRevisions = (versions: readonly string[]) => !versions.some((version) => /^\d+$/.test(version));

/** The asked version, else the one that served before the live one. */
function pick(releases: readonly Release[], live: string | null, asked: string | null): Release | undefined {
  const candidates = asked === null ? before(releases, live) : releases.filter(({ version }) => version === asked);
  return candidates.find(({ version }) => version !== live);
}

/**
 * What served before the live version, newest first. After a rollback that is what stands before the release it went back
 * to: what lies between was left because it was bad.
 */
function before(releases: readonly Release[], live: string | null): readonly Release[] {
  let at = releases.findIndex(({ version }) => version === live);
  while (at >= 0 && releases[at]?.rolledBack) {
    const older = releases.findIndex(({ version }, index) => index > at && version === live);
    if (older < 0) return [];
    at = older;
  }
  return releases.slice(at + 1);
}
