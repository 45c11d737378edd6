/** Errors with the bodies and sentences of the real API server, as measured on 1.36. */
import type { Json } from './json.ts';
import type { Kind } from './kinds.ts';

export type Cause = { readonly field: string; readonly reason: string; readonly message: string };

type Details = Readonly<Record<string, Json>>;

export class ApiError extends Error {
  readonly code: number;
  readonly body: Readonly<Record<string, Json>>;

  constructor(code: number, reason: string, message: string, details?: Details) {
    super(message);
    this.code = code;
    this.body = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason && { reason }),
      ...(details && { details }),
      code,
    };
  }
}

/** `deployments.apps`, `services` */
export function resourceName({ plural, group }: Kind): string {
  return group ? `${plural}.${group}` : plural;
}

function kindName({ kind, group }: Kind): string {
  return group ? `${kind}.${group}` : kind;
}

function details(kind: Kind, name: string, as: string, more: Details = {}): Details {
  return { ...(name && { name }), ...(kind.group && { group: kind.group }), kind: as, ...more };
}

export function notFound(kind: Kind, name: string): ApiError {
  return new ApiError(404, 'NotFound', `${resourceName(kind)} "${name}" not found`, details(kind, name, kind.plural));
}

export function alreadyExists(kind: Kind, name: string): ApiError {
  const message = `${resourceName(kind)} "${name}" already exists`;
  return new ApiError(409, 'AlreadyExists', message, details(kind, name, kind.plural));
}

export function conflict(kind: Kind, name: string): ApiError {
  const why = 'the object has been modified; please apply your changes to the latest version and try again';
  const message = `Operation cannot be fulfilled on ${resourceName(kind)} "${name}": ${why}`;
  return new ApiError(409, 'Conflict', message, details(kind, name, kind.plural));
}

/** A precondition of a deletion does not hold; unlike a conflict it names the kind, not the resource. */
export function preconditionFailed(kind: Kind, name: string, why: string): ApiError {
  const message = `Operation cannot be fulfilled on ${kindName(kind)} "${name}": ${why}`;
  return new ApiError(409, 'Conflict', message, details(kind, name, kind.kind));
}

export function invalid(kind: Kind, name: string, causes: readonly Cause[]): ApiError {
  const each = causes.map(({ field, message }) => `${field}: ${message}`);
  const all = each.length === 1 ? each[0] : `[${each.join(', ')}]`;
  return new ApiError(
    422,
    'Invalid',
    `${kindName(kind)} "${name}" is invalid: ${all}`,
    details(kind, name, kind.kind, {
      causes: causes.map(({ reason, message, field }) => ({ reason, message, field })),
    }),
  );
}

export function patchRefused(): ApiError {
  return new ApiError(422, 'Invalid', 'the server rejected our request due to an error in our request', {});
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message);
}

export function unauthorized(): ApiError {
  return new ApiError(401, 'Unauthorized', 'Unauthorized');
}

export function forbidden(
  kind: Kind,
  name: string,
  user: string,
  verb: string,
  resource: string,
  scope: string,
): ApiError {
  const what = name ? `${resourceName(kind)} "${name}"` : resourceName(kind);
  const message = `${what} is forbidden: User "${user}" cannot ${verb} resource "${resource}" in API group "${kind.group}" ${scope}`;
  return new ApiError(403, 'Forbidden', message, details(kind, name, kind.plural));
}

export function methodNotAllowed(kind: Kind): ApiError {
  const message = 'the server does not allow this method on the requested resource';
  return new ApiError(405, 'MethodNotAllowed', message, details(kind, '', kind.plural));
}

export function unsupportedMediaType(accepted: readonly string[]): ApiError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`;
  return new ApiError(415, 'UnsupportedMediaType', message);
}

export function expired(requested: number, oldest: number): ApiError {
  return new ApiError(410, 'Expired', `too old resource version: ${requested} (${oldest})`);
}
