/** Looks at HTTPRoutes before a rollout touches them. */
import type { Preflight, RouteFacts } from '../../app/ports.ts';
import type { Target } from '../../core/plan.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { heldMessage } from '../kubernetes/fence.ts';
import { highestEpoch, readMarks } from '../kubernetes/marks.ts';
import { type HTTPRoute, HTTPRoutes, nameOf, type Ref, ReferenceGrants, type Rule } from '../kubernetes/objects.ts';
import { otherOwner } from '../kubernetes/owners.ts';
import { missingRolloutRights } from '../kubernetes/rollout-rights.ts';
import { findServing, routeMissing, routesOf } from '../kubernetes/serving.ts';
import { isRestored, journalOf, refersTo, type Sides, sidesOf } from './gateway-rules.ts';
import { RESTORE_LIMIT, rulesOf, tooLong } from './gateway-writes.ts';

/** Gateway API allows so many rules in one route. */
const MAX_RULES = 16;

type Looked = {
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
  readonly several: readonly string[];
  readonly object: HTTPRoute | null;
};

export async function lookAtRoutes(cluster: Cluster, target: Target): Promise<Preflight<RouteFacts>> {
  const refs = routesOf(target);
  const missing = await missingRolloutRights(cluster, target);
  if (missing.length > 0) return { ok: false, refusals: missing };
  const looked = await Promise.all(refs.map((ref) => lookAt(cluster, target, ref)));
  const refusals = looked.flatMap((one) => one.refusals);
  if (refusals.length > 0) return { ok: false, refusals };
  const objects = looked.flatMap(({ object }) => (object ? [object] : []));
  return {
    ok: true,
    facts: {
      objects: refs.map((ref) => nameOf(HTTPRoutes, ref)),
      epoch: highestEpoch(objects),
      several: looked.flatMap(({ several }) => several),
    },
    warnings: looked.flatMap(({ warnings }) => warnings),
  };
}

async function lookAt(cluster: Cluster, target: Target, ref: Ref): Promise<Looked> {
  const subject = nameOf(HTTPRoutes, ref);
  const refuse = (...refusals: readonly string[]): Looked => ({ refusals, warnings: [], several: [], object: null });
  const object = await cluster.view(HTTPRoutes, ref.namespace).get(ref.name);
  if (!object) return refuse(routeMissing(ref, target));
  const owner = otherOwner(object);
  if (owner) return refuse(`${subject} is managed by ${owner}: take it off there before Sluice routes it.`);
  const marks = readMarks(object);
  if (marks?.phase === 'active') return refuse(heldMessage(subject, marks, target.service));
  const sides = sidesOf(target.deployment);
  const rules = rulesOf(object);
  if (!isRestored(rules, sides)) {
    return refuse(
      `${subject} sends to ${sides.stable} or ${sides.canary} without a rollout: put its own Kubernetes Service back into backendRefs.`,
    );
  }
  const serving = await findServing(cluster, target);
  if (!serving.ok) return refuse(serving.refusal);
  return judgeRules(cluster, target, object, serving.service.metadata.name);
}

async function judgeRules(cluster: Cluster, target: Target, object: HTTPRoute, service: string): Promise<Looked> {
  const home = object.metadata.namespace;
  const subject = nameOf(HTTPRoutes, object.metadata);
  const rules = rulesOf(object);
  const isServing = servingTest(target, service, home);
  const journal = journalOf(rules, isServing);
  const shared = rules.filter((rule) => (rule.backendRefs ?? []).length > 1 && rule.backendRefs?.some(isServing));
  const refusals = [
    ...(shared.length > 0
      ? [
          `${subject}: ${service} shares these rules with other backends, so what is stable there is unclear: ${list(shared)}.`,
        ]
      : []),
    ...(journal.length === 0 && shared.length === 0
      ? [`${subject} has no rule that sends to ${service} alone. Its rules: ${list(rules)}.`]
      : []),
    ...(JSON.stringify(journal).length > RESTORE_LIMIT ? [tooLong(subject)] : []),
    ...(await grantRefusals(cluster, target, home, subject)),
  ];
  const full = rules.length + journal.length > MAX_RULES;
  const warnings = full
    ? [`${subject} has no room for preview rules (${MAX_RULES} rules at most): a step with a preview will be refused.`]
    : [];
  const routed = rules.filter((rule) => rule.backendRefs?.length === 1 && rule.backendRefs.some(isServing));
  const several =
    routed.length > 1
      ? [
          `${subject}: ${routed.length} rules send to ${service}, and each gets the canary's weight: ${list(routed)}. Move a rule to a route of its own if it should not.`,
        ]
      : [];
  return { refusals, warnings, several, object };
}

/** A grant for single names does not cover the Kubernetes Services that Sluice makes. */
async function grantRefusals(
  cluster: Cluster,
  { namespace, deployment }: Target,
  home: string,
  subject: string,
): Promise<string[]> {
  if (home === namespace) return [];
  const grants = await cluster.list(ReferenceGrants, namespace);
  const sides: Sides = sidesOf(deployment);
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
