/** `doctor`: one line for each thing a rollout needs, with the remedy where something is wrong. It only reads. */
import process from 'node:process';
import { type Cluster, createCluster } from '../adapters/kubernetes/cluster.ts';
import { createWorkloads } from '../adapters/kubernetes/workloads.ts';
import { inspectPrometheus } from '../adapters/prometheus/inspect.ts';
import { redisAddress } from '../adapters/redis/address.ts';
import { createStore, type RedisStore } from '../adapters/redis/store.ts';
import { inspectSlack, type SlackInspector, scopeSentence } from '../adapters/slack/inspect.ts';
import { createRouters, routerNameOf } from '../adapters/traffic/index.ts';
import {
  examine,
  type Finding,
  fail,
  type Look,
  lookAtRollouts,
  looksAtChecks,
  looksAtServices,
  looksAtSlack,
  OUTSIDE,
  ok,
  warn,
} from '../app/doctor.ts';
import { locate, targetOf } from '../app/locate.ts';
import { reasonOf } from '../app/outcome.ts';
import type { Log } from '../app/ports/log.ts';
import { loadConfig, readBotEnv } from '../config.ts';
import type { Config, Service } from '../core/config.ts';
import { DONE, FAILED, pause, quietLog, say } from './io.ts';
import { columns } from './text.ts';

const LIMIT_MS = 5_000;
const CLOSE_MS = 500;
type Variables = Readonly<Record<string, string | undefined>>;

const LEVELS = { ok: 'ok', warn: 'warn', fail: 'FAIL' } as const;

export async function doctor(): Promise<number> {
  const findings = await diagnose(process.env);
  const lines = findings.map(({ level, subject, text }) => [LEVELS[level], `${subject}: ${text}`]);
  say(columns(lines, '').join('\n'), DONE);
  return findings.some(({ level }) => level === 'fail') ? FAILED : DONE;
}

export async function diagnose(variables: Variables): Promise<readonly Finding[]> {
  const environment = readEnvironment(variables);
  const path = environment.value('SLUICE_CONFIG') ?? 'sluice.yaml';
  const loaded = await loadConfig(path);
  const closing: (() => Promise<unknown>)[] = [];
  const looks = [
    constant('environment', environment.findings),
    constant(path, configFindings(path, loaded)),
    ...outside({ environment, config: loaded.ok ? loaded.config : null, log: quietLog(), closing }),
  ];
  const findings = await examine(looks, LIMIT_MS);
  // What still hangs must not keep the report back.
  await Promise.race([Promise.allSettled(closing.map((close) => close())), pause(CLOSE_MS)]);
  return findings;
}

type Environment = ReturnType<typeof readEnvironment>;

/** What is right can be used, whatever else is wrong. */
function readEnvironment(variables: Variables) {
  const read = readBotEnv(variables);
  const errors = read.ok ? [] : read.errors;
  const wrong = errors.map((error) => error.split(':')[0]);
  const value = (name: string): string | undefined => {
    const set = variables[name]?.trim();
    return set && !wrong.includes(name) ? set : undefined;
  };
  const findings = read.ok ? [ok('environment', 'complete')] : errors.map((error) => fail('environment', error));
  return { findings, value };
}

function configFindings(path: string, loaded: Awaited<ReturnType<typeof loadConfig>>): readonly Finding[] {
  if (loaded.ok) return [ok(path, Object.keys(loaded.config.services).join(', '))];
  const errors = loaded.errors.map((error) => fail(path, error.replace(`${path}: `, '')));
  return [...errors, warn(path, 'channels, user groups, services and checks are looked at when it is right.')];
}

const constant = (subject: string, findings: readonly Finding[]): Look => ({ subject, look: async () => findings });

type Surroundings = {
  readonly environment: Environment;
  readonly config: Config | null;
  readonly log: Log;
  readonly closing: (() => Promise<unknown>)[];
};

/** Everything that can be looked at with what is right in environment and configuration. */
function outside(given: Surroundings): readonly Look[] {
  const { environment, config, log, closing } = given;
  const url = environment.value('REDIS_URL');
  const store = url === undefined ? null : createStore({ url, env: config?.env ?? 'default', log });
  if (store) closing.push(() => store.close());
  return [
    ...(store && url ? [lookAtRedis(store, url)] : []),
    ...(store && config ? [lookAtRollouts({ config, store })] : []),
    ...aroundSlack(given),
    ...aroundCluster(given, async (service) => store?.holder(service) ?? null),
    ...aroundPrometheus(given),
  ];
}

function lookAtRedis(store: RedisStore, url: string): Look {
  const subject = OUTSIDE.redis;
  const look = async () => {
    await store.reach();
    const warnings = await store.warnings();
    if (warnings.length > 0) return warnings.map((text) => warn(subject, text));
    return [ok(subject, `${redisAddress(url).place} keeps what it acknowledges`)];
  };
  return { subject, look };
}

