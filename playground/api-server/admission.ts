/** What happens to an object on its way into the store: defaults, then the checks that the real server makes. */
import { invalidValue, required } from './checks/causes.ts';
import { extras } from './checks/index.ts';
import { type Cause, invalid } from './errors.ts';
import { isArray, isObject, type Json, type JsonObject } from './json.ts';
import type { Kind } from './kinds.ts';
import type { KubeObject, Labels, NewObject } from './objects.ts';
import { applyShape } from './shape.ts';
import { shapeOf } from './shapes/index.ts';

/** Returns the object with its defaults, or throws a 422 that names the fields. `old`: what it replaces. */
export function admit<T extends NewObject>(kind: Kind, object: T, old?: KubeObject): T {
  const shape = shapeOf(kind, object.apiVersion.split('/').at(-1) ?? kind.version);
  const { name } = object.metadata;
  const causes = [...checkName(name), ...checkMeta(object)];
  if (!shape || object.spec === undefined) {
    if (shape) causes.push(required('spec'));
    if (causes.length > 0) throw invalid(kind, name, causes);
    return object;
  }
  const shaped = applyShape(shape, object.spec, 'spec');
  causes.push(...shaped.causes);
  if (causes.length > 0 || !isObject(shaped.value)) throw invalid(kind, name, causes);
  const spec = extras[kind.plural]?.fill?.(shaped.value, old?.spec) ?? shaped.value;
  const refused = extras[kind.plural]?.check(spec, old?.spec) ?? [];
  if (refused.length > 0) throw invalid(kind, name, refused);
  return { ...object, spec: kind.custom ? sortKeys(spec) : spec };
}

const dnsName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

function checkName(name: string): readonly Cause[] {
  if (!name) return [required('metadata.name', 'name or generateName is required')];
  if (dnsName.test(name) && name.length <= 253) return [];
  const rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'";
  return [invalidValue('metadata.name', name, rule)];
}

function checkMeta({ metadata }: NewObject): readonly Cause[] {
  return (['labels', 'annotations'] as const).flatMap((field) =>
    Object.entries<unknown>(metadata[field] ?? {})
      .filter(([, value]) => typeof value !== 'string')
      .map(([key, value]) => invalidValue(`metadata.${field}`, String(value), `"${key}" is not a string`)),
  );
}

/** Null values of labels and annotations read back as empty strings, and empty maps not at all. */
export function cleanLabels(labels: Labels | undefined): Labels | undefined {
  const entries = Object.entries<string | null>(labels ?? {}).map(([key, value]) => [key, value ?? ''] as const);
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

function sortKeys(value: JsonObject): JsonObject {
  const sorted = (item: Json | undefined): Json => {
    if (isArray(item)) return item.map(sorted);
    return isObject(item) ? sortKeys(item) : (item ?? null);
  };
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.filter((key) => value[key] !== undefined).map((key) => [key, sorted(value[key])]));
}
