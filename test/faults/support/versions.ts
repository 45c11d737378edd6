/** How tests read what `versioned` left in the cluster: `world-v1` and `world-v2` side by side, and a route that says which one serves. */
import type { JsonObject } from '../../../playground/api-server/json.ts';
import { kinds } from '../../../playground/api-server/kinds.ts';
import type { RouteRule } from '../../../playground/api-server/objects.ts';
import type { Stage } from '../../scenarios/support/stage.ts';

export const NONE_FAILED = { broken: 0, gatewayErrors: 0 };

/** A service of that kind, with these strategies and no checks. */
export const versionedWith = (strategies: Readonly<Record<string, object>>, service: object = {}) => ({
  world: { versioned: true },
  service: { workload: 'versioned', strategies: Object.keys(strategies), checks: [], ...service },
  config: { strategies },
});

export function readVersions({ slack, get, playground }: Stage) {
  const route = () => get(kinds.httpRoutes, 'world');
  const backends = () =>
    route()?.spec.rules?.flatMap(({ backendRefs = [] }) => backendRefs.map(({ name }) => name)) ?? [];
  const phaseOf = (object: { metadata: { annotations?: Readonly<Record<string, string>> } } | undefined) =>
    object?.metadata.annotations?.['sluice.dev/phase'];
  const until = (what: string, is: () => boolean) => slack.until(is, { what, timeoutMs: 20_000 });
  const replicas = (...names: readonly string[]) => names.map((name) => get(kinds.deployments, name)?.spec.replicas);

  /** Somebody else changes the route. */
  function reroute(change: (rules: readonly RouteRule[]) => readonly JsonObject[]): void {
    const object = route();
    if (!object) throw new Error('no route');
    const spec = { ...object.spec, rules: change(object.spec.rules ?? []) };
    playground.store.update(kinds.httpRoutes, { ...object, spec }, 'main');
  }

  return {
    /** Names of the Kubernetes Services that the route sends to. */
    backends,
    until,
    /** Of these Deployments; undefined: it is not there. */
    replicas,
    /** It serves alone, and nobody holds the route. */
    live: (name: string) => until(`${name} serves`, () => phaseOf(route()) === 'done' && backends().join() === name),
    /** The rollout that claimed it as stable has ended there. */
    letGoOf: (name: string) => until(`${name} is let go of`, () => phaseOf(get(kinds.deployments, name)) === 'done'),
    /** v2 serves in its place; the one of before sleeps. */
    sleeps: () => until('v1 sleeps', () => replicas('world-v1', 'world-v2').join() === '0,2'),
    reroute,
    send: (name: string) =>
      reroute((rules) => rules.map((rule) => ({ ...rule, backendRefs: [{ name, port: 80, weight: 1 }] }))),
  };
}