function aroundSlack({ environment, config, log }: Surroundings): readonly Look[] {
  const botToken = environment.value('SLACK_BOT_TOKEN');
  const appToken = environment.value('SLACK_APP_TOKEN');
  if (botToken === undefined) return [];
  const slack = inspectSlack({ botToken, apiUrl: environment.value('SLACK_API_URL'), log });
  return [
    { subject: OUTSIDE.slack, look: () => lookAtToken(slack) },
    { subject: 'Slack scopes', after: OUTSIDE.slack, look: () => lookAtScopes(slack) },
    ...(appToken === undefined ? [] : [{ subject: 'Slack app token', look: () => lookAtAppToken(slack, appToken) }]),
    ...(config ? looksAtSlack({ config, chat: slack.chat }) : []),
  ];
}

async function lookAtToken(slack: SlackInspector): Promise<readonly Finding[]> {
  const { name, team } = await slack.identity().catch((error: unknown) => {
    const remedy =
      'correct SLACK_BOT_TOKEN ("OAuth & Permissions" on the app\'s pages), or look whether Slack can be reached.';
    throw new Error(`${reasonOf(error)}: ${remedy} Channels and user groups are looked at then.`);
  });
  return [ok(OUTSIDE.slack, `the bot is @${name}${team && ` in ${team}`}`)];
}

async function lookAtScopes(slack: SlackInspector): Promise<readonly Finding[]> {
  const subject = 'Slack scopes';
  const missing = await slack.missingScopes();
  if (missing === null) return [warn(subject, 'Slack did not say which the token has.')];
  if (missing.length === 0) return [ok(subject, 'complete')];
  return missing.map((one) => fail(subject, scopeSentence(one)));
}

async function lookAtAppToken(slack: SlackInspector, appToken: string): Promise<readonly Finding[]> {
  const subject = 'Slack app token';
  const refused = await slack.refusesAppToken(appToken);
  if (refused === null) return [ok(subject, 'Socket Mode can be opened')];
  const remedy = 'set SLACK_APP_TOKEN to an app-level token of this app with the scope connections:write.';
  return [fail(subject, `Slack refuses it for Socket Mode (${refused}): ${remedy}`)];
}

function aroundCluster(
  { environment, config, log, closing }: Surroundings,
  holder: (service: string) => Promise<string | null>,
): readonly Look[] {
  const subject = OUTSIDE.cluster;
  let cluster: Cluster;
  try {
    cluster = createCluster({ kubeconfig: environment.value('KUBECONFIG'), log });
  } catch (error) {
    return [{ subject, look: async () => [fail(subject, reasonOf(error))] }];
  }
  closing.push(() => cluster.close());
  const services = Object.values(config?.services ?? {});
  const namespace = services[0]?.target.namespace ?? 'default';
  const look = async () => {
    const refusals = await cluster.missingRights(namespace, []).catch((error: unknown) => {
      throw new Error(`${reasonOf(error)}: check that KUBECONFIG names the right cluster, and that it can be reached.`);
    });
    return refusals.length > 0 ? refusals.map((text) => fail(subject, text)) : [ok(subject, 'the API server answers')];
  };
  if (!config) return [{ subject, look }];
  const [routers, workloads] = [createRouters({ cluster, log }), createWorkloads({ cluster, log })];
  return [
    { subject, look },
    ...looksAtServices({
      config,
      holder,
      routerOf: (target) => routers[routerNameOf(target)],
      workloadOf: ({ workload }) => workloads[workload],
    }),
  ];
}

function aroundPrometheus(given: Surroundings): readonly Look[] {
  const { config } = given;
  const url = config?.metrics.prometheus;
  if (!config || !url) return [];
  const prometheus = inspectPrometheus(url);
  const subject = OUTSIDE.prometheus;
  const look = async () => {
    const trouble = await prometheus.trouble();
    if (trouble === null) return [ok(subject, `${url} answers`)];
    return [fail(subject, `${url}: ${trouble}. Correct metrics.prometheus in sluice.yaml, or let the bot reach it.`)];
  };
  return [{ subject, look }, ...looksAtChecks(config, prometheus.readCheck, namesNow(given))];
}

/** Which version serves is asked of the cluster, where one of its names is in a check. */
function namesNow({ environment, log, closing }: Surroundings) {
  let routers: ReturnType<typeof createRouters> | null = null;
  const open = () => {
    const cluster = createCluster({ kubeconfig: environment.value('KUBECONFIG'), log });
    closing.push(() => cluster.close());
    return createRouters({ cluster, log });
  };
  return async (service: Service) => {
    const configured = targetOf(service);
    if (configured.workload !== 'versioned') return configured;
    routers ??= open();
    const located = await locate(routers[routerNameOf(configured)], configured, null, service.image);
    if (located.ok) return located.target;
    throw new Error(located.refusal);
  };
}
