/**
 * SMI TrafficSplits (Linkerd 2 with linkerd-smi): the weights of one split of the rolled-out Kubernetes Service. A split that
 * is missing is made for the rollout. https://github.com/servicemeshinterface/smi-spec/tree/main/apis/traffic-split
 */
import { isDeepStrictEqual } from 'node:util';
import type { TrafficRouter } from '../../app/ports/router.ts';
import { type Route, STABLE_ROUTE, type Target } from '../../core/plan.ts';
import { type Sides, sidesOf } from '../../core/sides.ts';
import { SUPPORT } from '../../core/support.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { HTTPRoutes } from '../kubernetes/gateway-objects.ts';
import { type Held, nameOf, type Ref, refOf } from '../kubernetes/kinds.ts';
import { type Op, pointer, replace, test } from '../kubernetes/marks.ts';
import { Services } from '../kubernetes/objects.ts';
import { belongsTo, otherOwner } from '../kubernetes/owners.ts';
import {
  ServiceProfiles,
  SPLIT_VERSIONS,
  type SplitBackend,
  splitJournal,
  type TrafficSplit,
  TrafficSplits,
} from '../kubernetes/route-objects.ts';
import { servedKind } from '../kubernetes/served.ts';
import { findServing, selectsPods } from '../kubernetes/serving.ts';
import type { Dialect, Look, RouterDeps } from './dialect.ts';
import { profilesOf, routesOfParent } from './linkerd.ts';
import { createObjectRouter } from './object-router.ts';
import { createProfiles, hasWeights } from './smi-profiles.ts';

/** Backends as they were; empty: not known. */
type Journal = readonly SplitBackend[];

export function createSmiRouter(deps: RouterDeps): TrafficRouter {
  const { cluster } = deps;
  const kindOf = () => servedKind(cluster, TrafficSplits, SPLIT_VERSIONS);
  const profiles = createProfiles(cluster);
  const router = createObjectRouter<TrafficSplit, Journal>(deps, {
    supports: SUPPORT.smi,
    kind: kindOf,
    refs: (target) => [splitOf(target)],
    async look(_cluster, target, objects) {
      // First: what is watched is not listed.
      await profiles.begin(target.namespace);
      return look(cluster, target, objects);
    },
    dialect: (target) => dialectOf(sidesOf(target)),
    /**
     * Sends everything where it went without a split. Linkerd takes the root Service as a backend of its own, as its own guide
     * does (https://linkerd.io/2.12/tasks/fault-injection/); while the canary has a weight, `<deployment>-stable` stands in its place.
     */
    make: async (_cluster, _target, ref, root) => {
      const { name: service, namespace } = root.metadata;
      const backends = [{ service, weight: 100 }];
      const owned = namespace === ref.namespace && { ownerReferences: belongsTo(Services, root) };
      return {
        ok: true,
        draft: { labels: {}, annotations: {}, ...owned, spec: { service, backends } },
        restore: JSON.stringify(backends),
      };
    },
  });
  return {
    ...router,

    async confirmed(target) {
      const { namespace, name } = splitOf(target);
      const split = await cluster.view(await kindOf(), namespace).get(name);
      const found = split && (await profiles.all(namespace));
      if (!split || !found) return router.confirmed(target);
      return { kind: hasWeights(split, found, sidesOf(target).canary) ? 'confirmed' : 'pending' };
    },

    async drift(...given) {
      // Used, so that they stay watched from step to step: to begin anew is a request.
      profiles.all(splitOf(given[0]).namespace).catch(() => null);
      return router.drift(...given);
    },
  };
}

function splitOf({ traffic }: Target): Ref {
  if (traffic.router !== 'smi') throw new Error(`router smi was given traffic of ${traffic.router}`);
  return refOf(traffic.split);
}

function dialectOf(sides: Sides): Dialect<TrafficSplit, Journal> {
  const isSide = ({ service }: SplitBackend) => service === sides.stable || service === sides.canary;
  const saying = ({ weight }: Route): Journal => [
    { service: sides.canary, weight },
    { service: sides.stable, weight: 100 - weight },
  ];
  const backendsOf = ({ spec }: TrafficSplit) => spec.backends;
  const at = (...parts: readonly (string | number)[]) => pointer('spec', 'backends', ...parts);
  return {
    parse: (restore) => {
      try {
        return splitJournal.safeParse(JSON.parse(restore ?? '[]')).data ?? [];
      } catch {
        return [];
      }
    },
    isEmpty: (journal) => journal.length === 0,
    take: ({ spec }, service) => (rootOf(spec.service) === service ? spec.backends : []),
    say: (object, _journal, route) => [test(at(), backendsOf(object)), replace(at(), saying(route))],
    restore(object, journal) {
      const places = backendsOf(object).map(({ service }, index) => test(at(index, 'service'), service));
      if (journal.length > 0) return [...places, replace(at(), journal)];
      const weights = backendsOf(object).flatMap((backend, index): Op[] =>
        isSide(backend) ? [replace(at(index, 'weight'), backend.service === sides.stable ? 100 : 0)] : [],
      );
      return [...places, ...weights];
    },
    read(object) {
      const backends = backendsOf(object);
      if (!backends.some(isSide)) return STABLE_ROUTE;
      const weight = backends.find(({ service }) => service === sides.canary)?.weight;
      const route = { ...STABLE_ROUTE, weight: typeof weight === 'number' ? weight : 0 };
      return isDeepStrictEqual(saying(route), backends) ? route : null;
    },
    shows: (object, _journal, route) => isDeepStrictEqual(backendsOf(object), saying(route)),
    isRestored: (object) => !backendsOf(object).some(isSide),
    missing: () => null,
    canSay: () => true,
    describe: (object, _journal, written) =>
      `its backends are ${words(backendsOf(object))}, written was ${words(saying(written))}`,
    words: {
      nothing: "its root Service is not the service's own",
      mend: 'give it backends again, or abort',
      undo: `still sends to ${sides.stable} or ${sides.canary}: put the backends of before into it by hand`,
    },
  };
}

