/** A small part of OpenAPI schemas: defaults are filled in, unknown fields dropped, and what does not fit is told. */
import type { Cause } from './errors.ts';
import { isArray, isObject, type Json } from './json.ts';

export type Shape = { readonly default?: Json } & (
  | { readonly type: 'any' | 'boolean' }
  | { readonly type: 'string'; readonly oneOf?: readonly string[]; readonly minLength?: number }
  | { readonly type: 'integer'; readonly min?: number; readonly max?: number }
  | { readonly type: 'number'; readonly min?: number; readonly max?: number }
  /** A number, or text such as `500m`. */
  | { readonly type: 'quantity'; readonly min?: number }
  | { readonly type: 'map'; readonly values: Shape }
  | { readonly type: 'array'; readonly items: Shape; readonly minItems?: number; readonly maxItems?: number }
  | {
      readonly type: 'object';
      readonly fields: Readonly<Record<string, Shape>>;
      readonly required?: readonly string[];
      /** Keeps fields that are not listed: for kinds that are only described as far as they have defaults. */
      readonly open?: boolean;
      /** At most one of these. */
      readonly eitherOf?: readonly string[];
    }
);

export type Shaped = { readonly value: Json; readonly causes: readonly Cause[] };

export function applyShape(shape: Shape, value: Json, path: string): Shaped {
  switch (shape.type) {
    case 'any':
      return { value, causes: [] };
    case 'boolean':
      return check(value, typeof value === 'boolean', wrongType(path, 'boolean', value));
    case 'string':
      return applyString(shape, value, path);
    case 'integer':
    case 'number':
      return applyNumber(shape, value, path);
    case 'quantity':
      return applyQuantity(shape, value, path);
    case 'map':
      return applyMap(shape, value, path);
    case 'array':
      return applyArray(shape, value, path);
    case 'object':
      return applyObject(shape, value, path);
    default:
      return shape satisfies never;
  }
}

/** Fields that the shape does not know, as paths: what a strict reader refuses. */
export function unknownFields(shape: Shape | undefined, value: Json | undefined, path: string): readonly string[] {
  if (shape?.type === 'array' && isArray(value)) {
    return value.flatMap((item, index) => unknownFields(shape.items, item, `${path}[${index}]`));
  }
  if (!isObject(value)) return [];
  if (shape?.type === 'map') {
    return Object.entries(value).flatMap(([key, item]) => unknownFields(shape.values, item, `${path}.${key}`));
  }
  if (shape?.type !== 'object') return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const field = shape.fields[key];
    if (!field) return shape.open ? [] : [`${path}.${key}`];
    return unknownFields(field, item, `${path}.${key}`);
  });
}

type Of<T extends Shape['type']> = Extract<Shape, { readonly type: T }>;

function applyString(shape: Of<'string'>, value: Json, path: string): Shaped {
  if (typeof value !== 'string') return refuse(value, wrongType(path, 'string', value));
  if (shape.oneOf && !shape.oneOf.includes(value)) {
    const known = shape.oneOf.map((known) => `"${known}"`).join(', ');
    const message = `Unsupported value: "${value}": supported values: ${known}`;
    return refuse(value, { field: path, reason: 'FieldValueNotSupported', message });
  }
  const short = value.length < (shape.minLength ?? 0);
  return check(value, !short, unfit(path, value, `should be at least ${shape.minLength} chars long`));
}

function applyNumber(shape: Of<'integer'> | Of<'number'>, value: Json, path: string): Shaped {
  const fits = typeof value === 'number' && (shape.type === 'number' || Number.isInteger(value));
  if (!fits) return refuse(value, wrongType(path, shape.type, value));
  if (shape.min !== undefined && value < shape.min) {
    return refuse(value, unfit(path, value, `should be greater than or equal to ${shape.min}`));
  }
  if (shape.max !== undefined && value > shape.max) {
    return refuse(value, unfit(path, value, `should be less than or equal to ${shape.max}`));
  }
  return { value, causes: [] };
}

function applyQuantity(shape: Of<'quantity'>, value: Json, path: string): Shaped {
  if (typeof value === 'number') return applyNumber({ ...shape, type: 'number' }, value, path);
  const fits = typeof value === 'string' && /^\d+(\.\d+)?m?$/.test(value);
  return check(value, fits, unfit(path, value, 'should be a quantity'));
}

function applyMap({ values }: Of<'map'>, value: Json, path: string): Shaped {
  if (!isObject(value)) return refuse(value, wrongType(path, 'object', value));
  const entries = Object.entries(value).map(
    ([key, item]) => [key, applyShape(values, item ?? null, `${path}.${key}`)] as const,
  );
  const kept = Object.fromEntries(entries.map(([key, shaped]) => [key, shaped.value]));
  return { value: kept, causes: entries.flatMap(([, shaped]) => shaped.causes) };
}

function applyArray(shape: Of<'array'>, value: Json, path: string): Shaped {
  if (!isArray(value)) return refuse(value, wrongType(path, 'array', value));
  const items = value.map((item, index) => applyShape(shape.items, item, `${path}[${index}]`));
  const causes = items.flatMap((item) => item.causes);
  if (shape.maxItems !== undefined && value.length > shape.maxItems) {
    const message = `Too many: ${value.length}: must have at most ${shape.maxItems} items`;
    causes.push({ field: path, reason: 'FieldValueTooMany', message });
  }
  if (value.length < (shape.minItems ?? 0)) {
    causes.push(unfit(path, value.length, `should have at least ${shape.minItems} items`));
  }
  return { value: items.map((item) => item.value), causes };
}

function applyObject(shape: Of<'object'>, value: Json, path: string): Shaped {
  if (!isObject(value)) return refuse(value, wrongType(path, 'object', value));
  const kept: Record<string, Json | undefined> = shape.open ? { ...value } : {};
  const causes: Cause[] = [];
  for (const [key, field] of Object.entries(shape.fields)) {
    const given = value[key] ?? field.default;
    if (given === undefined) continue;
    const shaped = applyShape(field, given, path ? `${path}.${key}` : key);
    kept[key] = shaped.value;
    causes.push(...shaped.causes);
  }
  const chosen = (shape.eitherOf ?? []).filter((key) => kept[key] !== undefined);
  if (chosen.length > 1) causes.push(severalOf(path, chosen.length));
  for (const key of shape.required ?? []) {
    if (kept[key] !== undefined) continue;
    causes.push({ field: path ? `${path}.${key}` : key, reason: 'FieldValueRequired', message: 'Required value' });
  }
  return { value: kept, causes };
}

function check(value: Json, fits: boolean, cause: Cause): Shaped {
  return { value, causes: fits ? [] : [cause] };
}

function refuse(value: Json, cause: Cause): Shaped {
  return { value, causes: [cause] };
}

function wrongType(path: string, wanted: string, value: Json): Cause {
  const found = isArray(value) ? 'array' : value === null ? 'null' : typeof value;
  const message = `Invalid value: "${found}": ${path} in body must be of type ${wanted}: "${found}"`;
  return { field: path, reason: 'FieldValueTypeInvalid', message };
}

/** The real server names no field here. */
function severalOf(path: string, count: number): Cause {
  const why = `must validate one and only one schema (oneOf). Found ${count} valid alternatives`;
  return { field: '<nil>', reason: 'FieldValueInvalid', message: `Invalid value: "": "${path}" ${why}` };
}

function unfit(path: string, value: Json, why: string): Cause {
  return {
    field: path,
    reason: 'FieldValueInvalid',
    message: `Invalid value: ${JSON.stringify(value)}: ${path} in body ${why}`,
  };
}
