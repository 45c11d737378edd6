/** From the parsed YAML to a `Config`, or to everything that is wrong with it. */
import type { Config, Service } from './config.ts';
import { conflicts, type Parts, trafficOf } from './config-conflicts.ts';
import { describe } from './config-errors.ts';
import {
  type CheckEntry,
  ConfigFile,
  isPreset,
  PRESETS,
  type ServiceEntry,
  ServiceSchema,
  type StepEntry,
  StepsSchema,
} from './config-schema.ts';
import type { Check, Step } from './plan.ts';

export type ParsedConfig =
  | { readonly ok: true; readonly config: Config }
  /** One line each: place and remedy. */
  | { readonly ok: false; readonly errors: readonly string[] };

const BUILT_IN = {
  canary: StepsSchema.parse([
    { preview: { header: 'x-canary: always' }, test: true, gate: true },
    { weight: 10, bake: '1m', gate: true },
    { weight: 50, bake: '1m', gate: true },
    { weight: 100, bake: '1m', gate: true },
  ]),
};

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
  const services = mapValues(file.services, (entry, name) => serviceOf(name, entry, file, Object.keys(strategies)));
  const { channel, onCall, fallbackChannel = null, tables, teams, perMinute } = file.slack;
  return {
    env: file.env,
    slack: { channel, onCall, fallbackChannel, tables, teams, perMinute },
    metrics: { prometheus: file.metrics.prometheus ?? null },
    services,
    strategies,
  };
}

function serviceOf(name: string, entry: ServiceEntry, file: ConfigFile, allStrategies: readonly string[]): Service {
  const { namespace, deployment, container = null, workload, image, versions, access, tests } = entry;
  return {
    name,
    target: {
      service: name,
      namespace,
      deployment,
      container,
      workload,
      traffic: trafficOf(entry),
    },
    image,
    versions,
    channel: entry.channel ?? file.slack.channel,
    strategies: entry.strategies ?? allStrategies,
    checks: entry.checks.map(checkOf),
    tests,
    access: { ...access, onCall: file.slack.onCall },
    coolDownMs: entry.coolDown,
    readyTimeoutMs: entry.readyTimeout,
    promoteTimeoutMs: entry.promoteTimeout ?? null,
  };
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

function stepOf({ weight = 0, preview, test = false, bake = 0, gate }: StepEntry): Step {
  const [header = '', ...value] = preview?.header.split(':') ?? [];
  return {
    route: { weight, preview: preview ? { header: header.trim(), value: value.join(':').trim() } : null, mirror: null },
    test,
    bakeMs: bake,
    gate: gate ? { approvals: gate.approvals, timeoutMs: gate.timeout, onTimeout: gate.onTimeout } : null,
  };
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
