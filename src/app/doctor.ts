/**
 * Looks at everything a rollout is going to need and says what is wrong, before anybody deploys. It only reads, and every
 * look is on its own: one that fails or hangs hides no other.
 */
import { type Config, type Service, stepsOf } from '../core/config.ts';
import { type Check, type Route, STABLE_ROUTE, type Target } from '../core/plan.ts';
import { supportOf } from '../core/support.ts';
import { routeObjects } from '../core/traffic.ts';
import { coolDownWarnings } from './cool-down.ts';
import { locate, targetOf } from './locate.ts';
import { reasonOf } from './outcome.ts';
import type { Chat } from './ports/chat.ts';
import type { TrafficRouter } from './ports/router.ts';
import type { Store } from './ports/store.ts';
import type { Workload } from './ports/workload.ts';
import { orUnreadable } from './unreadable.ts';

/** One line. What is wrong ends with the remedy. */
export type Finding = { readonly level: 'ok' | 'warn' | 'fail'; readonly subject: string; readonly text: string };

export type Look = {
  readonly subject: string;
  /** Subject of another look, without which this one could only say the same once more: left out unless that one is well. */
  readonly after?: string;
  /** May throw: that is a finding, too. */
  readonly look: () => Promise<readonly Finding[]>;
};

/** Subjects that others come after. */
export const OUTSIDE = { redis: 'Redis', slack: 'Slack', cluster: 'Kubernetes', prometheus: 'Prometheus' } as const;

/** What a check would say of the version that serves now. `wrong`: the query itself has to be changed. */
export type CheckReading =
  | { readonly kind: 'value'; readonly value: number }
  | { readonly kind: 'idle' | 'only during a rollout' }
  | { readonly kind: 'no series'; readonly remedy: string }
  | { readonly kind: 'wrong'; readonly problem: string };

export const ok = (subject: string, text: string): Finding => ({ level: 'ok', subject, text });
export const warn = (subject: string, text: string): Finding => ({ level: 'warn', subject, text });
export const fail = (subject: string, text: string): Finding => ({ level: 'fail', subject, text });

/** Takes all looks at once, each within `limitMs`. Findings come in the order of the looks. */
export async function examine(looks: readonly Look[], limitMs: number): Promise<readonly Finding[]> {
  const taken = new Map<string, Promise<readonly Finding[]>>();
  const isWell = async (subject: string) => (await taken.get(subject))?.every(({ level }) => level !== 'fail') ?? false;
  const take = async ({ subject, after, look }: Look): Promise<readonly Finding[]> => {
    // In the next turn: then all looks are known.
    await Promise.resolve();
    if (after !== undefined && !(await isWell(after))) return [];
    try {
      return await within(limitMs, look());
    } catch (error) {
      return [fail(subject, reasonOf(error))];
    }
  };
  for (const one of looks) taken.set(one.subject, take(one));
  return (await Promise.all(taken.values())).flat();
}

// ---- Slack -----------------------------------------------------------------------------------------------------------

type Slack = { readonly config: Config; readonly chat: Pick<Chat, 'channel' | 'groupMembers' | 'isFullMember'> };

/** Channels, user groups and people that `sluice.yaml` names. */
export function looksAtSlack(slack: Slack): readonly Look[] {
  return [...channels(slack), ...people(slack)];
}

function channels({ config, chat }: Slack): readonly Look[] {
  const { channel, fallbackChannel } = config.slack;
  const named = [channel, ...Object.values(config.services).map((one) => one.channel), fallbackChannel];
  return unique(named.filter((name) => name !== null)).map((name) => {
    const subject = `channel ${name}`;
    return {
      subject,
      after: OUTSIDE.slack,
      look: scoped(async () => {
        const found = await chat.channel(name);
        return [found.ok ? ok(subject, 'the bot is in it') : fail(subject, found.problem)];
      }),
    };
  });
}

