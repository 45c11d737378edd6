/** What is wrong between the entries of `sluice.yaml`, each of which is right by itself. */
import { place, suggestion } from './config-errors.ts';
import { type CheckEntry, isPreset, PRESETS, type ServiceEntry, VARIABLES } from './config-schema.ts';
import type { Traffic } from './plan.ts';
import { notVersioned, SUPPORT } from './support.ts';
import { besideRoutes, routeObjects } from './traffic.ts';

export type Parts = {
  readonly services: Readonly<Record<string, ServiceEntry>>;
  /** Names of all strategies, right or wrong. */
  readonly strategies: readonly string[];
  readonly prometheus: boolean;
};

export function conflicts(parts: Parts): readonly string[] {
  const services = Object.entries(parts.services);
  return [...sharedObjects(services), ...services.flatMap(([name, service]) => serviceErrors(name, service, parts))];
}

/** `traffic` with what it leaves out. */
export function trafficOf({ namespace, traffic }: ServiceEntry): Traffic {
  const place = (name: string) => (name.includes('/') ? name : `${namespace}/${name}`);
  switch (traffic.router) {
    case 'gateway-api': {
      const names = traffic.routes ?? (traffic.route === undefined ? [] : [traffic.route]);
      return { router: traffic.router, routes: [...new Set(names.map(place))] };
    }
    case 'namerd':
      return { ...traffic, namespaces: [...new Set(traffic.namespaces)] };
    case 'smi':
      return { ...traffic, split: place(traffic.split) };
    case 'istio': {
      const { destinationRule: rule, ...rest } = traffic;
      const subsets = rule === undefined ? {} : { destinationRule: place(rule) };
      return { ...rest, virtualService: place(traffic.virtualService), ...subsets };
    }
    case 'ingress-nginx':
      return { ...traffic, ingress: place(traffic.ingress) };
    case 'kubernetes':
      return { ...traffic, service: place(traffic.service) };
    default:
      return traffic satisfies never;
  }
}

/** Two rollouts on one object would undo each other. */
function sharedObjects(services: readonly (readonly [string, ServiceEntry])[]): readonly string[] {
  const errors: string[] = [];
  const owners = new Map<string, string>();
  for (const [name, service] of services) {
    const routed = { traffic: trafficOf(service) };
    const claims = [
      { key: 'deployment', object: `Deployment ${service.namespace}/${service.deployment}` },
      ...[...routeObjects(routed), ...besideRoutes(routed)].map((object) => ({ key: 'traffic', object })),
    ];
    for (const { key, object } of claims) {
      const owner = owners.get(object);
      if (owner === undefined) owners.set(object, name);
      else errors.push(`${place(['services', name, key])}: write another one: ${object} is of services.${owner}`);
    }
  }
  return errors;
}

/** The canary is not to go in the moment in which the route is written. */
const SHORTEST_COOL_DOWN_MS = 1000;
/** So that there is room for a version behind it. */
const LONGEST_BASE = 40;

