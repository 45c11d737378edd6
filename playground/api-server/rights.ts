/** Who may do what: everything is allowed until a test takes a right away. */
import { forbidden } from './errors.ts';
import type { JsonObject } from './json.ts';
import { allKinds } from './kinds.ts';
import { type ApiRequest, resourceOf, type Verb } from './request.ts';

export type Right = {
  readonly verb: Verb;
  /** `httproutes`, `deployments/scale` */
  readonly resource: string;
  /** Default: in every namespace. */
  readonly namespace?: string;
};

const verbs: readonly Verb[] = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'];
const reviews = { verbs: ['create'], apiGroups: ['authorization.k8s.io'], resources: ['selfsubjectrulesreviews'] };

export function createRights(user: string) {
  let denied: readonly Right[] = [];
  let incomplete = false;

  const isDenied = (verb: Verb, resource: string, namespace: string | undefined) =>
    denied.some(
      (right) =>
        right.verb === verb &&
        right.resource === resource &&
        (right.namespace === undefined || right.namespace === namespace),
    );

  return {
    /** Takes a right away: requests get a 403, and rules reviews no longer list it. */
    deny(...rights: readonly Right[]): void {
      denied = [...denied, ...rights];
    },

    /** From now on rules reviews say that they are incomplete, as where another authorizer decides too: they prove nothing. */
    reviewIncompletely(): void {
      incomplete = true;
    },

    allowEverything(): void {
      denied = [];
    },

    check(request: ApiRequest): void {
      const { verb, kind, namespace, name } = request;
      const resource = resourceOf(request);
      if (!isDenied(verb, resource, namespace)) return;
      const scope = namespace === undefined ? 'at the cluster scope' : `in the namespace "${namespace}"`;
      throw forbidden(kind, name, user, verb, resource, scope);
    },

    /** Status of a SelfSubjectRulesReview: one rule for all, or one per resource once something was taken away. */
    review(namespace: string): JsonObject {
      const rules = denied.length === 0 ? [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }] : rulesIn(namespace);
      return { resourceRules: [reviews, ...rules], nonResourceRules: [], incomplete };
    },
  };

  function rulesIn(namespace: string): readonly JsonObject[] {
    return allKinds.flatMap((kind) =>
      (['', ...kind.subresources] as const).map((subresource) => {
        const resource = resourceOf({ kind, subresource });
        const allowed = verbs.filter((verb) => !isDenied(verb, resource, namespace));
        return { verbs: allowed, apiGroups: [kind.group], resources: [resource] };
      }),
    );
  }
}
