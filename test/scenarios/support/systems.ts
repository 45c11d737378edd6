/**
 * What whole bots are played on: how the service `world` is put up for each workload and router on the playground. A new router
 * or workload is a line in WORKLOADS.
 */
import { type Kind, kinds } from '../../../playground/api-server/kinds.ts';
import type { Deployment } from '../../../playground/api-server/objects.ts';
import type { WorldOptions } from '../../../playground/world.ts';
import type { Target } from '../../../src/core/plan.ts';
import {
  type System as Cluster,
  GATEWAY,
  INGRESS_NGINX,
  ISTIO,
  ISTIO_SUBSETS,
  SELECTOR,
  type Shares,
  SMI,
} from '../../e2e/support/systems.ts';
import { type Owned, onNamerd, onObject, type Placed, REPLICAS, type Readable, type Router } from './grounds.ts';

export type System = Placed & {
  /** Its column in docs/strategies.md, if it has one. */
  readonly title: string;
  readonly workload: Target['workload'];
  /** It has no column of its own: what differs is not the strategies. */
  readonly isVariant?: true;
  /** Which weight an observer sees where this one is asked. */
  readonly seen: (weight: number) => number;
  /** Failpoints at the write that gives the canary its share, at the one that ends the promotion, and at the one that aborts. */
  readonly places: { readonly route: string; readonly settle: string; readonly revert: string };
  /** The Deployment that serves at first. */
  readonly stable: string;
  /** What its owners have once v2 is live, by what they had. */
  readonly promoted: (owned: Owned) => Owned;
};

type Make = Omit<System, 'title' | 'workload'>;

const AS_TWIN = {
  seen: (weight: number) => weight,
  places: { route: 'router.setRoute', settle: 'router.reset', revert: 'router.reset' },
  stable: 'world',
  promoted: (owned: Owned): Owned => ({ ...owned, 'Deployment world': inV2(owned['Deployment world']) }),
};
const AS_VERSIONED = {
  isVariant: true as const,
  seen: (weight: number) => weight,
  places: { route: 'router.setRoute', settle: 'router.settle', revert: 'router.reset' },
  stable: 'world-v1',
  /** What sends to v1 sends to v2, which has what v1 had; v1 keeps all but its pods. */
  promoted(owned: Owned): Owned {
    const { 'Deployment world-v1': v1, 'Service world-v1': service, ...others } = owned;
    return {
      ...Object.fromEntries(Object.entries(others).map(([name, object]) => [name, inV2(object)])),
      'Deployment world-v1': JSON.parse(JSON.stringify(v1).replace(/"replicas":\d+/, '"replicas":0')),
      'Service world-v1': service,
      'Deployment world-v2': madeOf(v1),
      'Service world-v2': madeOf(service),
    };
  },
};
/** The same with the other version. */
const inV2 = (object: unknown): unknown =>
  JSON.parse(JSON.stringify(object).replace(/(?<![\w/])v1(?![\w/])|(?<=[:-])v1\b/g, 'v2'));
/** What Sluice makes for v2 of what its owners made for v1, with their labels and its own. */
const madeOf = (object: unknown): unknown => {
  const made = Object(inV2(object));
  return { ...made, labels: { ...made.labels, version: 'v2', 'app.kubernetes.io/managed-by': 'sluice' } };
};

type Where = {
  readonly router: Exclude<Router, 'namerd'>;
  readonly kind: Kind;
  readonly isMade?: true;
  readonly world?: WorldOptions;
};

/** Routed as in the tests on a cluster. */
const twin = ({ traffic, watched, shares }: Cluster, where: Where): Make => ({
  ...onObject({
    service: { traffic: traffic('world') },
    name: watched('world'),
    shares: (object) => shares(object, 'world'),
    ...where,
  }),
  ...AS_TWIN,
});

/** Of so many old pods and those that come beside them, the share nearest to what is asked. */
function shareOfPods(weight: number): number {
  if (weight === 0 || weight === 100) return weight;
  const shares = Array.from({ length: REPLICAS }, (_, n) => shareOf(n + 1));
  return shares.toSorted((a, b) => Math.abs(a - weight) - Math.abs(b - weight))[0] ?? 0;
}
const shareOf = (pods: number) => Math.round((100 * pods) / (REPLICAS + pods));

