import { apiVersion, type Held, type Kind } from './objects.ts';

const ARGO = /^(argo-rollouts|rollouts?)\.argoproj\.io\//;
const FLAGGER = /^flagger\.app\//;

/** The other progressive-delivery controller that works on this object, or null. */
export function otherOwner({ metadata }: Held): string | null {
  const { labels = {}, annotations = {}, ownerReferences = [] } = metadata;
  const keys = [...Object.keys(labels), ...Object.keys(annotations)];
  if (keys.some((key) => ARGO.test(key))) return 'Argo Rollouts';
  if (keys.some((key) => FLAGGER.test(key)) || labels['app.kubernetes.io/managed-by'] === 'flagger') return 'Flagger';
  const owner = ownerReferences.find(({ controller }) => controller);
  return owner ? `${owner.kind} ${owner.name}` : null;
}

/**
 * For an object of the same namespace: it is deleted with this one. Set at birth only, and blocking nothing: to change owners, or
 * to block their deletion, takes rights that a rollout does not have (OwnerReferencesPermissionEnforcement).
 */
export const belongsTo = (kind: Kind, { metadata: { name, uid } }: Held) => [
  { apiVersion: apiVersion(kind), kind: kind.kind, name, uid },
];
