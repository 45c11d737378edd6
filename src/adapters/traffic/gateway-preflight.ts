/** Looks at HTTPRoutes before a rollout touches them. */
import type { Preview, Route, Target } from '../../core/plan.ts';
import { type Sides, sidesOf } from '../../core/sides.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { type HTTPRoute, HTTPRoutes, ReferenceGrants, type Rule } from '../kubernetes/gateway-objects.ts';
import { nameOf } from '../kubernetes/kinds.ts';
import { ServiceProfiles } from '../kubernetes/route-objects.ts';
import { routeMissing, routesOf } from '../kubernetes/routed-services.ts';
import { findServing } from '../kubernetes/serving.ts';
import type { Look } from './dialect.ts';
import { mirrorRefusals } from './gateway-mirror.ts';
import { lookAtOthers } from './gateway-others.ts';
import { lookAtTlsPolicies } from './gateway-policies.ts';
import { lookAtPreviews } from './gateway-previews.ts';
import { journalOf, refersTo, rulesOf } from './gateway-rules.ts';
import { lookAtStatus } from './gateway-status.ts';
import { profilesOf } from './linkerd.ts';

export async function lookAtRoutes(
  cluster: Cluster,
  target: Target,
  objects: readonly (HTTPRoute | null)[],
  wanted: readonly Route[],
): Promise<Look> {
  const refs = routesOf(target);
  const missing = refs.filter((_, index) => !objects[index]).map((ref) => routeMissing(ref, target));
  if (missing.length > 0) return refuse(missing);
  const serving = await findServing(cluster, target);
  if (!serving.ok) return refuse([serving.refusal]);
  const service = serving.service.metadata.name;
  const previews = wanted.flatMap(({ preview }) => preview ?? []);
  const looks = await Promise.all(
    objects.map((object) => (object ? judgeRules(cluster, target, { object, service, previews }) : refuse([]))),
  );
  const mirrors = wanted.flatMap(({ mirror }) => mirror ?? []);
  const found = objects.flatMap((object) => object ?? []);
  const copied = found.map((route) => ({ route, isCopied: copies(route, target, service) }));
  const unmirrored = mirrors.length > 0 ? await mirrorRefusals(cluster, copied, Math.min(...mirrors) < 100) : [];
  const policies = await lookAtTlsPolicies(cluster, target, service);
  return {
    refusals: [...looks.flatMap(({ refusals }) => refusals), ...unmirrored, ...policies.refusals],
    warnings: [
      ...looks.flatMap(({ warnings }) => warnings),
      ...(await lookAtOthers(cluster, target, found, service)),
      ...policies.warnings,
    ],
    several: looks.flatMap(({ several }) => several),
  };
}

const refuse = (refusals: readonly string[]): Look => ({ refusals, warnings: [], several: [] });

async function judgeRules(
  cluster: Cluster,
  target: Target,
  { object, service, previews }: { object: HTTPRoute; service: string; previews: readonly Preview[] },
): Promise<Look> {
  const home = object.metadata.namespace;
  const subject = nameOf(HTTPRoutes, object.metadata);
  const rules = rulesOf(object);
  const isServing = servingTest(target, service, home);
  const journal = journalOf(rules, isServing);
  const shared = rules.filter((rule) => (rule.backendRefs ?? []).length > 1 && rule.backendRefs?.some(isServing));
  const profiles = await lookAtProfiles(cluster, object);
  const standing = lookAtStatus(object);
  const shown = lookAtPreviews(subject, rules, journal, previews);
  const refusals = [
    ...standing.refusals,
    ...shown.refusals,
    ...(shared.length > 0
      ? [
          `${subject}: ${service} shares these rules with other backends, so what is stable there is unclear: ${list(shared)}.`,
        ]
      : []),
    ...(journal.length === 0 && shared.length === 0
      ? [`${subject} has no rule that sends to ${service} alone. Its rules: ${list(rules)}.`]
      : []),
    ...(await grantRefusals(cluster, target, home, subject)),
    ...profiles.refusals,
  ];
  const routed = rules.filter((rule) => rule.backendRefs?.length === 1 && rule.backendRefs.some(isServing));
  const warnings = [
    ...standing.warnings,
    ...shown.warnings,
    // https://gateway-api.sigs.k8s.io/geps/gep-1619/
    ...(routed.some((rule) => rule.sessionPersistence !== undefined)
      ? [
          `${subject} keeps sessions (sessionPersistence): a weight is that of new sessions, and who has one stays on its side until the rollout ends.`,
        ]
      : []),
    ...profiles.warnings,
  ];
  const several =
    routed.length > 1
      ? [
          `${subject}: ${routed.length} rules send to ${service}, and each gets the canary's weight: ${list(routed)}. Move a rule to a route of its own if it should not.`,
        ]
      : [];
  return { refusals, warnings, several };
}

