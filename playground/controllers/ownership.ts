import type { KubeObject, Labels, OwnerReference } from '../api-server/objects.ts';

export function ownerReference({ apiVersion, kind, metadata }: KubeObject): OwnerReference {
  const { name, uid } = metadata;
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}

export function isOwnedBy({ metadata }: KubeObject, owner: KubeObject): boolean {
  return (metadata.ownerReferences ?? []).some(({ uid }) => uid === owner.metadata.uid);
}

/** `namespace/name` of the owner, when there is one of that kind. */
export function ownerKey({ metadata }: KubeObject, kind: string): readonly string[] {
  const owner = metadata.ownerReferences?.find((reference) => reference.kind === kind);
  return owner ? [`${metadata.namespace}/${owner.name}`] : [];
}

export function selects(selector: Labels | undefined, labels: Labels | undefined): boolean {
  const wanted = Object.entries(selector ?? {});
  return wanted.length > 0 && wanted.every(([key, value]) => labels?.[key] === value);
}

const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** Short random name part in the letters that Kubernetes uses. */
export function suffix(length = 5): string {
  return Array.from({ length }, () => alphabet[Math.floor(Math.random() * alphabet.length)]).join('');
}
