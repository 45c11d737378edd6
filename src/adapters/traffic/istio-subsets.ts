/**
 * VirtualServices that are split by subsets: what a rollout does to the DestinationRule that says which pods a subset has. On
 * the way up it comes before the weights, on the way down after them, and an abort does not wait for it.
 */
import { Refusal } from '../../app/outcome.ts';
import type { Fence, Written } from '../../app/ports/cluster.ts';
import type { TrafficRouter } from '../../app/ports/router.ts';
import type { Target } from '../../core/plan.ts';
import type { Drift } from '../../core/rollout.ts';
import { sidesOf } from '../../core/sides.ts';
import { subsetRule } from '../../core/traffic.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { convict } from '../kubernetes/convict.ts';
import { DONE, drifted, heldMessage, type Intent, refused, write } from '../kubernetes/fence.ts';
import { nameOf, refOf } from '../kubernetes/kinds.ts';
import { lostSubset } from '../kubernetes/lost-subset.ts';
import { highestEpoch, readMarks } from '../kubernetes/marks.ts';
import { Services } from '../kubernetes/objects.ts';
import { otherOwner } from '../kubernetes/owners.ts';
import {
  type Destination,
  type DestinationRule,
  DestinationRules,
  ISTIO_VERSIONS,
  type IstioJournal,
  VirtualServices,
} from '../kubernetes/route-objects.ts';
import { servedKind } from '../kubernetes/served.ts';
import { findServing, type Serving } from '../kubernetes/serving.ts';
import { canaryLabel, noLabel } from '../kubernetes/twin-canary.ts';
import type { RouterDeps } from './dialect.ts';
import { destinationsOf } from './istio-others.ts';
import { destinationName, httpOf, isHost, isRestored, parseJournal } from './istio-rules.ts';
import { splitOf } from './istio-split.ts';
import {
  canarySubset,
  driftOf,
  intendClaim,
  intendMend,
  intendRelease,
  parseSubset,
  subsetOf,
  type Wish,
} from './subset-intents.ts';

type Found = Extract<Serving, { ok: true }>;

const no = (refusal: string): Wish => ({ ok: false, refusal });

/** The subsets that the routes send to at rest. */
const stableSubsets = (journal: IstioJournal) => [
  ...new Set(journal.flatMap(({ route: [only] }) => only?.destination.subset ?? [])),
];

/** The canary's subset beside that of `stable` in a DestinationRule, or what is in the way. */
function wishFor(target: Target, { deployment, service }: Found, stable: string) {
  return (object: DestinationRule): Wish => {
    const { metadata, spec } = object;
    const subject = nameOf(DestinationRules, metadata);
    const { name } = service.metadata;
    if (!isHost(spec, name, target.namespace, metadata.namespace))
      return no(
        `${subject} is for host ${spec.host}, not for Kubernetes Service ${name}: name another one in traffic.destinationRule of service ${target.service}.`,
      );
    const label = canaryLabel(deployment, service);
    if (!label) return no(noLabel(target, service));
    const subset = subsetOf(object, stable);
    if (!subset) return no(`${subject} has no subset ${stable}, which the routes send to: add it.`);
    const pods = deployment.spec.template.metadata?.labels ?? {};
    const strange = Object.entries(subset.labels ?? {}).filter(([one, value]) => pods[one] !== value);
    if (strange.length > 0)
      return no(
        `${subject}: no pod of Deployment ${target.deployment} is in its subset ${stable}: its labels ${strange.map((one) => one.join(': ')).join(', ')} are not theirs. Let the routes send to the subset of its pods, or name the other Deployment in service ${target.service}.`,
      );
    const { key } = label;
    if (subset.labels?.[key] !== label.stable)
      return no(
        `${subject}: canary pods would be in its subset ${stable}, too: add ${key}: ${label.stable} to its labels.`,
      );
    const { canary } = sidesOf(target);
    if (subsetOf(object, canary))
      return no(`${subject} has a subset ${canary} already, the name is needed for the canary: take it out.`);
    return { ok: true, subset: canarySubset(subset, canary, label) };
  };
}

