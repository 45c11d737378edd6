import { apiVersion, type Held, type Kind, nameOf } from './kinds.ts';

const ARGO = /^(argo-rollouts|rollouts?)\.argoproj\.io\//;
const FLAGGER = /^flagger(\.kubernetes)?\.app\//;
const ARGO_CD = /^argocd\.argoproj\.io\//;
const FLUX = /^[a-z]+\.toolkit\.fluxcd\.io\//;
/** Values of `…/reconcile` and `…/ssa` that let an object of Flux be as somebody else writes it. */
const LEFT_ALONE = ['disabled', 'Ignore', 'IfNotPresent'];

/** The other progressive-delivery controller that works on this object, or null. */
export function otherOwner({ metadata }: Held): string | null {
  const { labels = {}, annotations = {}, ownerReferences = [] } = metadata;
  const keys = [...Object.keys(labels), ...Object.keys(annotations)];
  if (keys.some((key) => ARGO.test(key))) return 'Argo Rollouts';
  if (keys.some((key) => FLAGGER.test(key)) || labels['app.kubernetes.io/managed-by'] === 'flagger') return 'Flagger';
  const owner = ownerReferences.find(({ controller }) => controller);
  return owner ? `${owner.kind} ${owner.name}` : null;
}

/** Who would take a rollout's writes back, to make the object as it is in Git again, as sentences. */
export function revertWarnings(kind: Kind, { metadata }: Held): readonly string[] {
  const marks = Object.entries({ ...metadata.labels, ...metadata.annotations });
  const flux = marks.filter(([key]) => FLUX.test(key));
  const isLeftAlone = flux.some(([, value]) => LEFT_ALONE.includes(value));
  const tools = [
    ...(marks.some(([key]) => ARGO_CD.test(key)) ? ['Argo CD'] : []),
    ...(flux.length > 0 && !isLeftAlone ? ['Flux'] : []),
  ];
  return tools.map(
    (tool) =>
      `${tool} keeps ${nameOf(kind, metadata)} as it is in Git, and may take back what a rollout writes: let it ignore those fields (docs/operations.md, "With GitOps"), and commit what the promotion leaves.`,
  );
}

/**
 * For an object of the same namespace: it is deleted with this one. Set at birth only, and blocking nothing: to change owners, or
 * to block their deletion, takes rights that a rollout does not have (OwnerReferencesPermissionEnforcement).
 */
export const belongsTo = (kind: Kind, { metadata: { name, uid } }: Held) => [
  { apiVersion: apiVersion(kind), kind: kind.kind, name, uid },
];
