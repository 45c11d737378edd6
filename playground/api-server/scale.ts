import { isObject, type JsonObject } from './json.ts';
import type { KubeObject, NewObject } from './objects.ts';

/** The `scale` subresource of a Deployment or ReplicaSet. */
export function scaleOf({ metadata, spec, status }: KubeObject): JsonObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = metadata;
  const selector = isObject(spec?.selector) && isObject(spec.selector.matchLabels) ? spec.selector.matchLabels : {};
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    // Zero is left out, as the real server does.
    spec: { ...(spec?.replicas !== 0 && { replicas: spec?.replicas }) },
    status: {
      replicas: status?.replicas ?? 0,
      selector: Object.entries(selector)
        .map(([key, value]) => `${key}=${value}`)
        .join(','),
    },
  };
}

/** The object with the replicas that a Scale asks for; the resourceVersion of the Scale is the object's. */
export function withScale(object: KubeObject, scale: NewObject): NewObject {
  const { resourceVersion: _, ...metadata } = object.metadata;
  const replicas = isObject(scale.spec) ? (scale.spec.replicas ?? 0) : 0;
  const expected = scale.metadata.resourceVersion;
  return {
    ...object,
    metadata: { ...metadata, ...(expected !== undefined && { resourceVersion: expected }) },
    spec: { ...object.spec, replicas },
  };
}