/** `journal`: what the VirtualService sends to the service. */
export async function lookAtSubsets(
  cluster: Cluster,
  target: Target,
  serving: Found,
  journal: IstioJournal,
): Promise<{ readonly refusals: readonly string[]; readonly warnings: readonly string[] }> {
  const refuse = (refusal: string) => ({ refusals: [refusal], warnings: [] });
  const ref = refOf(subsetRule(target) ?? '');
  const kind = await servedKind(cluster, DestinationRules, ISTIO_VERSIONS);
  const subject = nameOf(kind, ref);
  const object = await cluster.view(kind, ref.namespace).get(ref.name);
  if (!object)
    return refuse(
      `${subject} does not exist: name an existing one in traffic.destinationRule of service ${target.service}.`,
    );
  const owner = otherOwner(object);
  if (owner) return refuse(`${subject} is managed by ${owner}: take it off there before Sluice routes by it.`);
  const marks = readMarks(object);
  if (marks?.phase === 'active') return refuse(heldMessage(subject, marks, target.service));
  const [stable = '', ...others] = stableSubsets(journal);
  if (others.length > 0)
    return refuse(
      `The routes send to several subsets of ${subject} (${[stable, ...others].join(', ')}), and the canary stands beside one: name the routes of one in traffic.http of service ${target.service}.`,
    );
  const wish = wishFor(target, serving, stable)(object);
  if (!wish.ok) return refuse(wish.refusal);
  return {
    refusals: await leaks(cluster, target, serving, object, stable),
    warnings: [
      `Kubernetes ${nameOf(Services, serving.service.metadata)} selects canary pods too: requests that no VirtualService directs, from outside the mesh say, reach the canary as soon as it has a pod.`,
    ],
  };
}

/** What would reach canary pods before they have a share: routes to the host that leave the subset of stable out. */
async function leaks(
  cluster: Cluster,
  target: Target,
  { deployment, service }: Found,
  rule: DestinationRule,
  stable: string,
): Promise<readonly string[]> {
  const { traffic, namespace } = target;
  const label = canaryLabel(deployment, service);
  if (traffic.router !== 'istio' || !label) return [];
  const { name } = service.metadata;
  const home = refOf(traffic.virtualService).namespace;
  const isOpen = ({ host, subset }: Destination) => {
    const labels = subset === undefined ? {} : subsetOf(rule, subset)?.labels;
    return isHost({ host }, name, namespace, home) && labels !== undefined && labels[label.key] === undefined;
  };
  const all = await cluster.list(await servedKind(cluster, VirtualServices, ISTIO_VERSIONS), home);
  return all.flatMap((one) => {
    const found = [...new Set(destinationsOf(one).filter(isOpen).map(destinationName))];
    return found.length === 0
      ? []
      : [
          `${nameOf(VirtualServices, one.metadata)} sends to ${found.join(' and to ')}, where canary pods are, too: let it send to subset ${stable}, so that they get nothing before they have a share.`,
        ];
  });
}

