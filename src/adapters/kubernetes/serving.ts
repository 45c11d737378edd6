/** Which Kubernetes Service carries a Deployment's traffic: the one that selects its pods and that the routes name. */
import type { Target } from '../../core/plan.ts';
import type { Cluster } from './cluster.ts';
import { nameOf, type Ref } from './kinds.ts';
import { isOurs } from './marks.ts';
import { type Deployment, Deployments, type Service, Services, StatefulSets } from './objects.ts';
import { namedServices } from './routed-services.ts';
import { selectorBefore } from './switched.ts';

export type Serving =
  | { readonly ok: true; readonly deployment: Deployment; readonly service: Service }
  | { readonly ok: false; readonly refusal: string };

const refuse = (refusal: string): Serving => ({ ok: false, refusal });

export const deploymentOf = ({ namespace, deployment }: Target): Ref => ({ namespace, name: deployment });

export const selectsPods = (service: Service, labels: Readonly<Record<string, string>>) => {
  const wanted = Object.entries(service.spec.selector ?? {});
  return wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value);
};

/** A Kubernetes Service whose selector is switched for a rollout, with the selector that it had. */
function before(service: Service): Service | null {
  const selector = selectorBefore(service);
  return selector && { ...service, spec: { ...service.spec, selector } };
}

export async function findServing(cluster: Cluster, target: Target): Promise<Serving> {
  const { namespace } = target;
  const subject = nameOf(Deployments, deploymentOf(target));
  const deployment = await cluster.view(Deployments, namespace).get(target.deployment);
  if (!deployment) return refuse(await missing(cluster, target, subject));
  const labels = deployment.spec.template.metadata?.labels ?? {};
  const services = await cluster.view(Services, namespace).all();
  if (target.workload === 'versioned') return servingVersion(deployment, services, labels);
  const selecting = services.filter(
    (service) => !isOurs(service) && [service, before(service)].some((one) => one !== null && selectsPods(one, labels)),
  );
  if (selecting.length === 0) {
    return refuse(
      `No Kubernetes Service in namespace ${namespace} selects the pods of ${subject}: make one, and route to it.`,
    );
  }
  const list = (some: readonly Service[]) => some.map(({ metadata }) => metadata.name).join(', ');
  const named = await namedServices(cluster, target);
  if (!named) return servingAlone(target, deployment, selecting, list(selecting));
  const routed = selecting.filter(({ metadata }) => named.services.has(metadata.name));
  const [service] = routed;
  if (!service && named.absent) return refuse(named.absent);
  if (!service && named.otherwise === 'any') return servingAlone(target, deployment, selecting, list(selecting));
  if (!service) {
    const remedy = named.otherwise ?? `name the one that does, in traffic of service ${target.service}.`;
    return refuse(`${named.where} does not send to a Kubernetes Service of ${subject} (${list(selecting)}): ${remedy}`);
  }
  if (routed.length > 1) {
    return refuse(
      `${named.where} sends to several Kubernetes Services of ${subject} (${list(routed)}): route to one of them only.`,
    );
  }
  return { ok: true, deployment, service };
}

/** Each version has a Kubernetes Service of its own, with its own name. */
function servingVersion(
  deployment: Deployment,
  services: readonly Service[],
  labels: Readonly<Record<string, string>>,
): Serving {
  const service = services.find(({ metadata }) => metadata.name === deployment.metadata.name);
  if (service && selectsPods(service, labels)) return { ok: true, deployment, service };
  const subject = nameOf(Services, deployment.metadata);
  const pods = `the pods of ${nameOf(Deployments, deployment.metadata)}`;
  return refuse(
    service
      ? `${subject} does not select ${pods}: correct its selector.`
      : `${subject} does not exist: with the workload versioned it leads to ${pods}; make it, and let the routes send to it.`,
  );
}

/** What routes does not name a Kubernetes Service: it has to be the only one, or the one named alike. */
function servingAlone(
  { namespace, deployment: name }: Target,
  deployment: Deployment,
  selecting: readonly Service[],
  all: string,
): Serving {
  const service = selecting.length === 1 ? selecting[0] : selecting.find(({ metadata }) => metadata.name === name);
  if (service) return { ok: true, deployment, service };
  return refuse(
    `Several Kubernetes Services in namespace ${namespace} select the pods of Deployment ${name} (${all}): name one of them ${name}.`,
  );
}

async function missing(cluster: Cluster, { namespace, deployment }: Target, subject: string): Promise<string> {
  // Only a hint: without the right to look, the plain sentence has to do.
  const stateful = await cluster.get(StatefulSets, { namespace, name: deployment }).catch(() => null);
  if (stateful) return `${namespace}/${deployment} is a StatefulSet: Sluice rolls out Deployments only.`;
  return `${subject} does not exist: check namespace and deployment of the service in sluice.yaml.`;
}
