/**
 * ingress-nginx: a canary Ingress beside the stable one, which is never written. Weight and header are annotations of the
 * canary Ingress; at rest it says `canary: "true"` and weight "0", since a second Ingress with the same host and path that is
 * no canary would block later edits of the stable one.
 * https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#canary
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { TrafficRouter } from '../../app/ports/router.ts';
import { type Preview, type Route, STABLE_ROUTE, type Target } from '../../core/plan.ts';
import { sidesOf } from '../../core/sides.ts';
import { SUPPORT } from '../../core/support.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { nameOf, type Ref, refOf } from '../kubernetes/kinds.ts';
import { isOurs, type Op, pointer, readMarks, test } from '../kubernetes/marks.ts';
import { Deployments, type Service } from '../kubernetes/objects.ts';
import { belongsTo, otherOwner } from '../kubernetes/owners.ts';
import { type Ingress, Ingresses } from '../kubernetes/route-objects.ts';
import { dryWarnings } from '../kubernetes/run-dry.ts';
import { findServing } from '../kubernetes/serving.ts';
import type { Dialect, Look, Made, RouterDeps } from './dialect.ts';
import { backendsOf, CLASS, warnOfOthers } from './ingress-others.ts';
import { createObjectRouter } from './object-router.ts';

/** The canary Ingress is made for the rollout: there is nothing of before to come back to. `made`: a sum of what it was made as. */
type Journal = { readonly made: string } | 'foreign';
const UNKNOWN: Journal = { made: '' };
const madeSchema = z.object({ made: z.string() });

export function createIngressNginxRouter(deps: RouterDeps): TrafficRouter {
  return createObjectRouter<Ingress, Journal>(deps, {
    supports: SUPPORT['ingress-nginx'],
    kind: async () => Ingresses,
    refs: (target) => [canaryOf(target)],
    look,
    make,
    repeats: (target) => trafficOf(target).stable,
    dialect: (target) => dialectOf(`${trafficOf(target).annotations}/`, sidesOf(target).canary),
  });
}

function trafficOf({ traffic }: Target): { readonly stable: Ref; readonly annotations: string } {
  if (traffic.router !== 'ingress-nginx')
    throw new Error(`router ingress-nginx was given traffic of ${traffic.router}`);
  return { stable: refOf(traffic.ingress), annotations: traffic.annotations };
}

function canaryOf(target: Target): Ref {
  const { namespace, name } = trafficOf(target).stable;
  return { namespace, name: `${name}-canary` };
}

function dialectOf(prefix: string, canary: string): Dialect<Ingress, Journal> {
  /** What the annotations say of this route; undefined: the annotation is absent. */
  const saying = ({ weight, preview }: Route): Readonly<Record<string, string | undefined>> => ({
    canary: 'true',
    'canary-weight': String(weight),
    // Weights are percent.
    'canary-weight-total': undefined,
    ...PREVIEWLESS,
    ...(preview && annotationsOf(preview)),
  });
  const said = ({ metadata }: Ingress, key: string) => metadata.annotations?.[prefix + key];
  const shows = (object: Ingress, route: Route) =>
    Object.entries(saying(route)).every(([key, value]) => said(object, key) === value);
  const ops = (object: Ingress, route: Route, tested: boolean): readonly Op[] =>
    Object.entries(saying(route)).flatMap(([key, wanted]): Op[] => {
      const path = pointer('metadata', 'annotations', prefix + key);
      const found = said(object, key);
      const tests = tested && found !== undefined ? [test(path, found)] : [];
      if (wanted !== undefined) return [...tests, { op: 'add', path, value: wanted }];
      return found === undefined ? [] : [...tests, { op: 'remove', path }];
    });
  return {
    parse(restore) {
      try {
        return madeSchema.safeParse(JSON.parse(restore ?? 'null')).data ?? UNKNOWN;
      } catch {
        return UNKNOWN;
      }
    },
    isEmpty: (journal) => journal === 'foreign',
    take: (object) => (isForeign(object) ? 'foreign' : UNKNOWN),
    say: (object, _journal, route) => ops(object, route, true),
    // A late weight write does not hold an abort up: nothing but the marks is tested.
    restore: (object) => ops(object, STABLE_ROUTE, false),
    read(object) {
      const weight = Number(said(object, 'canary-weight') ?? Number.NaN);
      const route = { ...STABLE_ROUTE, weight, preview: previewIn((key) => said(object, key)) };
      return Number.isInteger(weight) && shows(object, route) ? route : null;
    },
    shows: (object, _journal, route) => shows(object, route),
    isForeign,
    isRestored: (object) => isForeign(object) || shows(object, STABLE_ROUTE),
    missing: (object) =>
      backendsOf(object).some(({ name }) => name === canary) ? null : `no path of it sends to ${canary}`,
    canSay: (object) => !isForeign(object),
    describe: (object, _journal, written) =>
      Object.entries(saying(written))
        .filter(([key, value]) => said(object, key) !== value)
        .map(([key, value]) => `${key} is ${show(said(object, key))}, written was ${show(value)}`)
        .join('; '),
    words: {
      nothing: FOREIGN,
      mend: FOREIGN,
      undo: `still sends to ${canary}: set its annotation ${prefix}canary-weight to "0" and take canary-weight-total, canary-by-header and canary-by-cookie off`,
    },
  };
}

