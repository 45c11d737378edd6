/** The traffic systems that Sluice can route with: a new one is a file, its tests, and a line here. */
import type { TrafficRouter } from '../../app/ports/router.ts';
import type { Target } from '../../core/plan.ts';
import type { RouterDeps } from './dialect.ts';
import { createGatewayApiRouter } from './gateway-api.ts';
import { createIngressNginxRouter } from './ingress-nginx.ts';
import { createIstioRouter } from './istio.ts';
import { createSelectorRouter } from './kubernetes.ts';
import { createNamerdRouter } from './namerd/router.ts';
import { createPodsRouter } from './pods.ts';
import { createSmiRouter } from './smi.ts';

/** The share follows pods where there is one Deployment only. */
type Name = Target['traffic']['router'] | 'kubernetes/in-place';
type Routers = Readonly<Record<Name, TrafficRouter>>;

const routers: Readonly<Record<Name, (deps: RouterDeps) => TrafficRouter>> = {
  'gateway-api': createGatewayApiRouter,
  namerd: createNamerdRouter,
  smi: createSmiRouter,
  istio: createIstioRouter,
  'ingress-nginx': createIngressNginxRouter,
  kubernetes: createSelectorRouter,
  'kubernetes/in-place': createPodsRouter,
};

export const routerNameOf = ({ traffic, workload }: Pick<Target, 'traffic' | 'workload'>): Name =>
  workload === 'in-place' ? 'kubernetes/in-place' : traffic.router;

export function createRouters(deps: RouterDeps): Routers {
  // The keys stay: `Object.entries` only forgets their type.
  return Object.fromEntries(Object.entries(routers).map(([name, create]) => [name, create(deps)])) as Routers;
}

export function createRouter(name: string, deps: RouterDeps): TrafficRouter {
  const create = Object.entries(routers).find(([known]) => known === name)?.[1];
  if (!create) throw new Error(`unknown router "${name}"; known: ${Object.keys(routers).join(', ')}`);
  return create(deps);
}
