/** What the bot's account may do in a namespace, and how people hear of what it may not. */
import { z } from 'zod';
import type { Kind } from './kinds.ts';

const rule = z.looseObject({
  verbs: z.array(z.string()),
  apiGroups: z.array(z.string()).nullish(),
  resources: z.array(z.string()).nullish(),
  resourceNames: z.array(z.string()).nullish(),
});
/** Answer to a SelfSubjectRulesReview. */
export const rulesReview = z.looseObject({
  status: z.looseObject({ resourceRules: z.array(rule).nullish(), incomplete: z.boolean().optional() }),
});
type Review = z.infer<typeof rulesReview>;

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'patch' | 'delete';
type Resource = Pick<Kind, 'group' | 'plural'>;
export type Need = {
  readonly kind: Resource;
  readonly verbs: readonly Verb[];
  /** What does not work without it, as an end of "so it cannot …". */
  readonly to: string;
  /** Done without where it is missing, which is no reason to ask again. */
  readonly isOptional?: true;
};

/**
 * One sentence for each kind of which a verb is missing, with what does not work and the line to add to the Role. Rules for
 * single names do not count: Sluice makes and finds objects by names that only a rollout knows. An incomplete review proves
 * nothing missing.
 */
export function missingRights(review: Review, needs: readonly Need[], namespace: string): string[] {
  if (review.status.incomplete) return [];
  const rules = (review.status.resourceRules ?? []).filter((one) => !one.resourceNames?.length);
  const allows = (verb: string, { group, plural }: Resource) =>
    rules.some((one) => has(one.verbs, verb) && has(one.apiGroups ?? [], group) && has(one.resources ?? [], plural));
  const missing = needs
    .map((need) => ({ ...need, verbs: need.verbs.filter((verb) => !allows(verb, need.kind)) }))
    .filter(({ verbs }) => verbs.length > 0);
  return [...Map.groupBy(missing, ({ kind }) => `${kind.plural}.${kind.group}`).values()].flatMap((same) => {
    const [first] = same;
    if (!first) return [];
    const verbs = same.flatMap((one) => one.verbs);
    return rightSentence(
      verbs,
      first.kind,
      namespace,
      same.map(({ to }) => to),
    );
  });
}

const has = (granted: readonly string[], wanted: string) => granted.includes(wanted) || granted.includes('*');

/** `to`: what does not work, as in `Need`. `who`: not the account of the bot. */
export function rightSentence(
  given: readonly string[],
  { group, plural }: Resource,
  namespace: string,
  to: readonly string[],
  who?: string,
): string {
  const verbs = [...new Set(given)].join(', ');
  const why = to.length > 0 ? `, so it cannot ${[...new Set(to)].join(' or ')}` : '';
  const line = `- { apiGroups: ["${group}"], resources: ["${plural}"], verbs: [${verbs}] }`;
  const [subject, role] = who === undefined ? ['The bot', 'its Role'] : [who, 'a Role of theirs'];
  return `${subject} may not ${verbs} ${plural} in namespace ${namespace}${why}: add to ${role}: ${line}`;
}