const PREVIEWLESS = {
  'canary-by-header': undefined,
  'canary-by-header-value': undefined,
  'canary-by-header-pattern': undefined,
  'canary-by-cookie': undefined,
};

/** A cookie has no value of its own here: `always` reaches the canary, `never` does not. */
function annotationsOf(preview: Preview): Readonly<Record<string, string>> {
  if ('cookie' in preview) return { 'canary-by-cookie': preview.cookie };
  return 'pattern' in preview
    ? { 'canary-by-header': preview.header, 'canary-by-header-pattern': preview.pattern }
    : { 'canary-by-header': preview.header, 'canary-by-header-value': preview.value };
}

function previewIn(said: (key: string) => string | undefined): Preview | null {
  const [header, value, pattern] = [
    said('canary-by-header'),
    said('canary-by-header-value'),
    said('canary-by-header-pattern'),
  ];
  const cookie = said('canary-by-cookie');
  if (header !== undefined && value !== undefined) return { header, value };
  if (header !== undefined && pattern !== undefined) return { header, pattern };
  return cookie === undefined ? null : { cookie, value: SUPPORT['ingress-nginx'].cookieValue ?? '' };
}

/** Somebody else's of the same name: to be a canary would take its own traffic from it. */
const isForeign = (object: Ingress) => !isOurs(object) && readMarks(object) === null;
const FOREIGN = 'it exists and was not made by Sluice: delete it or give it another name';

const show = (value: string | undefined) => (value === undefined ? 'absent' : `"${value}"`);

/** The paths of the stable Ingress that send to the Kubernetes Service, sending to the canary's instead. */
async function make(
  cluster: Cluster,
  target: Target,
  _ref: Ref,
  { metadata: { name: service } }: Service,
): Promise<Made> {
  const { stable, annotations: prefix } = trafficOf(target);
  const found = await cluster.view(Ingresses, stable.namespace).get(stable.name);
  if (!found) return { ok: false, refusal: absent(target) };
  const { canary } = sidesOf(target);
  const rules = (found.spec.rules ?? []).flatMap((rule) => {
    const paths = (rule.http?.paths ?? []).flatMap((path) =>
      path.backend.service?.name === service
        ? [{ ...path, backend: { ...path.backend, service: { ...path.backend.service, name: canary } } }]
        : [],
    );
    return paths.length > 0 ? [{ ...rule, http: { ...rule.http, paths } }] : [];
  });
  const { ingressClassName, tls } = found.spec;
  const className = found.metadata.annotations?.[CLASS];
  const spec = { ...(ingressClassName !== undefined && { ingressClassName }), ...(tls && { tls }), rules };
  const sum = createHash('sha256')
    .update(JSON.stringify([className, spec]))
    .digest('base64url');
  return {
    ok: true,
    draft: {
      labels: {},
      annotations: {
        ...(className !== undefined && { [CLASS]: className }),
        [`${prefix}/canary`]: 'true',
        [`${prefix}/canary-weight`]: '0',
      },
      ownerReferences: belongsTo(Ingresses, found),
      spec,
    },
    restore: JSON.stringify({ made: sum } satisfies Journal),
    stale: className === undefined ? [CLASS] : [],
  };
}

