/** How Web API methods are called and answer. */

export type Args = Readonly<Record<string, unknown>>;
export type Answer = { readonly ok: boolean; readonly error?: string; readonly [field: string]: unknown };

export const ok = (fields: Args = {}): Answer => ({ ok: true, ...fields });
export const no = (error: string, fields: Args = {}): Answer => ({ ok: false, error, ...fields });
export const text = (value: unknown): string => (typeof value === 'string' ? value : '');
