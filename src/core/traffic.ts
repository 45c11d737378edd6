/** What the rest of Sluice asks of a target's `traffic`, whatever its router: a new router is a case in each of these. */
import type { Preview, Target, Traffic, Versioned } from './plan.ts';
import { sidesOf } from './sides.ts';

type Routed = Pick<Target, 'traffic' | 'versioned'>;

/** Where marked route objects are listed: namespaces of the cluster, or addresses of dtabs. Opaque to all but the router. */
export function routePlaces({ traffic }: Routed): readonly string[] {
  switch (traffic.router) {
    case 'gateway-api':
      return [...new Set(traffic.routes.map(namespaceOf))];
    case 'namerd':
      return traffic.namespaces.map((namespace) => dtabAddress(traffic.url, namespace));
    case 'smi':
      return [namespaceOf(traffic.split)];
    case 'istio':
      return [namespaceOf(traffic.virtualService)];
    case 'ingress-nginx':
      return [namespaceOf(traffic.ingress)];
    case 'kubernetes':
      return [namespaceOf(traffic.service)];
    default:
      return traffic satisfies never;
  }
}

/** The route objects, for people. No two services may share one. */
export function routeObjects({ traffic }: Routed): readonly string[] {
  switch (traffic.router) {
    case 'gateway-api':
      return traffic.routes.map((route) => `HTTPRoute ${route}`);
    case 'namerd':
      return traffic.namespaces.map((namespace) => `${dtabName(traffic.url, namespace)}, dentry ${traffic.path}`);
    case 'smi':
      return [`TrafficSplit ${traffic.split}`];
    case 'istio':
      return traffic.http.length > 0
        ? traffic.http.map((name) => `VirtualService ${traffic.virtualService}, route ${name}`)
        : [`VirtualService ${traffic.virtualService}`];
    case 'ingress-nginx':
      return [`Ingress ${traffic.ingress}-canary`];
    case 'kubernetes':
      return [serviceName(traffic)];
    default:
      return traffic satisfies never;
  }
}

/**
 * The DestinationRule (`namespace/name`) whose subsets tell stable from canary, both of which stand behind one Kubernetes
 * Service then; null: each side has a Kubernetes Service of its own.
 */
export const subsetRule = ({ traffic }: Routed): string | null =>
  (traffic.router === 'istio' && traffic.destinationRule) || null;

/** What a rollout claims beside the route objects, for people: it says no share. No two services may share one. */
export function besideRoutes(target: Routed): readonly string[] {
  const rule = subsetRule(target);
  return rule === null ? [] : [`DestinationRule ${rule}`];
}

/** What a plan says of its writes to the routes. */
export function writeWords(target: Target): Record<'stable' | 'canary' | 'marks' | 'back', string> {
  const { traffic, deployment, service } = target;
  const marks = 'annotations sluice.dev/…';
  if (traffic.router === 'namerd') {
    const canary = canaryPath(traffic, target.versioned);
    const back = 'its destination of before again';
    return { stable: 'its destination of before', canary, marks: `${marks}, dentries /sluice/${service}…`, back };
  }
  if (traffic.router === 'kubernetes') {
    const pods = { stable: `pods of ${deployment}`, canary: `pods of ${sidesOf(target).canary}` };
    return { ...pods, marks, back: 'its own selector again' };
  }
  if (subsetRule(target) !== null)
    return {
      stable: 'its subset of before',
      canary: `subset ${deployment}-canary`,
      marks,
      back: 'its own subset again',
    };
  const { stable, canary } = sidesOf(target);
  return { stable, canary, marks, back: 'its own backends again' };
}

/** What a request carries to reach the canary while a step has this preview. */
export function previewRequest({ traffic, versioned }: Routed, preview: Preview): Preview {
  // Linkerd 1 matches no headers of one's own: a request names the dentry that it wants replaced.
  return traffic.router === 'namerd'
    ? { header: 'l5d-dtab', value: `${traffic.path} => ${canaryPath(traffic, versioned)}` }
    : preview;
}

