/** What the API server makes of a pod template, by dry runs: mutating webhooks of the cluster may pin images or add to it. */
import { isDeepStrictEqual } from 'node:util';
import type { Cluster } from './cluster.ts';
import { firstDifference } from './in-place-writes.ts';
import { nameOf, type Ref } from './kinds.ts';
import { replace } from './marks.ts';
import { Deployments, type PodTemplate } from './objects.ts';

type Stored = { readonly ok: true; readonly template: PodTemplate } | { readonly ok: false; readonly refusal: string };

/**
 * The template as it would be stored in this Deployment; as given, where the API server does not say. Refused where it would be
 * another one with each write: then every write rolls pods, and nobody can tell the own template from a change by others.
 */
export async function asStored(cluster: Cluster, ref: Ref, given: PodTemplate): Promise<Stored> {
  const tryOut = async (template: PodTemplate) => {
    const tried = await cluster.tryOut(Deployments, ref, [replace('/spec/template', template)]);
    return tried.ok ? tried.object.spec.template : template;
  };
  const template = await tryOut(given);
  const again = isDeepStrictEqual(given, template) ? template : await tryOut(template);
  if (isDeepStrictEqual(template, again)) return { ok: true, template };
  const where = firstDifference(template, again).join('.');
  return {
    ok: false,
    refusal: `A webhook of the cluster rewrites the pod template of ${nameOf(Deployments, ref)} with every write, first at ${where}: each write would roll its pods, and nobody could tell the new version from a change by somebody else. Make that webhook idempotent, or let it leave this Deployment out.`,
  };
}
