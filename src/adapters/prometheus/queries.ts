/** From a check to the PromQL of one side. */
import { isPreset } from '../../core/config-schema.ts';
import type { Check, Target } from '../../core/plan.ts';
import { sidesOf } from '../../core/sides.ts';
import { PRESET_QUERIES } from './presets.ts';

export type Side = 'canary' | 'stable';

/** `count` null: PromQL of one's own does not tell how many requests its value rests on. */
export type Queries = { readonly value: string; readonly count: string | null };

/** `windowMs` is used in whole seconds, at least one. */
export function queriesOf(target: Target, check: Check, side: Side, windowMs: number): Queries {
  const preset = isPreset(check.query) ? PRESET_QUERIES[check.query] : { value: check.query, count: null };
  const values = valuesOf(target, side, windowMs);
  return { value: fill(preset.value, values), count: preset.count === null ? null : fill(preset.count, values) };
}

/**
 * What a preset asks of the version that serves while nothing is rolled out: there is no `world-stable` yet, so every
 * Kubernetes Service behind the routes counts. null: PromQL of one's own that names the Kubernetes Service.
 */
export function liveQueryOf(target: Target, check: Check, windowMs: number): string | null {
  // A version has a Kubernetes Service of its own, rollout or not.
  if (target.versioned) return queriesOf(target, check, 'stable', windowMs).value;
  const values = new Map([...valuesOf(target, 'stable', windowMs), ['service', '.*']]);
  if (isPreset(check.query)) return fill(PRESET_QUERIES[check.query].value, values);
  return /\{\{\s*service\s*\}\}/.test(check.query) ? null : fill(check.query, values);
}

/**
 * Both sides are found by their names: `world-canary` and `world`, behind `world-canary` and `world-stable`; with the workload
 * `versioned` `world-v2` and `world-v1`, behind the same.
 */
function valuesOf(target: Target, side: Side, windowMs: number): ReadonlyMap<string, string> {
  const { namespace, deployment, traffic } = target;
  const sides = sidesOf(target);
  return new Map([
    ['namespace', inString(namespace)],
    ['workload', inString(side === 'canary' ? sides.canary : deployment)],
    ['service', inString(sides[side])],
    ['routes', `(?:${(traffic.router === 'gateway-api' ? traffic.routes : []).map(inRegex).join('|')})`],
    ['window', `${Math.max(1, Math.floor(windowMs / 1000))}s`],
  ]);
}

const fill = (template: string, values: ReadonlyMap<string, string>) =>
  template.replace(/\{\{\s*(\w+)\s*\}\}/g, (whole, name: string) => values.get(name) ?? whole);

/** For the inside of a PromQL string. The names are Kubernetes', so there is nothing to escape; should they ever not be … */
const inString = (text: string) => text.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n');

/** `namespace/name` as Traefik writes it, dots taken literally. */
const inRegex = (route: string) => inString(route.replace('/', '-').replaceAll('.', '[.]'));