export function withSubsets(router: TrafficRouter, { cluster, env = 'default' }: RouterDeps): TrafficRouter {
  const ruleOf = async (target: Target) => {
    const name = subsetRule(target);
    if (name === null) return null;
    const kind = await servedKind(cluster, DestinationRules, ISTIO_VERSIONS);
    const ref = refOf(name);
    return {
      kind,
      ref,
      subject: nameOf(kind, ref),
      seen: () => cluster.view(kind, ref.namespace).get(ref.name),
      send: (intend: (object: DestinationRule) => Intent, gone = refused(`${nameOf(kind, ref)} is gone`)) =>
        write(cluster, kind, ref, intend, gone),
    };
  };
  type Rule = NonNullable<Awaited<ReturnType<typeof ruleOf>>>;

  const driftIn = ({ kind, ref, subject }: Rule, fence: Fence): Promise<Drift | null> =>
    convict(cluster, kind, ref, (object) => driftOf(object, subject, fence));

  /** Read afresh: where it still sends to the canary's subset, that has to stay. */
  async function isRouted(target: Target): Promise<boolean> {
    if (target.traffic.router !== 'istio') return false;
    const kind = await servedKind(cluster, VirtualServices, ISTIO_VERSIONS);
    const ref = refOf(target.traffic.virtualService);
    // Where the copy shows it at rest, it is: nothing of this rollout is routed again after its end.
    const object = await cluster.view(kind, ref.namespace).get(ref.name);
    const journal = parseJournal(object && readMarks(object)?.restore);
    return object !== null && !isRestored(httpOf(object), splitOf(target, ref.namespace, journal));
  }

  async function free(rule: Rule, target: Target, fence: Fence): Promise<Written> {
    const { canary } = sidesOf(target);
    const { object: _, ...written } = await rule.send((object) => intendRelease(object, fence, canary), DONE);
    // Left behind it would hold up the next rollout: as a fault it is tried again.
    if (written.kind === 'refused') throw new Refusal(written.message);
    return written;
  }

  return {
    ...router,

    async preflight(target, wanted) {
      const looked = await router.preflight(target, wanted);
      const rule = looked.ok ? await ruleOf(target) : null;
      const object = rule && (await rule.seen());
      if (!looked.ok || !object) return looked;
      const { objects, epoch } = looked.facts;
      const more = { objects: [...objects, rule.subject], epoch: Math.max(epoch, highestEpoch([object])) };
      return { ...looked, facts: { ...looked.facts, ...more } };
    },

    async claim(target, fence) {
      const claimed = await router.claim(target, fence);
      const rule = claimed.kind === 'done' ? await ruleOf(target) : null;
      if (!rule) return claimed;
      const serving = await findServing(cluster, target);
      if (!serving.ok) return refused(serving.refusal);
      const [journal] = Object.values(claimed.journal ?? {});
      const [stable = ''] = stableSubsets(parseJournal(journal));
      const how = { owner: target.service, env, wish: wishFor(target, serving, stable) };
      const { object, ...written } = await rule.send((found) => intendClaim(found, fence, how));
      if (written.kind !== 'done') return written;
      return {
        ...claimed,
        journal: { ...claimed.journal, [rule.subject]: (object && readMarks(object)?.restore) ?? '' },
      };
    },

    async setRoute(target, route, fence, overwrite, journal = {}) {
      const rule = await ruleOf(target);
      if (rule && overwrite) {
        const noted = parseSubset(journal[rule.subject]);
        const { object: _, ...mended } = await rule.send((object) => intendMend(object, fence, noted));
        if (mended.kind !== 'done') return mended;
      }
      const drift = rule && !overwrite ? await driftIn(rule, fence) : null;
      // Asked about it, people would leave the share that there is without an answer: it is taken back at once.
      const lost = drift && (await lostSubset(cluster, target));
      if (lost) return refused(lost);
      return drift ? drifted(drift) : router.setRoute(target, route, fence, overwrite, journal);
    },

    async drift(target, route, fence) {
      const drift = await router.drift(target, route, fence);
      const rule = drift ? null : await ruleOf(target);
      return rule ? driftIn(rule, fence) : drift;
    },

    async release(target, fence) {
      const rule = await ruleOf(target);
      const own = () => router.release(target, fence);
      if (!rule) return own();
      const freed = () => free(rule, target, fence);
      // The VirtualService last: by its marks alone is a rollout found that Redis has lost.
      const [first, last] = (await isRouted(target)) ? [own, freed] : [freed, own];
      const written = await first();
      return written.kind === 'done' ? last() : written;
    },
  };
}
