/** Each verb except watch: what it reads or writes in the store, and its answer. */
import { ApiError, badRequest, conflict, invalid, patchRefused, resourceName, unsupportedMediaType } from './errors.ts';
import { isArray, isObject, type Json, type JsonObject } from './json.ts';
import { applyJsonPatch, PatchFailed } from './json-patch.ts';
import { apiVersionOf, type Kind, kinds } from './kinds.ts';
import { applyMergePatch, applyStrategicPatch } from './merge-patch.ts';
import type { KubeObject, NewMeta, NewObject } from './objects.ts';
import { type ApiRequest, parseBody } from './request.ts';
import { scaleOf, withScale } from './scale.ts';
import { type Filter, parseFieldSelector, parseLabelSelector } from './selectors.ts';
import { unknownFields } from './shape.ts';
import { shapeOf } from './shapes/index.ts';
import type { DeleteOptions, Store } from './store.ts';

export type Reply = { readonly code: number; readonly body: JsonObject };
export type Body = { readonly text: string; readonly type: string };

const isDryRun = ({ query }: ApiRequest) => query.get('dryRun') === 'All';

export function perform(store: Store, request: ApiRequest, body: Body): Reply {
  if (isDryRun(request) && !['update', 'patch'].includes(request.verb))
    throw badRequest(`the playground knows no dry run of ${request.verb}`);
  switch (request.verb) {
    case 'get':
      return ok(view(request, store.demand(request.kind, request.namespace, request.name)));
    case 'list':
      return ok(listOf(store, request));
    case 'create':
      return { code: 201, body: view(request, store.create(request.kind, checkedBody(request, parseBody(body.text)))) };
    case 'update':
      return ok(put(store, request, body));
    case 'patch':
      return ok(patch(store, request, body));
    case 'delete':
      return ok(remove(store, request, body));
    case 'deletecollection': {
      const items = select(store, request);
      for (const { metadata } of items) store.remove(request.kind, metadata.namespace, metadata.name);
      return ok({ ...listHead(store, request), items });
    }
    case 'watch':
      throw badRequest('a watch is a stream');
    default:
      return request.verb satisfies never;
  }
}

export function filterOf({ query }: ApiRequest): Filter {
  const labels = parseLabelSelector(query.get('labelSelector') ?? '');
  const fields = query.get('fieldSelector');
  const fieldsFit = fields ? parseFieldSelector(fields) : () => true;
  return (object) => labels(object) && fieldsFit(object);
}

function ok(body: JsonObject): Reply {
  return { code: 200, body };
}

function view(request: ApiRequest, object: KubeObject): JsonObject {
  return request.subresource === 'scale' ? scaleOf(object) : inVersion(request, object);
}

/** The object as clients of that version see it: between versions nothing is converted. */
export function inVersion({ kind, version }: ApiRequest, object: KubeObject): KubeObject {
  return version === kind.version ? object : { ...object, apiVersion: apiVersionOf({ group: kind.group, version }) };
}

function select(store: Store, request: ApiRequest): readonly KubeObject[] {
  const found = store.list(request.kind, request.namespace).filter(filterOf(request));
  return found.map((object) => inVersion(request, object));
}

function listOf(store: Store, request: ApiRequest): JsonObject {
  return { ...listHead(store, request), items: select(store, request) };
}

function listHead(store: Store, { kind, version }: ApiRequest): JsonObject {
  return {
    kind: `${kind.kind}List`,
    apiVersion: apiVersionOf({ group: kind.group, version }),
    metadata: { resourceVersion: String(store.version()) },
  };
}

function put(store: Store, request: ApiRequest, body: Body): JsonObject {
  const { kind, namespace, name } = request;
  const given = checkedBody(request, parseBody(body.text));
  const old = store.demand(kind, namespace, name);
  if (kind.custom && !given.metadata.resourceVersion) {
    const message = 'Invalid value: 0: must be specified for an update';
    throw invalid(kind, name, [{ field: 'metadata.resourceVersion', reason: 'FieldValueInvalid', message }]);
  }
  if (given.metadata.uid && given.metadata.uid !== old.metadata.uid) throw conflict(kind, name);
  return write(store, request, old, given);
}

function patch(store: Store, request: ApiRequest, body: Body): JsonObject {
  const old = store.demand(request.kind, request.namespace, request.name);
  const patched = applyPatch(request, view(request, old), body);
  return write(store, request, old, checkedBody(request, patched));
}

function write(store: Store, request: ApiRequest, old: KubeObject, given: NewObject): JsonObject {
  const part = request.subresource === 'status' ? 'status' : 'main';
  const next = request.subresource === 'scale' ? withScale(old, given) : given;
  return view(request, store.update(request.kind, next, part, isDryRun(request)));
}

