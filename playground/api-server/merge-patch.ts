import { isArray, isEqual, isObject, type Json, type JsonObject } from './json.ts';

/** JSON Merge Patch (RFC 7386): maps are merged, null removes a key, everything else replaces. */
export function applyMergePatch(target: Json | undefined, patch: Json): Json {
  return merge(target, patch, (_, value) => value);
}

/**
 * The part of a strategic merge patch that clients send for built-in kinds: like a merge patch, but lists whose items have
 * a merge key are merged item by item. Directives (`$patch`, `$retainKeys` …) are not known and are dropped.
 */
export function applyStrategicPatch(target: Json | undefined, patch: Json): Json {
  return merge(target, patch, mergeList);
}

type MergeList = (old: Json | undefined, value: readonly Json[]) => readonly Json[];

function merge(target: Json | undefined, patch: Json, list: MergeList): Json {
  if (isArray(patch)) return list(target, patch);
  if (!isObject(patch)) return patch;
  const merged: Record<string, Json | undefined> = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$')) continue;
    if (value === null || value === undefined) delete merged[key];
    else merged[key] = merge(merged[key], value, list);
  }
  return merged;
}

const mergeKeys = ['name', 'containerPort', 'port', 'type', 'ip', 'topologyKey'];

function mergeList(old: Json | undefined, items: readonly Json[]): readonly Json[] {
  const key = mergeKeys.find((name) => items.length > 0 && items.every((item) => isObject(item) && name in item));
  if (!key || !isArray(old)) return items;
  const merged = [...old];
  for (const item of items) {
    const at = merged.findIndex((other) => isEqual(field(other, key), field(item, key)));
    if (at < 0) merged.push(item);
    else merged[at] = merge(merged[at], item, mergeList);
  }
  return merged;
}

function field(item: Json, key: string): Json | undefined {
  return isObject(item) ? (item as JsonObject)[key] : undefined;
}