/** Of a Deployment that is held, its surge says how many of its pods are new. */
function podShares(object: Readable): Shares {
  const { template, minReadySeconds = 0, strategy } = object.spec as Deployment['spec'] & { minReadySeconds?: number };
  const isNew = template.spec.containers[0]?.image.endsWith(':v2') ?? false;
  const surge = Number(strategy?.rollingUpdate?.maxSurge ?? 0);
  const share = minReadySeconds > 100_000 ? shareOf(surge) : 100;
  const canary = isNew ? share : 0;
  return { canary, stable: 100 - canary, preview: false };
}

const IN_PLACE: Make = {
  ...onObject({
    router: 'kubernetes',
    service: { traffic: SELECTOR.traffic('world'), workload: 'in-place' },
    kind: kinds.deployments,
    name: 'world',
    shares: podShares,
  }),
  ...AS_TWIN,
  seen: shareOfPods,
  places: { route: 'workload.scaleCanary', settle: 'router.reset', revert: 'workload.demote' },
};

const TWIN: Readonly<Record<Router | 'istio, by subsets', Make>> = {
  'gateway-api': twin(GATEWAY, { router: 'gateway-api', kind: kinds.httpRoutes }),
  smi: twin(SMI, { router: 'smi', kind: kinds.trafficSplits, isMade: true }),
  istio: twin(ISTIO, { router: 'istio', kind: kinds.virtualServices }),
  'istio, by subsets': {
    ...twin(ISTIO_SUBSETS, { router: 'istio', kind: kinds.virtualServices, world: { traffic: 'istio/subsets' } }),
    isVariant: true,
  },
  'ingress-nginx': twin(INGRESS_NGINX, { router: 'ingress-nginx', kind: kinds.ingresses, isMade: true }),
  namerd: { ...onNamerd({ stable: 'world', canary: 'world-canary' }), ...AS_TWIN },
  kubernetes: twin(SELECTOR, { router: 'kubernetes', kind: kinds.services }),
};

/**
 * Each version under its own name. The tests on a cluster know the canary by `world-canary`; what is left alone has everything.
 */
function versioned(router: Exclude<Router, 'namerd'>, kind: Kind, { traffic, shares }: Cluster): Make {
  const named = (object: Readable): Readable => ({
    ...object,
    spec: JSON.parse(JSON.stringify(object.spec).replaceAll('world-v2', 'world-canary')),
  });
  return {
    ...onObject({
      router,
      service: { traffic: traffic('world'), workload: 'versioned' },
      kind,
      name: 'world',
      world: { traffic: router, versioned: true },
      shares(object) {
        const seen = shares(named(object), 'world');
        return seen.stable === 0 ? { ...seen, canary: 100 } : seen;
      },
    }),
    ...AS_VERSIONED,
  };
}

/** By its label, in the selector of the Kubernetes Service. */
const selected: Cluster = {
  ...SELECTOR,
  shares({ spec }) {
    const { selector } = spec as { selector: Readonly<Record<string, string>> };
    const canary = selector.version === 'v2' ? 100 : 0;
    return { canary, stable: 100 - canary, preview: false };
  },
};

const VERSIONED: Readonly<Record<string, Make>> = {
  'gateway-api, versioned': versioned('gateway-api', kinds.httpRoutes, GATEWAY),
  'istio, versioned': versioned('istio', kinds.virtualServices, ISTIO),
  'namerd, versioned': {
    ...onNamerd({
      stable: 'world-v1',
      canary: 'world-v2',
      service: { workload: 'versioned' },
      world: { versioned: true },
    }),
    ...AS_VERSIONED,
  },
  'kubernetes, versioned': versioned('kubernetes', kinds.services, selected),
};

/** By workload and title. */
const WORKLOADS: Readonly<Record<Target['workload'], Readonly<Record<string, Make>>>> = {
  twin: TWIN,
  versioned: VERSIONED,
  'in-place': { 'in-place': IN_PLACE },
};

export const SYSTEMS: readonly System[] = Object.entries(WORKLOADS).flatMap(([workload, systems]) =>
  Object.entries(systems).map(([title, make]) => ({
    ...make,
    title,
    // `Object.entries` only forgets the type of the keys.
    workload: workload as Target['workload'],
  })),
);
