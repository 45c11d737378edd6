/** Starting a rollout: everything that can be refused is refused here, before anything is touched. */
import type { Command } from '../core/command.ts';
import { type Config, isVersion, planOf, type Service } from '../core/config.ts';
import { begin } from '../core/decide.ts';
import type { Plan, Target } from '../core/plan.ts';
import { mayDo, type Verb } from '../core/policy.ts';
import { type Event, isAbortable } from '../core/rollout.ts';
import { nearest } from '../core/suggest.ts';
import type { Answer } from './answers.ts';
import { pause, type Rollouts } from './handle.ts';
import type { People } from './people.ts';
import type { Chat, Log, Release, Store, TrafficRouter, Workload, WorkloadFacts } from './ports.ts';
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

type DeployCommand = Extract<Command, { kind: 'deploy' }>;
type Facts = {
  readonly workload: WorkloadFacts;
  readonly epoch: number;
  readonly warnings: readonly string[];
  readonly channel: string;
};

export type Deploy = ReturnType<typeof createDeploy>;

const LOCK_FREE_TRIES = 50;

export function createDeploy(deps: Deps) {
  const { config, store, chat, people } = deps;

  async function start(request: Request, typed: DeployCommand, taken: Taken): Promise<Answer> {
    const known = Object.keys(config.services);
    const service = Object.hasOwn(config.services, typed.service) ? config.services[typed.service] : undefined;
    if (!service) return { kind: 'unknown service', given: typed.service, near: nearest(typed.service, known), known };
    const refused = await notAllowed(request, 'deploy', service);
    if (refused) return refused;
    const { version } = typed;
    if (!isVersion(service, version)) {
      const past = (await store.releases(service.name)).map((release) => release.version);
      return {
        kind: 'bad version',
        service: service.name,
        given: version,
        pattern: service.versions,
        near: nearest(version, past),
      };
    }
    if (typed.strategy !== null && !service.strategies.includes(typed.strategy)) {
      return {
        kind: 'unknown strategy',
        given: typed.strategy,
        near: nearest(typed.strategy, service.strategies),
        known: service.strategies,
      };
    }
    const busy = await holding(service.name);
    if (busy) return busy;
    const looked = await look(service, version);
    if ('kind' in looked) return looked;
    if (looked.workload.version === version && !typed.redeploy)
      return { kind: 'already live', service: service.name, version };
    const plan = planOf(config, {
      service: service.name,
      kind: 'deploy',
      version,
      from: looked.workload.version,
      strategy: typed.strategy,
      template: null,
      image: null,
      container: looked.workload.container,
      requester: actorOf(request),
      reason: typed.reason,
      channelId: looked.channel,
      warnings: looked.warnings,
      progressDeadlineMs: looked.workload.progressDeadlineMs,
    });
    const cannot = unsupported(plan);
    if (cannot.length > 0) return { kind: 'refused', service: service.name, version, refusals: cannot };
    return typed.dryRun ? { kind: 'dry run', plan } : create(plan, looked.epoch, taken);
  }

  /** Back to a version that served before, with its whole template and without gates. */
  async function rollBack(
    request: Request,
    asked: { readonly service: string; readonly version: string | null; readonly reason: string | null },
    taken: Taken,
  ): Promise<Answer> {
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
    const looked = await look(service, asked.version ?? 'the version before');
    if ('kind' in looked) return looked;
    const live = looked.workload.version;
    const target = pick(releases, live, asked.version);
    if (!target) {
      const others = [...new Set(releases.map(({ version }) => version))].filter((version) => version !== live);
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
      container: looked.workload.container,
      requester: actorOf(request),
      reason: asked.reason,
      channelId: looked.channel,
      warnings: looked.warnings,
      progressDeadlineMs: looked.workload.progressDeadlineMs,
    });
    return create(plan, looked.epoch, taken);
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

  async function holding(service: string): Promise<Extract<Answer, { kind: 'busy' }> | null> {
    const id = await store.holder(service);
    const loaded = id === null ? null : await store.load(id);
    if (!loaded) return null;
    const root = loaded.rollout.messages.root;
    const link = root === undefined ? null : await chat.permalink(loaded.rollout.plan.channel, root).catch(() => null);
    return { kind: 'busy', holder: loaded.rollout, link };
  }

  /** Everything at once: channel, groups, workload, route. */
  async function look(service: Service, version: string): Promise<Facts | Answer> {
    const target: Target = { ...service.target, container: service.target.container ?? '' };
    const { access } = service;
    const [channel, groups, workload, route] = await Promise.all([
      chat.channel(service.channel),
      people.unreadableGroups([...access.deploy, ...access.approve, ...access.abort]),
      deps.workloadOf(target).preflight(target, service.image),
      deps.routerOf(target).preflight(target),
    ]);
    const refusals = [
      ...(channel.ok ? [] : [channel.problem]),
      ...groups.map(
        ({ group, error }) =>
          `The bot cannot read the members of user group ${group} (${error}): check the id in sluice.yaml and the scope usergroups:read.`,
      ),
      ...(workload.ok ? [] : workload.refusals),
      ...(route.ok ? [] : route.refusals),
    ];
    if (!channel.ok || !workload.ok || !route.ok || refusals.length > 0) {
      return { kind: 'refused', service: service.name, version, refusals: [...new Set(refusals)] };
    }
    return {
      workload: workload.facts,
      epoch: Math.max(workload.facts.epoch, route.facts.epoch),
      warnings: [...workload.warnings, ...route.warnings],
      channel: channel.id,
    };
  }

  function unsupported(plan: Plan): readonly string[] {
    const { supports } = deps.routerOf(plan.target);
    const reasons = plan.steps.flatMap(({ route }) => [
      ...(route.preview && supports.header !== true ? [`A preview by header: ${supports.header}`] : []),
      ...(route.mirror !== null && supports.mirror !== true ? [`Mirroring: ${supports.mirror}`] : []),
      ...(route.weight > 0 && supports.weight !== true ? [`Weights: ${supports.weight}`] : []),
    ]);
    return [...new Set(reasons)];
  }

  async function create(plan: Plan, seen: number, taken: Taken): Promise<Answer> {
    const { service } = plan.target;
    const id = deps.newId(service);
    const epoch = await store.nextEpoch(service, seen);
    const event: Extract<Event, { type: 'requested' }> = { type: 'requested', id, plan, epoch };
    const now = await store.now();
    const begun = begin(event, now);
    const created = await store.create(begun, event, taken?.id ?? null);
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
    const target = config.services[name]?.target;
    const route = target?.traffic.routes[0] ?? '';
    const [namespace, object] = route.split('/');
    return `kubectl -n ${namespace} edit httproute ${object}  # give ${name}-stable all the weight`;
  }

  return { start, rollBack, byHand };
}

/** The asked version, else the newest one that is not live. */
function pick(releases: readonly Release[], live: string | null, asked: string | null): Release | undefined {
  return releases.find(({ version }) => (asked === null ? version !== live : version === asked && version !== live));
}