function serviceErrors(name: string, service: ServiceEntry, { strategies, prometheus }: Parts): readonly string[] {
  const errors: string[] = [];
  const report = (path: readonly PropertyKey[], message: string) =>
    errors.push(`${place(['services', name, ...path])}: ${message}`);
  for (const [index, strategy] of (service.strategies ?? []).entries()) {
    if (!strategies.includes(strategy)) {
      report(['strategies', index], `unknown strategy "${strategy}"; ${suggestion(strategy, strategies)}`);
    }
  }
  for (const [kind, items] of Object.entries({ checks: service.checks, tests: service.tests })) {
    const names = items.map((item) => item.name);
    for (const [index, given] of names.entries()) {
      if (names.indexOf(given) !== index) report([kind, index, 'name'], `write another name: "${given}" is taken`);
    }
  }
  const { traffic, workload } = service;
  if (traffic.router === 'istio' && traffic.destinationRule !== undefined && workload !== 'twin')
    report(
      ['traffic', 'destinationRule'],
      'leave it out: only the workload twin keeps both sides behind one Kubernetes Service',
    );
  if (workload === 'versioned') {
    const why = notVersioned(traffic.router);
    if (why !== null) report(['traffic', 'router'], why);
    if (service.deployment.length > LONGEST_BASE || !/^[a-z]/.test(service.deployment))
      report(
        ['deployment'],
        `write a name of at most ${LONGEST_BASE} characters that begins with a letter: those of the versions begin with it`,
      );
  }
  if (service.workload === 'in-place') {
    if (service.traffic.router !== 'kubernetes')
      report(['traffic', 'router'], 'write kubernetes: with workload in-place the share follows the pods');
    for (const [index, { query }] of service.checks.entries()) {
      const why = notInPlace(query);
      if (why !== null) report(['checks', index, 'query'], why);
    }
  }
  if (SUPPORT[traffic.router].unconfirmed && service.coolDown < SHORTEST_COOL_DOWN_MS)
    report(
      ['coolDown'],
      `write at least ${SHORTEST_COOL_DOWN_MS / 1000}s, better 10s: nothing says when the proxies have a route of ${traffic.router}, and where requests still go to the canary they fail once it is gone`,
    );
  for (const [index, { query }] of service.checks.entries()) {
    if (query.startsWith('traefik/') && isPreset(query) && traffic.router !== 'gateway-api')
      report(
        ['checks', index, 'query'],
        `write another preset, or PromQL: those of traefik/ measure by HTTPRoute, which router ${traffic.router} does not have`,
      );
  }
  for (const [index, check] of service.checks.entries()) {
    const wrong = checkError(check);
    if (wrong) report(['checks', index, wrong.key], wrong.message);
  }
  const { approve, approvals } = service.access;
  const people = new Set(approve);
  if (people.size < approvals && !approve.some((id) => id.startsWith('S'))) {
    report(['access', 'approvals'], `write at most ${people.size}: no more people may approve`);
  }
  if (service.checks.length > 0 && !prometheus) {
    errors.push(`metrics.prometheus: missing; write Prometheus' address, since services.${name} has checks`);
  }
  return errors;
}

/** Why a query says the same of both sides where they share a Deployment and a Kubernetes Service; null: it does not, or means to. */
function notInPlace(query: string): string | null {
  const names = variablesIn(query).map((name) => name.trim());
  const isMixed = names.some((name) => name === 'workload' || name === 'service') && !names.includes('pods');
  return isMixed
    ? 'tell the pods apart, by pod=~"{{pods}}" say: old and new ones share a Deployment and a Kubernetes Service with workload in-place'
    : null;
}

function checkError({
  query,
  min,
  max,
}: CheckEntry): { readonly key: keyof CheckEntry; readonly message: string } | null {
  if (min === undefined && max === undefined) return { key: 'min', message: 'missing; write min or max' };
  if (min !== undefined && max !== undefined && min > max.value) {
    return { key: 'min', message: `write at most ${max.value}, which is max` };
  }
  const known = Object.keys(PRESETS);
  if (isPreset(query)) {
    if (PRESETS[query] !== '%') return null;
    if (max?.unit === 'ms') return { key: 'max', message: 'write a percentage: this preset has no duration' };
    const limits = { min, max: max?.value };
    const key = (['min', 'max'] as const).find((end) => (limits[end] ?? 0) < 0 || (limits[end] ?? 0) > 100);
    return key ? { key, message: 'write a percentage from 0 to 100' } : null;
  }
  if (/^[a-z]+\/[a-z][a-z0-9-]*$/.test(query)) {
    return {
      key: 'query',
      message: `unknown preset "${query}"; ${suggestion(query, known)} (a division has spaces around /)`,
    };
  }
  for (const variable of variablesIn(query)) {
    if (VARIABLES.some((name) => name === variable.trim())) continue;
    return { key: 'query', message: `unknown variable "{{${variable}}}"; ${suggestion(variable.trim(), VARIABLES)}` };
  }
  return null;
}

/** As they stand between the braces. */
const variablesIn = (query: string): readonly string[] =>
  [...query.matchAll(/\{\{([^{}]*)\}\}/g)].map(([, variable = '']) => variable);
