/** From a check to the PromQL of one side. */
import type { SideSets } from '../../app/ports/workload.ts';
import { isPreset } from '../../core/config-schema.ts';
import type { Check, Target } from '../../core/plan.ts';
import { sidesOf } from '../../core/sides.ts';
import { PRESET_QUERIES } from './presets.ts';

export type Side = 'canary' | 'stable';

/** `count` null: PromQL of one's own does not tell how many requests its value rests on. */
export type Queries = { readonly value: string; readonly count: string | null };

/** `windowMs` is used in whole seconds, at least one. `sets`: whose pods are whose, where one Deployment has both sides. */
export function queriesOf(
  target: Target,
  check: Check,
  side: Side,
  windowMs: number,
  sets: SideSets | null = null,
): Queries {
  const preset = isPreset(check.query) ? PRESET_QUERIES[check.query] : { value: check.query, count: null };
  const values = valuesOf(target, side, windowMs, sets?.[side]);
  return { value: fill(preset.value, values), count: preset.count === null ? null : fill(preset.count, values) };
}

/**
 * What a preset asks of the version that serves while nothing is rolled out: there is no `world-stable` yet, so every
 * Kubernetes Service behind the routes counts. null: PromQL of one's own that names the Kubernetes Service.
 */
export function liveQueryOf(target: Target, check: Check, windowMs: number): string | null {
  // A version has a Kubernetes Service of its own, rollout or not.
  if (target.versioned) return queriesOf(target, check, 'stable', windowMs).value;
  const pods = podsOf(target.deployment);
  const values = new Map([...valuesOf(target, 'stable', windowMs), ['service', '.*'], ['pods', pods], ['apart', '']]);
  if (isPreset(check.query)) return fill(PRESET_QUERIES[check.query].value, values);
  return /\{\{\s*service\s*\}\}/.test(check.query) ? null : fill(check.query, values);
}

/**
 * Both sides are found by their names: `world-canary` and `world`, behind `world-canary` and `world-stable`; with the workload
 * `versioned` `world-v2` and `world-v1`, behind the same; with `in-place` by their pods, of one Deployment behind one Kubernetes
 * Service. `sets`: of this side.
 */
function valuesOf(
  target: Target,
  side: Side,
  windowMs: number,
  sets: readonly string[] | null = null,
): ReadonlyMap<string, string> {
  const { namespace, deployment, traffic, workload } = target;
  const sides = sidesOf(target);
  const own = side === 'canary' ? sides.canary : deployment;
  const isOne = workload === 'in-place';
  const pods = isOne ? podsOfSets(sets ?? []) : podsOf(own);
  const service = isOne && traffic.router === 'kubernetes' ? traffic.service.split('/')[1] : sides[side];
  return new Map([
    ['namespace', inString(namespace)],
    ['workload', inString(isOne ? deployment : own)],
    ['service', inString(service ?? '')],
    ['routes', `(?:${(traffic.router === 'gateway-api' ? traffic.routes : []).map(inRegex).join('|')})`],
    ['pods', pods],
    ['apart', isOne ? `,pod=~"${pods}"` : ''],
    ['window', `${Math.max(1, Math.floor(windowMs / 1000))}s`],
  ]);
}

/** `world-7d9f8c-x2z4q`: Deployment, template and pod. */
const podsOf = (deployment: string) => `${inRegex(deployment)}-[a-z0-9]+-[a-z0-9]+`;

/** No pod has a slash in its name: of nobody there are no samples. */
const podsOfSets = (sets: readonly string[]) =>
  sets.length === 0 ? '/' : `(?:${sets.map(inRegex).join('|')})-[a-z0-9]+`;

const fill = (template: string, values: ReadonlyMap<string, string>) =>
  template.replace(/\{\{\s*(\w+)\s*\}\}/g, (whole, name: string) => values.get(name) ?? whole);

/** For the inside of a PromQL string. The names are Kubernetes', so there is nothing to escape; should they ever not be … */
const inString = (text: string) => text.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n');

/** A name, or `namespace/name` as Traefik writes it; dots taken literally. */
const inRegex = (name: string) => inString(name.replace('/', '-').replaceAll('.', '[.]'));
