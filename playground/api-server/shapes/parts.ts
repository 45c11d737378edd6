/** The words that the shapes are written in. */
import type { Json } from '../json.ts';
import type { Shape } from '../shape.ts';

export type Fields = Readonly<Record<string, Shape>>;
type ObjectShape = Extract<Shape, { readonly type: 'object' }>;

export const anything: Shape = { type: 'any' };
export const text: Shape = { type: 'string' };
export const name: Shape = { type: 'string', minLength: 1 };
export const count: Shape = { type: 'integer', min: 0 };
export const port: Shape = { type: 'integer', min: 1, max: 65_535 };

export const closed = (fields: Fields, required: readonly string[] = []): ObjectShape => ({
  type: 'object',
  fields,
  required,
});
export const open = (fields: Fields, required: readonly string[] = []): ObjectShape => ({
  type: 'object',
  fields,
  required,
  open: true,
});
export const list = (items: Shape, maxItems?: number): Shape => ({
  type: 'array',
  items,
  ...(maxItems && { maxItems }),
});
export const or = (fallback: Json, shape: Shape): Shape => ({ ...shape, default: fallback });
export const oneOf = (...known: string[]): Shape => ({ type: 'string', oneOf: known });
/** Text to text. */
export const texts: Shape = { type: 'map', values: text };
export const number: Shape = { type: 'number' };
export const uint: Shape = { type: 'integer', min: 0, max: 4_294_967_295 };