/** Commands that open the routes for a person who takes the traffic back, and what to write there. */
export function byHand(
  target: Target,
  journal: Readonly<Record<string, string>> = {},
): { readonly commands: readonly string[]; readonly edit: string } {
  const { traffic, deployment, namespace, workload } = target;
  switch (traffic.router) {
    case 'gateway-api':
      return {
        commands: traffic.routes.map((route) => editCommand('httproute', route)),
        edit: weightsByHand(target),
      };
    case 'namerd': {
      const { url, namespaces, path } = traffic;
      const was = namespaces.map((namespace) => journal[dtabName(url, namespace)]).find((dst) => dst !== undefined);
      return {
        commands: namespaces.flatMap((namespace) => {
          const dtab = `namerctl --base-url ${url} dtab`;
          return [`${dtab} get ${namespace} > ${namespace}.dtab`, `${dtab} update ${namespace} ${namespace}.dtab`];
        }),
        edit: `between the two, make the line of ${path} read ${path} => ${was ?? 'what it was before, without the canary'}`,
      };
    }
    case 'smi':
      return { commands: [editCommand('trafficsplit', traffic.split)], edit: weightsByHand(target) };
    case 'istio':
      return {
        commands: [editCommand('virtualservice', traffic.virtualService)],
        edit:
          subsetRule(target) === null
            ? weightsByHand(target)
            : `set the weight of subset ${deployment}-canary to 0 and of the other subset to 100`,
      };
    case 'ingress-nginx':
      return {
        commands: [editCommand('ingress', `${traffic.ingress}-canary`)],
        edit: `set the annotation ${traffic.annotations}/canary-weight to "0" and take canary-by-header and canary-by-cookie off`,
      };
    case 'kubernetes': {
      const { service } = traffic;
      if (workload === 'in-place') {
        const kubectl = `kubectl -n ${namespace}`;
        // What holds the new pods back would hold the old ones back, too.
        const free = `${kubectl} patch deployment ${deployment} -p '{"spec":{"paused":false,"minReadySeconds":0}}'`;
        const undo = `${kubectl} rollout undo deployment/${deployment}`;
        return {
          commands: [free, undo],
          // It goes back by one revision each time: after Sluice's own undo that would be forward again.
          edit: 'leave out the last one where the Deployment has its old image already: then only its pods have still to come',
        };
      }
      const was = journal[serviceName(traffic)];
      return {
        commands: [editCommand('service', service)],
        edit:
          was === undefined
            ? `make the selector of ${serviceName(traffic)} that of ${deployment}'s pods`
            : `set the selector of ${serviceName(traffic)} back to ${was}`,
      };
    }
    default:
      return traffic satisfies never;
  }
}

/** Also the key of its journal. */
const serviceName = ({ service }: Extract<Traffic, { router: 'kubernetes' }>) => `Service ${service}`;

const namespaceOf = (object: string) => object.split('/')[0] ?? '';

function editCommand(kind: string, object: string): string {
  const [namespace, name] = object.split('/', 2);
  return `kubectl -n ${namespace} edit ${kind} ${name}`;
}

function weightsByHand(target: Target): string {
  if (target.workload === 'versioned' && !target.versioned) return 'give all of the weight to the version of before';
  const { stable, canary } = sidesOf(target);
  return `set the weight of ${canary} to 0 and of ${stable} to 100`;
}

type Namerd = Extract<Traffic, { router: 'namerd' }>;

/** `dtab internal of http://namerd:4180`: also the key of its journal. */
export const dtabName = (url: string, namespace: string) => `dtab ${namespace} of ${url}`;
export const dtabAddress = (url: string, namespace: string) => `${url}/api/1/dtabs/${namespace}`;

/** The workload `twin` has one canary, whatever its version: the Kubernetes Service `<deployment>-canary`. */
export const canaryPath = ({ names }: Pick<Namerd, 'names'>, versioned?: Versioned): string =>
  names.replace('{version}', () => (versioned ? versioned.canary.slice(versioned.base.length + 1) : 'canary'));
