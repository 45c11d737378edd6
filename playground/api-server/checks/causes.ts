/** What checks say, and how they look into a spec. */
import type { Cause } from '../errors.ts';
import { isArray, isObject, type Json, type JsonObject } from '../json.ts';

export type Check = (spec: JsonObject, old: JsonObject | undefined) => readonly Cause[];

export function invalidValue(field: string, value: Json | undefined, why: string): Cause {
  return { field, reason: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(value ?? null)}: ${why}` };
}

/** A rule over several fields (CEL); the real server shows the value as `object`, `array` or what it is. */
export function brokenRule(field: string, why: string): Cause {
  return { field, reason: 'FieldValueInvalid', message: `Invalid value: ${why}` };
}

export function required(field: string, why = ''): Cause {
  return { field, reason: 'FieldValueRequired', message: why ? `Required value: ${why}` : 'Required value' };
}

export function forbiddenField(field: string, why: string): Cause {
  return { field, reason: 'FieldValueForbidden', message: `Forbidden: ${why}` };
}

export function asObject(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

export function asArray(value: Json | undefined): readonly Json[] {
  return isArray(value) ? value : [];
}