const absent = (target: Target) =>
  `${nameOf(Ingresses, trafficOf(target).stable)} does not exist: name an existing one in traffic.ingress of service ${target.service}.`;

async function look(cluster: Cluster, target: Target, [canary = null]: readonly (Ingress | null)[]): Promise<Look> {
  const { stable, annotations: prefix } = trafficOf(target);
  const refuse = (...refusals: readonly string[]): Look => ({ refusals, warnings: [], several: [] });
  const ingresses = await cluster.view(Ingresses, stable.namespace).all();
  const found = ingresses.find(({ metadata }) => metadata.name === stable.name);
  const subject = nameOf(Ingresses, stable);
  if (!found) return refuse(absent(target));
  const isCanary = ({ metadata }: Ingress) => metadata.annotations?.[`${prefix}/canary`] === 'true';
  const owner = otherOwner(found);
  if (owner) return refuse(`${subject} is managed by ${owner}: take it off there before Sluice routes it.`);
  if (isCanary(found)) return refuse(`${subject} is a canary Ingress itself: name the stable one in traffic.ingress.`);
  if (canary && !isOurs(canary)) {
    const name = nameOf(Ingresses, canary.metadata);
    return refuse(`${name}: ${FOREIGN}.`);
  }
  const serving = await findServing(cluster, target);
  if (!serving.ok) return refuse(serving.refusal);
  const service = serving.service.metadata.name;
  const paths = pathsOf(found, service);
  const { deployment } = serving;
  const isSticky =
    found.metadata.annotations?.[`${prefix}/affinity`] === 'cookie' &&
    canary?.metadata.annotations?.[`${prefix}/affinity-canary-behavior`] !== 'legacy';
  const others = ingresses.filter(({ metadata }) => ![stable.name, canaryOf(target).name].includes(metadata.name));
  // One canary for each rule at most: the controller takes any of them.
  const rivals = others.filter((one) => isCanary(one) && pathsOf(one).some((path) => paths.includes(path)));
  return {
    refusals: [
      ...rivals.map(
        (one) =>
          `${nameOf(Ingresses, one.metadata)} is a canary for the same host and path: only one can be, delete it.`,
      ),
      // https://github.com/kubernetes/ingress-nginx/issues/9635
      ...(deployment.spec.strategy?.type === 'Recreate'
        ? [
            `${nameOf(Deployments, deployment.metadata)} has the strategy Recreate, and ingress-nginx answers 503 for the canary too while stable has no pods: give it RollingUpdate.`,
          ]
        : []),
    ],
    warnings: [
      ...(isSticky
        ? [
            `${subject} has session affinity: who met the canary stays with it after an abort, until its pods are gone. Set ${prefix}/affinity-canary-behavior to legacy on ${nameOf(Ingresses, canaryOf(target))} if that should not be.`,
          ]
        : []),
      ...warnOfOthers(found, others, service),
      ...dryWarnings(deployment, 'ingress-nginx answers 503 meanwhile, for the canary too'),
    ],
    several:
      paths.length > 1
        ? [
            `${subject}: ${paths.length} paths send to ${service}, and each gets the canary's weight: ${paths.join(', ')}.`,
          ]
        : [],
  };
}

/** `host/path` of each path, of those to `service` only when it is given. */
function pathsOf({ spec }: Ingress, service?: string): readonly string[] {
  return (spec.rules ?? []).flatMap(({ host = '*', http }) =>
    (http?.paths ?? [])
      .filter(({ backend }) => service === undefined || backend.service?.name === service)
      .map(({ path = '/' }) => `${host}${path}`),
  );
}
