/** Which Kubernetes Service carries a Deployment's traffic: the one that selects its pods and that the routes name. */
import type { Target } from '../../core/plan.ts';
import type { Cluster } from './cluster.ts';
import { isOurs, readMarks } from './marks.ts';
import {
  type Deployment,
  Deployments,
  type HTTPRoute,
  HTTPRoutes,
  journalSchema,
  nameOf,
  type Ref,
  type Service,
  Services,
  StatefulSets,
} from './objects.ts';

export type Serving =
  | { readonly ok: true; readonly deployment: Deployment; readonly service: Service }
  | { readonly ok: false; readonly refusal: string };

const refuse = (refusal: string): Serving => ({ ok: false, refusal });

export const deploymentOf = ({ namespace, deployment }: Target): Ref => ({ namespace, name: deployment });

/** HTTPRoutes of a target; each is written `namespace/name`. */
export function routesOf(target: Target): readonly Ref[] {
  return target.traffic.routes.map((route) => {
    const [first = '', second] = route.split('/');
    return second === undefined ? { namespace: target.namespace, name: first } : { namespace: first, name: second };
  });
}

export const selectsPods = (service: Service, labels: Readonly<Record<string, string>>) => {
  const wanted = Object.entries(service.spec.selector ?? {});
  return wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value);
};

export async function findServing(cluster: Cluster, target: Target): Promise<Serving> {
  const { namespace } = target;
  const subject = nameOf(Deployments, deploymentOf(target));
  const deployment = await cluster.view(Deployments, namespace).get(target.deployment);
  if (!deployment) return refuse(await missing(cluster, target, subject));
  const labels = deployment.spec.template.metadata?.labels ?? {};
  const services = await cluster.view(Services, namespace).all();
  const selecting = services.filter((service) => !isOurs(service) && selectsPods(service, labels));
  if (selecting.length === 0) {
    return refuse(
      `No Kubernetes Service in namespace ${namespace} selects the pods of ${subject}: make one, and route to it.`,
    );
  }
  const routes = await Promise.all(
    routesOf(target).map((ref) => cluster.view(HTTPRoutes, ref.namespace).get(ref.name)),
  );
  const absent = routesOf(target).find((_, index) => routes[index] === null);
  const named = new Set(routes.flatMap((route) => (route ? backendNames(route, namespace) : [])));
  const routed = selecting.filter(({ metadata }) => named.has(metadata.name));
  const [service] = routed;
  const list = (some: readonly Service[]) => some.map(({ metadata }) => metadata.name).join(', ');
  const where = `HTTPRoute ${target.traffic.routes.join(', ')}`;
  if (!service && absent) return refuse(routeMissing(absent, target));
  if (!service) {
    return refuse(
      `${where} has no rule that sends to a Kubernetes Service of ${subject} (${list(selecting)}): name the route that does, in traffic.route.`,
    );
  }
  if (routed.length > 1) {
    return refuse(
      `${where} sends to several Kubernetes Services of ${subject} (${list(routed)}): route to one of them only.`,
    );
  }
  return { ok: true, deployment, service };
}

export const routeMissing = (ref: Ref, { service }: Target) =>
  `${nameOf(HTTPRoutes, ref)} does not exist: name an existing one in traffic.route of service ${service}.`;

async function missing(cluster: Cluster, { namespace, deployment }: Target, subject: string): Promise<string> {
  // Only a hint: without the right to look, the plain sentence has to do.
  const stateful = await cluster.get(StatefulSets, { namespace, name: deployment }).catch(() => null);
  if (stateful) return `${namespace}/${deployment} is a StatefulSet: Sluice rolls out Deployments only.`;
  return `${subject} does not exist: check namespace and deployment of the service in sluice.yaml.`;
}

/** Names of the Kubernetes Services in `namespace` that a route sends to, or sent to before it was claimed. */
function backendNames(route: HTTPRoute, namespace: string): string[] {
  const rules = [...(route.spec.rules ?? []), ...readJournal(route)];
  return rules
    .flatMap(({ backendRefs = [] }) => backendRefs)
    .filter((ref) => (ref.namespace ?? route.metadata.namespace) === namespace)
    .map(({ name }) => name);
}

/** Owned fields of a route as they were before the claim; empty when it carries none that can be read. */
export function readJournal(route: HTTPRoute) {
  return parseJournal(readMarks(route)?.restore ?? null);
}

export function parseJournal(text: string | null) {
  try {
    return journalSchema.safeParse(JSON.parse(text ?? '[]')).data ?? [];
  } catch {
    return [];
  }
}