function people({ config, chat }: Slack): readonly Look[] {
  const services = Object.values(config.services);
  const ids = unique([...config.slack.onCall, ...services.flatMap(({ access }) => everyone(access))]);
  return ids.map((id) => {
    const subject = `${id.startsWith('S') ? 'user group' : 'person'} ${id}`;
    const may = rightsOf(id, config, services);
    const look = async (): Promise<readonly Finding[]> => {
      if (!id.startsWith('S')) {
        if (await chat.isFullMember(id)) return [ok(subject, `${may}: a full member`)];
        return [warn(subject, `${may}, but is no full member of the workspace: take the id out of sluice.yaml.`)];
      }
      const members = await chat.groupMembers(id);
      if (!members.ok) {
        if (members.error === MISSING_SCOPE) throw new Error(members.error);
        const remedy = 'check the id in sluice.yaml, and that the app has the scope usergroups:read.';
        return [fail(subject, `${may}, but the bot cannot read its members (${members.error}): ${remedy}`)];
      }
      if (members.users.length === 0) return [warn(subject, `${may}, but it is empty: add people to it in Slack.`)];
      return [ok(subject, `${may}: ${members.users.length} members`)];
    };
    return { subject, after: OUTSIDE.slack, look: scoped(look) };
  });
}

const MISSING_SCOPE = 'missing_scope';

/** The look at the token names a missing scope once, for all calls that need it. */
function scoped(look: Look['look']): Look['look'] {
  return async () => {
    try {
      return await look();
    } catch (error) {
      if (reasonOf(error).includes(MISSING_SCOPE)) return [];
      throw error;
    }
  };
}

const everyone = ({ deploy, approve, abort }: Service['access']) => [...deploy, ...approve, ...abort];

function rightsOf(id: string, { slack }: Config, services: readonly Service[]): string {
  const may = (['deploy', 'approve', 'abort'] as const).flatMap((verb) => {
    const names = services.filter(({ access }) => access[verb].includes(id)).map(({ name }) => name);
    return names.length > 0 ? [`${verb} ${names.join(', ')}`] : [];
  });
  return [
    ...(may.length > 0 ? [`may ${may.join('; ')}`] : []),
    ...(slack.onCall.includes(id) ? ['is on call'] : []),
  ].join(', and ');
}

// ---- Redis -----------------------------------------------------------------------------------------------------------

type Kept = { readonly config: Config; readonly store: Pick<Store, 'active' | 'load'> };

/** What runs and cannot be read: nobody can decide on it, and its service is held. Nothing where all is well. */
export function lookAtRollouts({ config, store }: Kept): Look {
  const subject = 'rollouts';
  const look = async () => {
    const ids = await store.active(Object.keys(config.services));
    const found = await Promise.all(ids.map((id) => orUnreadable(() => store.load(id))));
    return found.flatMap((one) => (one && 'problem' in one ? [fail(subject, one.problem)] : []));
  };
  return { subject, after: OUTSIDE.redis, look };
}

// ---- the cluster -----------------------------------------------------------------------------------------------------

type Cluster = {
  readonly config: Config;
  /** Id of the rollout that holds a service. */
  readonly holder: (service: string) => Promise<string | null>;
  readonly routerOf: (target: Target) => Pick<TrafficRouter, 'preflight' | 'locate'>;
  readonly workloadOf: (target: Target) => Pick<Workload, 'preflight'>;
};

/** Each service with the same eyes as a rollout that starts. */
export function looksAtServices(cluster: Cluster): readonly Look[] {
  return Object.values(cluster.config.services).map((service) => lookAtService(cluster, service));
}