const words = (backends: Journal) =>
  backends.map(({ service, weight }) => `${service} ${weight}`).join(' and ') || 'nothing';

/** `world`, `world.hello` or `world.hello.svc.cluster.local` as `world`. */
const rootOf = (service: string) => service.split('.')[0] ?? service;

async function look(cluster: Cluster, target: Target, [split = null]: readonly (TrafficSplit | null)[]): Promise<Look> {
  const serving = await findServing(cluster, target);
  if (!serving.ok) return { refusals: [serving.refusal], warnings: [], several: [] };
  const { metadata, spec } = serving.service;
  const subject = nameOf(TrafficSplits, splitOf(target));
  const name = metadata.name;
  const root = split && rootOf(split.spec.service);
  const splits = await cluster.view(await servedKind(cluster, TrafficSplits, SPLIT_VERSIONS), target.namespace).all();
  const rivals = splits.filter(
    (one) => one.metadata.name !== splitOf(target).name && rootOf(one.spec.service) === name,
  );
  const labels = serving.deployment.spec.template.metadata?.labels ?? {};
  const services = await cluster.view(Services, target.namespace).all();
  const own = services.filter((one) => selectsPods(one, labels)).map((one) => one.metadata.name);
  const used = (split?.spec.backends ?? []).filter(({ weight }) => Number.parseFloat(String(weight)) !== 0);
  const isUnclear = used.length > 1 || used.some(({ service }) => !own.includes(service));
  const headless = spec.clusterIP === 'None';
  const owner = otherOwner(serving.service);
  const mesh = await lookAtMesh(cluster, target, name);
  return {
    refusals: [
      ...(owner
        ? [
            `Kubernetes Service ${target.namespace}/${name} is managed by ${owner}: take it off there before Sluice splits it.`,
          ]
        : []),
      ...(root === name && isUnclear
        ? [
            `${subject} sends to ${words(used)}, so what is stable there is unclear: let it send to ${name} alone, or delete it.`,
          ]
        : []),
      ...rivals.map((one) => `${nameOf(TrafficSplits, one.metadata)} splits ${name} too: delete one of the two.`),
      ...mesh.refusals,
      ...(headless
        ? [
            `Kubernetes Service ${target.namespace}/${name} is headless: Linkerd splits only Services with an address of their own.`,
          ]
        : []),
    ],
    warnings: mesh.warnings,
    several: [],
  };
}

/** linkerd-smi leaves a ServiceProfile alone that carries this, whatever its value. */
const SKIP = 'smi.linkerd.io/skip';

/** It writes a split's weights into the ServiceProfile of the root Service, which is all that Linkerd follows then. */
async function lookAtMesh(
  cluster: Cluster,
  target: Target,
  service: string,
): Promise<Pick<Look, 'refusals' | 'warnings'>> {
  const subject = nameOf(TrafficSplits, splitOf(target));
  const [profiles, routes] = await Promise.all([
    profilesOf(cluster, target.namespace, service),
    routesOfParent(cluster, target.namespace, service),
  ]);
  const isSkipped = ({ metadata }: Held) => metadata.annotations?.[SKIP] !== undefined;
  return {
    refusals: [
      ...profiles.found
        .filter(isSkipped)
        .map(
          (profile) =>
            `${subject} would be without effect: ${nameOf(ServiceProfiles, profile.metadata)} has the annotation ${SKIP}, so linkerd-smi writes no weights into it. Take the annotation off.`,
        ),
      ...routes.found.map(
        (route) =>
          `${nameOf(HTTPRoutes, route.metadata)} has Kubernetes Service ${service} as its parent and would be without effect, since Linkerd follows the ServiceProfile that linkerd-smi makes of a split instead. Delete the route, or roll out with router gateway-api.`,
      ),
    ],
    warnings: [
      ...profiles.found
        .filter(({ spec }) => (spec?.routes ?? []).length > 0)
        .map(
          ({ metadata }) =>
            `${nameOf(ServiceProfiles, metadata)} has routes of its own: linkerd-smi writes the weights into the same object, so watch that both stay.`,
        ),
      ...(profiles.remedy
        ? [`${subject}: a ServiceProfile of ${service} may make it without effect; ${profiles.remedy}.`]
        : []),
      ...(routes.remedy ? [`${subject} would make an HTTPRoute of ${service} without effect; ${routes.remedy}.`] : []),
    ],
  };
}
