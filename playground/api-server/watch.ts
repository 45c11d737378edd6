/** Watches: what a client is told of the store's changes, as lines of JSON. */
import type { ServerResponse } from 'node:http';
import { ApiError } from './errors.ts';
import type { JsonObject } from './json.ts';
import { apiVersionOf } from './kinds.ts';
import type { KubeObject } from './objects.ts';
import type { ApiRequest } from './request.ts';
import type { Filter } from './selectors.ts';
import type { Store, StoreEvent } from './store.ts';
import { filterOf, inVersion } from './verbs.ts';

const BOOKMARK_MS = 60_000;
const LONGEST_S = 1_800;

/** Without a resourceVersion, or with 0, it starts with an ADDED for all that exists; with one, only later changes follow. */
export function streamWatch(store: Store, request: ApiRequest, response: ServerResponse): void {
  const filter = filterOf(request);
  const { query } = request;
  const write = (type: string, object: JsonObject) => response.write(`${JSON.stringify({ type, object })}\n`);
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
  response.flushHeaders();

  const tell = (event: StoreEvent) => {
    const told = translate(request, filter, event);
    if (told) write(told, inVersion(request, event.object));
  };
  const from = Number(query.get('resourceVersion') ?? 0);
  const initial = query.get('sendInitialEvents');
  try {
    const past = from === 0 || initial === 'true' ? [] : store.since(from);
    if (from === 0 || initial === 'true') {
      for (const object of store.list(request.kind, request.namespace).filter(filter)) {
        write('ADDED', inVersion(request, object));
      }
    }
    past.forEach(tell);
  } catch (cause) {
    if (!(cause instanceof ApiError)) throw cause;
    write('ERROR', cause.body);
    response.end();
    return;
  }
  const bookmark = (annotations?: JsonObject) => write('BOOKMARK', bookmarkOf(request, store.version(), annotations));
  if (initial === 'true') bookmark({ 'k8s.io/initial-events-end': 'true' });

  const unsubscribe = store.subscribe(tell);
  const wantsBookmarks = query.get('allowWatchBookmarks') === 'true';
  const bookmarks = wantsBookmarks ? setInterval(bookmark, BOOKMARK_MS) : undefined;
  const end = setTimeout(() => response.end(), Number(query.get('timeoutSeconds') ?? LONGEST_S) * 1000);
  response.on('close', () => {
    unsubscribe();
    clearInterval(bookmarks);
    clearTimeout(end);
  });
}

/** An object that starts to fit the selector is ADDED, one that ceases to fit is DELETED. */
function translate(request: ApiRequest, filter: Filter, event: StoreEvent): StoreEvent['type'] | null {
  const { kind, object, previous, type } = event;
  if (kind.plural !== request.kind.plural || kind.group !== request.kind.group) return null;
  if (request.namespace !== undefined && object.metadata.namespace !== request.namespace) return null;
  const fitted = previous !== undefined && filter(previous);
  if (type === 'DELETED') return fitted ? 'DELETED' : null;
  if (filter(object)) return fitted ? 'MODIFIED' : 'ADDED';
  return fitted ? 'DELETED' : null;
}

function bookmarkOf({ kind, version: asked }: ApiRequest, version: number, annotations?: JsonObject): JsonObject {
  const metadata = { resourceVersion: String(version), creationTimestamp: null, ...(annotations && { annotations }) };
  return {
    kind: kind.kind,
    apiVersion: apiVersionOf({ group: kind.group, version: asked }),
    metadata,
  } satisfies Partial<Record<keyof KubeObject, unknown>>;
}
