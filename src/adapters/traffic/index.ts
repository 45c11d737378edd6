/** The traffic systems that Sluice can route with: a new one is a file, its tests, and a line here. */
import type { Log, TrafficRouter } from '../../app/ports.ts';
import type { Target } from '../../core/plan.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { createGatewayApiRouter } from './gateway-api.ts';

type Deps = { readonly cluster: Cluster; readonly log: Log; readonly env?: string };
type Name = Target['traffic']['router'];

const routers: Readonly<Record<Name, (deps: Deps) => TrafficRouter>> = {
  'gateway-api': createGatewayApiRouter,
};

export function createRouters(deps: Deps): Readonly<Record<Name, TrafficRouter>> {
  return { 'gateway-api': routers['gateway-api'](deps) };
}

export function createRouter(name: string, deps: Deps): TrafficRouter {
  const create = Object.entries(routers).find(([known]) => known === name)?.[1];
  if (!create) throw new Error(`unknown router "${name}"; known: ${Object.keys(routers).join(', ')}`);
  return create(deps);
}
