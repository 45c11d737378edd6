/** From the parsed YAML to a `Config`, or to everything that is wrong with it. */
import type { Config, Service, StrategyStep } from './config.ts';
import { conflicts, type Parts, trafficOf } from './config-conflicts.ts';
import { describe } from './config-errors.ts';
import { type CheckEntry, ConfigFile, isPreset, PRESETS, type ServiceEntry, ServiceSchema } from './config-schema.ts';
import type { Check, Preview, Target } from './plan.ts';
import type { StepEntry } from './step-schema.ts';
import { BUILT_IN } from './strategies.ts';
import { fitted, refusals, supportOf } from './support.ts';

export type ParsedConfig =
  | { readonly ok: true; readonly config: Config }
  /** One line each: place and remedy. */
  | { readonly ok: false; readonly errors: readonly string[] };

/** `raw`: the YAML as parsed, whatever it is. Never throws; all errors come at once. */
export function parseConfig(raw: unknown): ParsedConfig {
  const parsed = ConfigFile.safeParse(raw);
  const wrong = parsed.success ? [] : parsed.error.issues.flatMap((issue) => describe(issue));
  const errors = [...new Set([...wrong, ...conflicts(rightParts(raw))])];
  return parsed.success && errors.length === 0 ? { ok: true, config: build(parsed.data) } : { ok: false, errors };
}

/** The entries that are right by themselves are compared with each other, whatever else is wrong. */
function rightParts(raw: unknown): Parts {
  const services = entries(raw, 'services').flatMap(([name, value]) => {
    const service = ServiceSchema.safeParse(value);
    return service.success ? [[name, service.data] as const] : [];
  });
  return {
    services: Object.fromEntries(services),
    strategies: [...Object.keys(BUILT_IN), ...entries(raw, 'strategies').map(([name]) => name)],
    prometheus: entries(raw, 'metrics').some(([key]) => key === 'prometheus'),
  };
}

function entries(raw: unknown, key: string): readonly (readonly [string, unknown])[] {
  const value = isObject(raw) ? new Map(Object.entries(raw)).get(key) : undefined;
  return isObject(value) ? Object.entries(value) : [];
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

function build(file: ConfigFile): Config {
  const strategies = mapValues({ ...BUILT_IN, ...file.strategies }, (steps) => steps.map(stepOf));
  const services = mapValues(file.services, (entry, name) => serviceOf(name, entry, file, strategies));
  const { channel, onCall, fallbackChannel = null, tables, teams, perMinute } = file.slack;
  return {
    env: file.env,
    slack: { channel, onCall, fallbackChannel, tables, teams, perMinute },
    metrics: { prometheus: file.metrics.prometheus ?? null },
    services,
    strategies,
  };
}

function serviceOf(name: string, entry: ServiceEntry, file: ConfigFile, strategies: Config['strategies']): Service {
  const { namespace, deployment, container = null, workload, image, versions, access, tests } = entry;
  const target = { service: name, namespace, deployment, container, workload, traffic: trafficOf(entry) };
  return {
    name,
    target,
    image,
    versions,
    channel: entry.channel ?? file.slack.channel,
    strategies: entry.strategies ?? possible(strategies, target),
    checks: entry.checks.map(checkOf),
    tests,
    access: { ...access, onCall: file.slack.onCall },
    coolDownMs: entry.coolDown,
    readyTimeoutMs: entry.readyTimeout,
    promoteTimeoutMs: entry.promoteTimeout ?? null,
  };
}

/** All that its router and workload can carry out. */
function possible(strategies: Config['strategies'], target: Pick<Target, 'workload' | 'traffic'>): readonly string[] {
  const support = supportOf(target);
  const names = Object.keys(strategies);
  const able = names.filter((name) => refusals(name, fitted(strategies[name] ?? [], support), target).length === 0);
  // With none at all each says why when it is typed.
  return able.length > 0 ? able : names;
}

function checkOf(entry: CheckEntry): Check {
  const { name, query, min = null, max, interval, window, fails, minRequests } = entry;
  const unit = isPreset(query) ? PRESETS[query] : (max?.unit ?? '');
  return {
    name,
    query,
    min,
    max: max?.value ?? null,
    unit,
    intervalMs: interval,
    windowMs: window,
    fails,
    minRequests,
  };
}

function stepOf({ weight = 0, preview, mirror, test = false, bake = 0, gate }: StepEntry): StrategyStep {
  return {
    route: { weight, preview: preview ? previewOf(preview) : null, mirror: mirror ?? null },
    test,
    bakeMs: bake,
    gate: gate ? { approvals: gate.approvals, timeoutMs: gate.timeout, onTimeout: gate.onTimeout } : null,
    ...(preview?.optional && { optionalPreview: true }),
  };
}

function previewOf({ header = '', pattern, cookie }: NonNullable<StepEntry['preview']>): Preview {
  if (pattern !== undefined) return { header, pattern };
  const text = cookie ?? header;
  const split = text.indexOf(cookie === undefined ? ':' : '=');
  const [name, value] = [text.slice(0, split).trim(), text.slice(split + 1).trim()];
  return cookie === undefined ? { header: name, value } : { cookie: name, value };
}

/** Without a prototype: a service that somebody types is never found among what every object has. */
function mapValues<From, To>(
  record: Readonly<Record<string, From>>,
  to: (value: From, key: string) => To,
): Record<string, To> {
  const mapped: Record<string, To> = Object.create(null);
  for (const [key, value] of Object.entries(record)) mapped[key] = to(value, key);
  return mapped;
}
