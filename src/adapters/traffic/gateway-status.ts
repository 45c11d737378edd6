/** What the controllers of an HTTPRoute say of its newest generation (Gateway API, RouteParentStatus). */
import { type HTTPRoute, HTTPRoutes, type ParentRef } from '../kubernetes/gateway-objects.ts';
import { type Condition, nameOf } from '../kubernetes/kinds.ts';
import type { Look, RouteStatus } from './dialect.ts';

/**
 * Confirmed when for each parent at least one controller answered, and all that did accepted all of the route, resolved its
 * backends, and have seen the newest generation. A condition without `observedGeneration` (Linkerd's) counts as it stands.
 */
export function routeStatus({ metadata, spec, status }: HTTPRoute): RouteStatus {
  const { namespace, generation = 0 } = metadata;
  const answers = (spec.parentRefs ?? []).map((parent) =>
    (status?.parents ?? [])
      .filter(({ parentRef }) => sameParent(parent, parentRef, namespace))
      .map(({ controllerName, conditions = [] }) => {
        const answer = answerOf(conditions, generation);
        if (answer.kind !== 'rejected') return answer;
        const message = `controller ${controllerName} of ${parentName(parent, namespace)}: ${answer.message}`;
        return { ...answer, message };
      }),
  );
  const refusals = answers.flat().flatMap((answer) => (answer.kind === 'rejected' ? [answer.message] : []));
  if (refusals.length > 0) return { kind: 'rejected', message: someOf(refusals) };
  const all =
    answers.length > 0 && answers.every((one) => one.length > 0 && one.every(({ kind }) => kind === 'confirmed'));
  return { kind: all ? 'confirmed' : 'pending' };
}

/**
 * Whether a route is refused before a rollout has touched it, which would end with its first write. What a controller says
 * without `observedGeneration` may be of an edit before.
 */
export function lookAtStatus(object: HTTPRoute): Pick<Look, 'refusals' | 'warnings'> {
  const now = routeStatus(object);
  if (now.kind !== 'rejected') return { refusals: [], warnings: partlyTaken(object) };
  const parents = (object.status?.parents ?? []).map((parent) => ({
    ...parent,
    conditions: (parent.conditions ?? []).filter(({ observedGeneration }) => observedGeneration !== undefined),
  }));
  const isSure = routeStatus({ ...object, status: { parents } }).kind === 'rejected';
  const said = `${nameOf(HTTPRoutes, object.metadata)} is refused by a controller already (${now.message}), so a rollout would end with its first write: mend what it names, or take that parentRef out of the route. A controller speaks of all of its rules at once, those that no rollout touches among them.`;
  return isSure ? { refusals: [said], warnings: [] } : { refusals: [], warnings: [said] };
}

function partlyTaken({ metadata, status }: HTTPRoute): readonly string[] {
  return (status?.parents ?? []).flatMap(({ parentRef, controllerName, conditions = [] }) => {
    const partly = conditions.find(({ type, status: is }) => type === 'PartiallyInvalid' && is === 'True');
    const who = `controller ${controllerName} of ${parentName(parentRef, metadata.namespace)}`;
    return partly
      ? [
          `${nameOf(HTTPRoutes, metadata)} is taken in parts only by ${who} (${partly.reason ?? ''} ${partly.message ?? ''}), so nothing would confirm a weight: mend what it names.`,
        ]
      : [];
  });
}

const MAX_NAMED = 3;

function someOf(messages: readonly string[]): string {
  const more = messages.length - MAX_NAMED;
  return [...messages.slice(0, MAX_NAMED), ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}

const parentName = ({ kind = 'Gateway', name, namespace, sectionName }: ParentRef, home: string) =>
  `${kind} ${namespace ?? home}/${name}${sectionName === undefined ? '' : `, listener ${sectionName}`}`;

function answerOf(conditions: readonly Condition[], generation: number): RouteStatus {
  const current = (type: string) =>
    conditions.find((one) => one.type === type && (one.observedGeneration ?? generation) >= generation);
  const [accepted, resolved, partly] = [current('Accepted'), current('ResolvedRefs'), current('PartiallyInvalid')];
  const refusal = [accepted, resolved].find((one) => one?.status === 'False' && one.reason !== 'Pending');
  if (refusal) {
    return {
      kind: 'rejected',
      message: `${refusal.type} is ${refusal.status}: ${refusal.reason ?? ''} ${refusal.message ?? ''}`.trim(),
    };
  }
  const stale = conditions.some(({ type }) => type === 'ResolvedRefs') && !resolved;
  // Which rules it dropped, or left as they were before, only its words say: those of a rollout may be among them.
  const isWhole = partly?.status !== 'True';
  return { kind: accepted?.status === 'True' && isWhole && !stale ? 'confirmed' : 'pending' };
}

/** Whether two routes have a parent in common, of which one may want a part only. */
export function sharesParent(one: HTTPRoute, other: HTTPRoute): boolean {
  const placed = ({ metadata, spec }: HTTPRoute) =>
    (spec.parentRefs ?? []).map((parent) => ({ ...parent, namespace: parent.namespace ?? metadata.namespace }));
  return placed(one).some((a) => placed(other).some((b) => sameParent(a, b) || sameParent(b, a)));
}

/** Controllers write defaults into the parent they answer for, and Linkerd calls the core group `core`. */
function sameParent(wanted: ParentRef, found: ParentRef, home?: string): boolean {
  const kind = (ref: ParentRef) => ref.kind ?? 'Gateway';
  const group = (ref: ParentRef) => {
    const given = ref.group ?? (kind(ref) === 'Service' ? '' : 'gateway.networking.k8s.io');
    return given === 'core' ? '' : given;
  };
  return (
    wanted.name === found.name &&
    kind(wanted) === kind(found) &&
    group(wanted) === group(found) &&
    (wanted.namespace ?? home) === (found.namespace ?? home) &&
    (found.sectionName === undefined || wanted.sectionName === found.sectionName) &&
    (found.port === undefined || wanted.port === found.port)
  );
}
