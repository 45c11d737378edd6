/**
 * JSON Patch (RFC 6902) as the Kubernetes API server applies it. It departs from the RFC in measured ways: a
 * missing key of a map reads as null in `test` and `copy` and is added by `replace`, a negative index counts from the end,
 * and a missing `value` is null.
 */
import { isArray, isEqual, isObject, type Json, type JsonObject } from './json.ts';

/** The patch cannot be applied: a failed `test`, a path that leads nowhere, an unknown operation. */
export class PatchFailed extends Error {}

type Container = JsonObject | readonly Json[];

/** All operations or none: the document given is not changed. */
export function applyJsonPatch(document: Json, operations: readonly Json[]): Json {
  return operations.reduce<Json>(applyOperation, document);
}

function applyOperation(document: Json, operation: Json): Json {
  if (!isObject(operation)) throw new PatchFailed('an operation is an object');
  const path = pointer(operation.path);
  const value = operation.value ?? null;
  switch (operation.op) {
    case 'add':
      return change(document, path, (parent, key) => insert(parent, key, value));
    case 'replace':
      return change(document, path, (parent, key) => put(parent, key, value));
    case 'remove':
      return change(document, path, take);
    case 'test':
      if (isEqual(read(document, path), value)) return document;
      throw new PatchFailed(`test of ${String(operation.path)} failed`);
    case 'move': {
      const from = pointer(operation.from);
      const moved = existing(document, from);
      return change(change(document, from, take), path, (parent, key) => insert(parent, key, moved));
    }
    case 'copy': {
      const copied = read(document, pointer(operation.from));
      return change(document, path, (parent, key) => insert(parent, key, copied));
    }
    default:
      throw new PatchFailed(`unknown operation ${String(operation.op)}`);
  }
}

function pointer(path: Json | undefined): readonly string[] {
  if (typeof path !== 'string' || !path.startsWith('/')) throw new PatchFailed(`path ${String(path)} is not a pointer`);
  return path
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** Rebuilds the containers on the way to the last key; the others are shared with the document before. */
function change(document: Json, path: readonly string[], edit: (parent: Container, key: string) => Container): Json {
  const [key = '', ...rest] = path;
  const parent = container(document);
  if (rest.length === 0) return edit(parent, key);
  return put(parent, key, change(get(parent, key), rest, edit));
}

function read(document: Json, path: readonly string[]): Json {
  return path.reduce<Json>((value, key) => get(container(value), key), document);
}

function existing(document: Json, path: readonly string[]): Json {
  const parent = container(read(document, path.slice(0, -1)));
  const key = path.at(-1) ?? '';
  if (isObject(parent) && !Object.hasOwn(parent, key)) throw new PatchFailed(`${key} is missing`);
  return get(parent, key);
}

function container(value: Json): Container {
  if (isArray(value) || isObject(value)) return value;
  throw new PatchFailed('the path leads through a missing value');
}

function get(parent: Container, key: string): Json {
  return isArray(parent) ? (parent[position(key, parent.length)] ?? null) : (ownValue(parent, key) ?? null);
}

function ownValue(parent: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(parent, key) ? parent[key] : undefined;
}

function put(parent: Container, key: string, value: Json): Container {
  return isArray(parent) ? parent.with(position(key, parent.length), value) : { ...parent, [key]: value };
}

function insert(parent: Container, key: string, value: Json): Container {
  if (!isArray(parent)) return put(parent, key, value);
  const place = key === '-' ? parent.length : position(key, parent.length + 1);
  return parent.toSpliced(place, 0, value);
}

function take(parent: Container, key: string): Container {
  if (isArray(parent)) return parent.toSpliced(position(key, parent.length), 1);
  if (!Object.hasOwn(parent, key)) throw new PatchFailed(`${key} is missing`);
  const { [key]: _, ...rest } = parent;
  return rest;
}

function position(key: string, length: number): number {
  const index = /^-?\d+$/.test(key) ? Number(key) : Number.NaN;
  const place = index < 0 ? index + length : index;
  if (place >= 0 && place < length) return place;
  throw new PatchFailed(`index ${key} is out of range`);
}
