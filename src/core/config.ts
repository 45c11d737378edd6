/** The configuration as the rest of Sluice knows it, and the plan that a request makes of it. */
import type { Access, Actor, Check, Plan, SmokeTest, Step, Target } from './plan.ts';
import { fitted, supportOf } from './support.ts';

export type Service = {
  readonly name: string;
  /** `container` null: the only one, else the one named like the Deployment. */
  readonly target: Omit<Target, 'container'> & { readonly container: string | null };
  /** Contains `{version}` once. */
  readonly image: string;
  /** Source of the regular expression that the whole version matches. */
  readonly versions: string;
  /** Slack channel, name or id. */
  readonly channel: string;
  /** At least one; the first is the default. */
  readonly strategies: readonly string[];
  readonly checks: readonly Check[];
  readonly tests: readonly SmokeTest[];
  readonly access: Access;
  readonly coolDownMs: number;
  readonly readyTimeoutMs: number;
  /** null: the Deployment's own progress deadline. */
  readonly promoteTimeoutMs: number | null;
};

/** `optionalPreview`: its preview is left out where the router has none. */
export type StrategyStep = Step & { readonly optionalPreview?: true };

export type Config = {
  readonly env: string;
  readonly slack: {
    readonly channel: string;
    readonly onCall: readonly string[];
    readonly fallbackChannel: string | null;
    readonly tables: boolean;
    /** Other workspaces of the same organisation whose people count as the own ones. */
    readonly teams: readonly string[];
    /** Commands and clicks that one person may send; aborts always go through. */
    readonly perMinute: number;
  };
  readonly metrics: { readonly prometheus: string | null };
  readonly services: Readonly<Record<string, Service>>;
  /** The built-in ones and those of the file, which replace them. */
  readonly strategies: Readonly<Record<string, readonly StrategyStep[]>>;
};

export type PlanRequest = {
  readonly service: string;
  readonly kind: Plan['kind'];
  readonly version: string;
  readonly from: string | null;
  /** null: the service's default. A rollback has none. */
  readonly strategy: string | null;
  readonly template: Plan['template'];
  /** null: the image that the service's pattern gives. */
  readonly image: string | null;
  /** With the names that its objects have; left out: as configured. */
  readonly located?: Omit<Target, 'container'>;
  readonly container: string;
  readonly requester: Actor;
  readonly reason: string | null;
  /** Slack channel id. */
  readonly channelId: string;
  readonly warnings: readonly string[];
  /** The Deployment's progress deadline, for services without `promoteTimeout`. */
  readonly progressDeadlineMs?: number;
};

/** Kubernetes' default for `progressDeadlineSeconds`. */
const PROGRESS_DEADLINE_MS = 600_000;

/** A rollback goes straight to all traffic: its version served before, and what is live is in doubt. */
const ROLLBACK_STEPS: readonly Step[] = [
  { route: { weight: 100, preview: null, mirror: null }, test: false, bakeMs: 0, gate: null },
];

/** Freezes what is known now. Throws on a service or strategy that does not exist: callers ask first. */
export function planOf(config: Config, request: PlanRequest): Plan {
  const service = Object.hasOwn(config.services, request.service) ? config.services[request.service] : undefined;
  if (!service) throw new Error(`no service "${request.service}" in the configuration`);
  const { version, from, template, container, requester, reason, channelId, warnings } = request;
  return {
    kind: request.kind,
    env: config.env,
    target: { ...(request.located ?? service.target), container },
    version,
    from,
    image: request.image ?? imageOf(service, version),
    template,
    ...evidence(config, service, request),
    access: service.access,
    requester,
    reason,
    channel: channelId,
    coolDownMs: service.coolDownMs,
    readyTimeoutMs: service.readyTimeoutMs,
    promoteTimeoutMs: service.promoteTimeoutMs ?? request.progressDeadlineMs ?? PROGRESS_DEADLINE_MS,
    warnings,
  };
}

function evidence(
  config: Config,
  service: Service,
  request: PlanRequest,
): Pick<Plan, 'strategy' | 'steps' | 'checks' | 'tests'> {
  // Checks need minutes of traffic, and one without data would open a gate that a rollback must not have.
  if (request.kind === 'rollback') return { strategy: 'rollback', steps: ROLLBACK_STEPS, checks: [], tests: [] };
  const { checks, tests } = service;
  return { ...stepsOf(config, service, request.strategy), checks, tests };
}

/** What a strategy means for this service. `strategy` null: its default one. Throws on one that does not exist. */
export function stepsOf(
  config: Pick<Config, 'strategies'>,
  { strategies, target, access }: Pick<Service, 'strategies' | 'target' | 'access'>,
  name: string | null,
): Pick<Plan, 'strategy' | 'steps'> {
  const strategy = name ?? strategies[0] ?? '';
  const steps = Object.hasOwn(config.strategies, strategy) ? config.strategies[strategy] : undefined;
  if (!steps) throw new Error(`no strategy "${strategy}" in the configuration`);
  const fitting = fitted(steps, supportOf(target));
  return { strategy, steps: fitting.map((step) => withApprovals(step, access.approvals)) };
}

/** A strategy may ask for more approvals than the service, not for fewer. */
function withApprovals(step: Step, least: number): Step {
  return step.gate ? { ...step, gate: { ...step.gate, approvals: Math.max(step.gate.approvals, least) } } : step;
}

const PLACEHOLDER = '{version}';
const TAG = /^[A-Za-z0-9_][\w.-]{0,127}$/;

export function imageOf(service: Pick<Service, 'image'>, version: string): string {
  return service.image.replace(PLACEHOLDER, () => version);
}

/** The version in an image that follows the pattern, a digest after the tag left out; null: it does not follow it. */
export function versionOf(pattern: string, image: string): string | null {
  const [before = '', after = ''] = pattern.split(PLACEHOLDER);
  const plain = pattern.includes('@') ? image : image.replace(/@.*$/s, '');
  if (!plain.startsWith(before) || !plain.endsWith(after)) return null;
  const version = plain.slice(before.length, plain.length - after.length);
  return TAG.test(version) ? version : null;
}

/** The pattern is the operator's and holds for the whole version; the bound keeps a careless one fast. */
export function isVersion(service: Pick<Service, 'versions'>, version: string): boolean {
  return version.length <= 128 && version !== 'latest' && new RegExp(`^(?:${service.versions})$`).test(version);
}