function applyPatch({ kind, subresource }: ApiRequest, document: JsonObject, body: Body): Json {
  const accepted = ['application/json-patch+json', 'application/merge-patch+json'];
  if (!kind.custom) accepted.push('application/strategic-merge-patch+json');
  const type = body.type.split(';')[0]?.trim() ?? '';
  if (!accepted.includes(type)) throw unsupportedMediaType(accepted);
  const given = parsePatch(body.text);
  if (type === 'application/json-patch+json') {
    if (!isArray(given))
      throw badRequest('error decoding patch: json: cannot unmarshal object into a list of operations');
    return refusingFailures(() => applyJsonPatch(document, given));
  }
  const strategic = type.includes('strategic') && subresource !== 'scale';
  return strategic ? applyStrategicPatch(document, given) : applyMergePatch(document, given);
}

function parsePatch(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw badRequest(`error decoding patch: ${cause instanceof Error ? cause.message : cause}`);
  }
}

function refusingFailures(apply: () => Json): Json {
  try {
    return apply();
  } catch (cause) {
    throw cause instanceof PatchFailed ? patchRefused() : cause;
  }
}

function remove(store: Store, { kind, namespace, name }: ApiRequest, body: Body): JsonObject {
  const removed = store.remove(kind, namespace, name, deleteOptions(body.text));
  if (kind === kinds.namespaces) empty(store, name);
  if (removed.metadata.deletionTimestamp) return removed;
  const details = { name, ...(kind.group && { group: kind.group }), kind: kind.plural, uid: removed.metadata.uid };
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details };
}

/** What was in a namespace goes with it, at once. */
function empty(store: Store, namespace: string): void {
  for (const kind of Object.values<Kind>(kinds)) {
    if (!kind.namespaced) continue;
    for (const { metadata } of store.list(kind, namespace)) {
      store.remove(kind, namespace, metadata.name, { gracePeriodSeconds: 0 });
    }
  }
}

function deleteOptions(text: string): DeleteOptions {
  const options = text ? parseBody(text) : {};
  if (!isObject(options)) return {};
  const { uid, resourceVersion } = isObject(options.preconditions) ? options.preconditions : {};
  const grace = options.gracePeriodSeconds;
  return {
    ...(typeof uid === 'string' && { uid }),
    ...(typeof resourceVersion === 'string' && { resourceVersion }),
    ...(typeof grace === 'number' && { gracePeriodSeconds: grace }),
  };
}

/** The object that a client sent, with the namespace of the URL; refused when it is another one than the URL's. */
function checkedBody(
  { verb, kind, version, namespace, name, subresource, query }: ApiRequest,
  value: unknown,
): NewObject {
  const body: JsonObject = isObject(value) ? value : {};
  const expected = subresource === 'scale' ? 'autoscaling/v1' : apiVersionOf({ group: kind.group, version });
  if ((body.apiVersion ?? (kind.custom ? '' : expected)) !== expected) {
    const found = `the API version in the data (${String(body.apiVersion)})`;
    throw badRequest(`${found} does not match the expected API version (${expected})`);
  }
  const given = isObject(body.metadata) ? body.metadata : {};
  if (name !== '' && given.name !== name) {
    if (!given.name)
      throw badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);
    throw badRequest(`the name of the object (${given.name}) does not match the name on the URL (${name})`);
  }
  if (given.namespace !== undefined && kind.namespaced && given.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  // Labels, annotations and spec are checked on admission; the rest of the metadata is the server's.
  const metadata = { ...given, name: String(given.name ?? ''), ...(namespace && { namespace }) } as NewMeta;
  if (body.spec !== undefined && !isObject(body.spec))
    throw badRequest(`${resourceName(kind)}: spec must be an object`);
  if (query.get('fieldValidation') === 'Strict' && subresource === '') refuseUnknownFields(kind, version, verb, body);
  return { ...body, apiVersion: expected, kind: kind.kind, metadata } as NewObject;
}

function refuseUnknownFields(kind: Kind, version: string, verb: ApiRequest['verb'], { spec }: JsonObject): void {
  const unknown = unknownFields(shapeOf(kind, version), spec, 'spec').map((field) => `unknown field "${field}"`);
  if (unknown.length === 0) return;
  const why = `strict decoding error: ${unknown.join(', ')}`;
  if (verb !== 'patch') {
    throw badRequest(`${kind.kind} in version "${version}" cannot be handled as a ${kind.kind}: ${why}`);
  }
  // The real server names neither kind nor object here.
  const message = ` "" is invalid: patch: Invalid value: ${JSON.stringify(JSON.stringify({ spec }))}: ${why}`;
  throw new ApiError(422, 'Invalid', message, {
    causes: [{ reason: 'FieldValueInvalid', message: why, field: 'patch' }],
  });
}
