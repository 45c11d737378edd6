/** What the bot's account may do in a namespace, from one SelfSubjectRulesReview. */
import { z } from 'zod';
import type { Kind } from './objects.ts';

const rule = z.looseObject({
  verbs: z.array(z.string()),
  apiGroups: z.array(z.string()).nullish(),
  resources: z.array(z.string()).nullish(),
  resourceNames: z.array(z.string()).nullish(),
});
export const rulesReview = z.looseObject({
  status: z.looseObject({ resourceRules: z.array(rule).nullish(), incomplete: z.boolean().optional() }),
});
type Review = z.infer<typeof rulesReview>;

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'patch' | 'delete';
export type Need = { readonly kind: Pick<Kind, 'group' | 'plural'>; readonly verbs: readonly Verb[] };

/**
 * One sentence for each kind of which a verb is missing, with the line to add to the Role. Rules for single names do not
 * count: Sluice makes and finds objects by names that only a rollout knows. An incomplete review proves nothing missing.
 */
export function missingRights(review: Review, needs: readonly Need[], namespace: string): string[] {
  if (review.status.incomplete) return [];
  const rules = (review.status.resourceRules ?? []).filter((one) => !one.resourceNames?.length);
  const allows = (verb: string, { group, plural }: Need['kind']) =>
    rules.some((one) => has(one.verbs, verb) && has(one.apiGroups ?? [], group) && has(one.resources ?? [], plural));
  return needs.flatMap(({ kind, verbs }) => {
    const missing = verbs.filter((verb) => !allows(verb, kind));
    if (missing.length === 0) return [];
    const line = `- { apiGroups: ["${kind.group}"], resources: ["${kind.plural}"], verbs: [${missing.join(', ')}] }`;
    return `The bot may not ${missing.join(', ')} ${kind.plural} in namespace ${namespace}: add to its Role: ${line}`;
  });
}

const has = (granted: readonly string[], wanted: string) => granted.includes(wanted) || granted.includes('*');