/** Whether one of the rules that a rollout routes copies its requests to somebody already. */
function copies(object: HTTPRoute, target: Target, service: string): boolean {
  const isServing = servingTest(target, service, object.metadata.namespace);
  return rulesOf(object).some(
    ({ backendRefs = [], filters = [] }) =>
      backendRefs.some(isServing) && filters.some(({ requestMirror }) => requestMirror !== undefined),
  );
}

/** Linkerd takes no notice of an HTTPRoute while the Kubernetes Service that is its parent has a ServiceProfile. */
async function lookAtProfiles(
  cluster: Cluster,
  { metadata, spec }: HTTPRoute,
): Promise<Pick<Look, 'refusals' | 'warnings'>> {
  const parents = (spec.parentRefs ?? []).filter(({ kind }) => kind === 'Service');
  const subject = nameOf(HTTPRoutes, metadata);
  const looked = await Promise.all(
    parents.map(({ name, namespace = metadata.namespace }) => profilesOf(cluster, namespace, name)),
  );
  return {
    refusals: looked
      .flatMap(({ found }) => found)
      .map(
        (profile) =>
          `${subject} would be without effect: Linkerd follows ${nameOf(ServiceProfiles, profile.metadata)} of its parent instead. Delete that, and the TrafficSplit that it may come from.`,
      ),
    warnings: [...new Set(looked.flatMap(({ remedy }) => remedy ?? []))].map(
      (remedy) => `${subject}: a ServiceProfile of its parent would make it without effect; ${remedy}.`,
    ),
  };
}

/** A grant for single names does not cover the Kubernetes Services that Sluice makes. */
async function grantRefusals(cluster: Cluster, target: Target, home: string, subject: string): Promise<string[]> {
  const { namespace } = target;
  if (home === namespace) return [];
  const grants = await cluster.list(ReferenceGrants, namespace);
  const sides: Sides = sidesOf(target);
  const granted = (name: string) =>
    grants.some(
      ({ spec }) =>
        spec.from.some((from) => from.kind === 'HTTPRoute' && from.namespace === home) &&
        spec.to.some((to) => to.kind === 'Service' && (to.name === undefined || to.name === name)),
    );
  const missing = [sides.stable, sides.canary].filter((name) => !granted(name));
  if (missing.length === 0) return [];
  return [
    `${subject} may not send to ${missing.join(' and ')} in namespace ${namespace}: let a ReferenceGrant there allow it.`,
  ];
}

export const servingTest =
  (target: Target, service: string, home: string) =>
  (ref: NonNullable<Rule['backendRefs']>[number]): boolean =>
    refersTo(ref, service, target.namespace, home);

function list(rules: readonly Rule[]): string {
  return rules
    .map(({ name, matches, backendRefs = [] }, index) => {
      const path = matches?.[0]?.path?.value ?? '/';
      return `${index + 1}. ${name ?? path} to ${backendRefs.map((ref) => ref.name).join(', ') || 'nothing'}`;
    })
    .join('; ');
}
