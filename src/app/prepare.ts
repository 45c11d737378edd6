/** What a rollout would do, or everything that speaks against it; nothing is touched. */
import type { Command } from '../core/command.ts';
import { type Config, isVersion, planOf, type Service, stepsOf } from '../core/config.ts';
import type { Actor, Plan, Route, Step, Target } from '../core/plan.ts';
import { nearest } from '../core/suggest.ts';
import { refusals } from '../core/support.ts';
import { type PlannedWrite, writesOf } from '../core/writes.ts';
import type { Answer } from './answers.ts';
import { coolDownWarnings } from './cool-down.ts';
import { locate, targetOf } from './locate.ts';
import { isLasting, reasonOf } from './outcome.ts';
import type { People } from './people.ts';
import type { Chat } from './ports/chat.ts';
import type { TrafficRouter } from './ports/router.ts';
import type { Store } from './ports/store.ts';
import type { Workload, WorkloadFacts } from './ports/workload.ts';

type Deps = {
  readonly config: Config;
  readonly store: Pick<Store, 'releases' | 'holder' | 'load'>;
  readonly chat: Pick<Chat, 'channel' | 'permalink'>;
  readonly people: Pick<People, 'unreadableGroups'>;
  readonly routerOf: (target: Target) => Pick<TrafficRouter, 'preflight' | 'supports' | 'foresee' | 'locate'>;
  readonly workloadOf: (target: Target) => Pick<Workload, 'preflight' | 'foresee'>;
};

type Asked = Pick<Extract<Command, { kind: 'deploy' }>, 'version' | 'strategy' | 'reason' | 'redeploy'>;
type Facts = {
  readonly target: Target;
  readonly workload: WorkloadFacts;
  readonly epoch: number;
  readonly warnings: readonly string[];
  readonly channel: string;
};

const NO_REDEPLOY =
  'With the workload versioned a version is rolled out beside the one that serves, under a name of its own: deploy another one, or roll the pods anew with kubectl rollout restart.';

export function createPreparation(deps: Deps) {
  const { config, store, chat, people } = deps;

  /** `epoch`: the highest that was found in the cluster. Whether `requester` may is asked before. */
  async function prepare(
    service: Service,
    typed: Asked,
    requester: Actor,
  ): Promise<{ readonly plan: Plan; readonly epoch: number } | Answer> {
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
    const isKnown = typed.strategy === null || Object.hasOwn(config.strategies, typed.strategy);
    const asked = isKnown ? stepsOf(config, service, typed.strategy) : null;
    const cannot = asked ? unsupported(service, asked) : [];
    if (cannot.length > 0) return { kind: 'refused', service: service.name, version, refusals: cannot };
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
    const looked = await look(
      service,
      version,
      asked?.steps.map(({ route }) => route),
    );
    if ('kind' in looked && looked.kind === 'already live' && typed.redeploy)
      return { kind: 'refused', service: service.name, version, refusals: [NO_REDEPLOY] };
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
      located: looked.target,
      container: looked.workload.container,
      requester,
      reason: typed.reason,
      channelId: looked.channel,
      warnings: looked.warnings,
      progressDeadlineMs: looked.workload.progressDeadlineMs,
    });
    return {
      plan: { ...plan, steps: plan.steps.map((step) => withShare(step, looked.workload)) },
      epoch: looked.epoch,
    };
  }

  async function holding(service: string): Promise<Extract<Answer, { kind: 'busy' }> | null> {
    const id = await store.holder(service);
    const loaded = id === null ? null : await store.load(id);
    if (!loaded) return null;
    const root = loaded.rollout.messages.root;
    const link = root === undefined ? null : await chat.permalink(loaded.rollout.plan.channel, root).catch(() => null);
    return { kind: 'busy', holder: loaded.rollout, link };
  }

  /** `wanted`: routes that the cluster may not be able to carry out. */
  async function look(service: Service, version: string, wanted: readonly Route[] = []): Promise<Facts | Answer> {
    try {
      return await lookAround(service, version, wanted);
    } catch (error) {
      // Not every API server lists all rights beforehand.
      if (!isLasting(error)) throw error;
      return { kind: 'refused', service: service.name, version, refusals: [reasonOf(error)] };
    }
  }

  /** Everything at once: channel, groups, workload, route. */
  async function lookAround(service: Service, version: string, wanted: readonly Route[]): Promise<Facts | Answer> {
    const configured = targetOf(service);
    const located = await locate(deps.routerOf(configured), configured, { version }, service.image);
    if (!located.ok) return { kind: 'refused', service: service.name, version, refusals: [located.refusal] };
    const { target } = located;
    // Each version has a name of its own: there is no second place for the same one.
    if (target.versioned?.canary === target.deployment) return { kind: 'already live', service: service.name, version };
    const { access } = service;
    const [channel, groups, workload, route] = await Promise.all([
      chat.channel(service.channel),
      people.unreadableGroups([...access.deploy, ...access.approve, ...access.abort]),
      deps.workloadOf(target).preflight(target, service.image),
      deps.routerOf(target).preflight(target, wanted),
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
      target,
      workload: workload.facts,
      epoch: Math.max(workload.facts.epoch, route.facts.epoch),
      warnings: [...workload.warnings, ...coolDownWarnings(service, workload.facts), ...route.warnings],
      channel: channel.id,
    };
  }

  function unsupported({ target }: Service, { strategy, steps }: Pick<Plan, 'strategy' | 'steps'>): readonly string[] {
    const { supports } = deps.routerOf(targetOf({ target }));
    return refusals(strategy, steps, target, supports);
  }

  /** Every write of a plan in order, from the objects as they are. */
  async function foresee(plan: Plan): Promise<readonly PlannedWrite[]> {
    const routes = plan.steps.map(({ route }) => route);
    const [moved, holds] = await Promise.all([
      deps.routerOf(plan.target).foresee?.(plan.target, routes),
      deps.workloadOf(plan.target).foresee?.(plan.target),
    ]);
    return writesOf(plan, moved, holds);
  }

  return { prepare, look, holding, foresee };
}

/** Where the share follows pods. */
function withShare(step: Step, facts: WorkloadFacts): Step {
  const achieved = facts.achieved?.(step.route.weight) ?? null;
  return achieved === null ? step : { ...step, achieved };
}
