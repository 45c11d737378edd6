/** What a request asks for, read from its method, path and query. */
import { ApiError, badRequest, methodNotAllowed } from './errors.ts';
import { type Kind, kinds } from './kinds.ts';
import type { Served } from './served.ts';

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection';

export type ApiRequest = {
  readonly verb: Verb;
  readonly kind: Kind;
  /** The one asked for, `v1beta1`. */
  readonly version: string;
  /** undefined: all namespaces, or a kind without namespaces. */
  readonly namespace: string | undefined;
  /** Empty: the collection. */
  readonly name: string;
  readonly subresource: '' | 'status' | 'scale';
  readonly query: URLSearchParams;
};

/** null: not a resource that this server knows. */
export function parseRequest(served: Served, method: string, url: URL): ApiRequest | null {
  const parts = url.pathname.split('/').filter((part) => part !== '');
  const [group = '', version = ''] = parts[0] === 'api' ? ['', parts[1]] : parts.slice(1);
  const rest = parts.slice(parts[0] === 'api' ? 2 : 3).map(decodeURIComponent);
  const scoped = rest[0] === 'namespaces' && rest.length > 2;
  const [plural, name = '', subresource = '', ...more] = scoped ? rest.slice(2) : rest;
  const kind = served.kindsIn(group, version).find((known) => known.plural === plural);
  if (!kind || more.length > 0 || (scoped && !kind.namespaced)) return null;
  if (subresource !== '' && !isSubresource(kind, subresource)) return null;
  if (!scoped && kind.namespaced && name !== '') return null;
  const namespace = kind.namespaced && scoped ? rest[1] : undefined;
  const request = {
    kind,
    version,
    namespace,
    name,
    subresource: subresource as ApiRequest['subresource'],
    query: url.searchParams,
  };
  return { ...request, verb: verbOf(method, request) };
}

function isSubresource(kind: Kind, name: string): boolean {
  return kind.subresources.some((known) => known === name);
}

function verbOf(method: string, { kind, namespace, name, query }: Omit<ApiRequest, 'verb'>): Verb {
  const inCollection = name === '';
  switch (method) {
    case 'GET':
      if (!inCollection) return 'get';
      return ['true', '1'].includes(query.get('watch') ?? '') ? 'watch' : 'list';
    case 'POST':
      if (!inCollection || (kind.namespaced && namespace === undefined)) throw methodNotAllowed(kind);
      return 'create';
    case 'PUT':
    case 'PATCH':
      if (inCollection) throw badRequest('name must be provided');
      return method === 'PUT' ? 'update' : 'patch';
    case 'DELETE':
      if (inCollection && kind === kinds.namespaces) throw methodNotAllowed(kind);
      return inCollection ? 'deletecollection' : 'delete';
    default:
      throw methodNotAllowed(kind);
  }
}

/** `deployments/scale` */
export function resourceOf({ kind, subresource }: Pick<ApiRequest, 'kind' | 'subresource'>): string {
  return subresource ? `${kind.plural}/${subresource}` : kind.plural;
}

export function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badRequest(`couldn't get version/kind; json parse error: ${text.slice(0, 40)}`);
  }
}

export function notServed(): ApiError {
  return new ApiError(404, 'NotFound', 'the server could not find the requested resource', {});
}