function lookAtService({ config, holder, routerOf, workloadOf }: Cluster, service: Service): Look {
  const subject = subjectOf(service);
  const configured = targetOf(service);
  return {
    subject,
    after: OUTSIDE.cluster,
    look: async () => {
      const located = await locate(routerOf(configured), configured, null, service.image);
      if (!located.ok) return [fail(subject, located.refusal)];
      const { target } = located;
      const [workload, route, running] = await Promise.all([
        workloadOf(target).preflight(target, service.image),
        routerOf(target).preflight(target, previewsOf(config, service)),
        holder(service.name).catch(() => null),
      ]);
      const refusals = [...(workload.ok ? [] : workload.refusals), ...(route.ok ? [] : route.refusals)];
      // That its own rollout holds the objects is as it should be.
      const wrong = unique(refusals).filter(
        (text) => running === null || !text.includes(`held by rollout ${running} `),
      );
      if (wrong.length > 0) return wrong.map((text) => fail(subject, text));
      if (refusals.length > 0) return [ok(subject, `rollout ${running} runs`)];
      const several = route.ok ? route.facts.several : [];
      const late = workload.ok ? coolDownWarnings(service, workload.facts) : [];
      const warnings = [...[workload, route].flatMap((one) => (one.ok ? one.warnings : [])), ...late, ...several];
      const version = workload.ok ? workload.facts.version : null;
      const strange =
        version === null
          ? [
              `its image does not follow ${service.image}: correct image in sluice.yaml, or the first rollout cannot tell what it replaces.`,
            ]
          : [];
      const routes = routeObjects(target).join(', ');
      const serves = `Deployment ${target.namespace}/${target.deployment} serves ${version ?? 'an unknown version'}, routed by ${routes}`;
      return [
        ok(subject, serves),
        ...[...strange, ...warnings].map((text) => warn(subject, text)),
        ...(await lookAtCopies(config, service, target, routerOf(target))),
      ];
    },
  };
}

/** What a strategy asks of the routes that depends on the rules in them. */
function previewsOf(config: Config, service: Service): readonly Route[] {
  const steps = service.strategies.flatMap((name) => stepsOf(config, service, name).steps);
  return steps.flatMap(({ route: { preview } }) => (preview ? { ...STABLE_ROUTE, preview } : []));
}

/** Whether requests can be copied, where a strategy does and only the cluster can tell. */
async function lookAtCopies(
  config: Config,
  service: Service,
  target: Target,
  router: Pick<TrafficRouter, 'preflight'>,
): Promise<readonly Finding[]> {
  if (supportOf(target).asks?.mirror === undefined) return [];
  const copying = service.strategies.flatMap((name) => {
    const routes = stepsOf(config, service, name).steps.map(({ route }) => route);
    return routes.some(({ mirror }) => mirror !== null) ? [{ name, routes }] : [];
  });
  if (copying.length === 0) return [];
  const names = copying.map(({ name }) => name).join(', ');
  const wanted = copying.flatMap(({ routes }) => routes);
  const looked = await router.preflight(target, wanted);
  return looked.ok
    ? [ok(subjectOf(service), `requests can be copied (${names})`)]
    : looked.refusals.map((text) => warn(subjectOf(service), `${names} would be refused. ${text}`));
}

type ReadCheck = (target: Target, check: Check) => Promise<CheckReading>;

/** With the names of what serves, where each version has its own. */
type NamesNow = (service: Service) => Promise<Target>;

/** Each check on the version that serves now. */
export function looksAtChecks(
  config: Config,
  readCheck: ReadCheck,
  namesNow: NamesNow = async (service) => targetOf(service),
): readonly Look[] {
  return Object.values(config.services).flatMap((service) => lookAtChecks(service, readCheck, namesNow));
}

function lookAtChecks(service: Service, readCheck: ReadCheck, namesNow: NamesNow): readonly Look[] {
  return service.checks.map((check) => {
    const subject = `check "${check.name}" of ${service.name}`;
    const look = async (): Promise<readonly Finding[]> => {
      const reading = await readCheck(await namesNow(service), check);
      switch (reading.kind) {
        case 'value':
          return [ok(subject, `${Math.round(reading.value * 100) / 100}${check.unit} now`)];
        case 'idle':
          return [ok(subject, 'its series are there, without requests in the last minutes')];
        case 'only during a rollout':
          return [ok(subject, 'names {{service}}, which is there only during a rollout')];
        case 'no series':
          return [warn(subject, `${check.query} finds no series, so its gates will say "no data": ${reading.remedy}`)];
        case 'wrong':
          return [fail(subject, `${reading.problem}: correct query in sluice.yaml.`)];
        default:
          return reading satisfies never;
      }
    };
    return { subject, after: OUTSIDE.prometheus, look };
  });
}

// ---- small things ----------------------------------------------------------------------------------------------------

const subjectOf = ({ name }: Service) => `service ${name}`;

const unique = <T>(items: readonly T[]): readonly T[] => [...new Set(items)];

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${ms / 1000} s`)), ms);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
