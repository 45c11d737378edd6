/** What the route says, in a line whenever it changes: the cluster's word beside Slack's. */
import { kinds } from '../api-server/kinds.ts';
import type { HttpRoute, RouteRule } from '../api-server/objects.ts';
import type { Store } from '../api-server/store.ts';

export function watchRoute(store: Store, tell: (line: string) => void): () => void {
  let last = '';
  return store.subscribe(({ kind, object }) => {
    if (kind !== kinds.httpRoutes) return;
    const line = shares(object as HttpRoute);
    if (line !== last && last !== '') tell(`the route sends ${line}`);
    last = line;
  });
}

function shares({ spec }: HttpRoute): string {
  return spec.rules.map((rule) => [backends(rule), ...conditions(rule)].join(' ')).join('; ');
}

function backends({ backendRefs = [] }: RouteRule): string {
  const total = backendRefs.reduce((sum, { weight = 1 }) => sum + weight, 0);
  return backendRefs
    .filter(({ weight = 1 }) => weight > 0)
    .map(({ name, weight = 1 }) => `${Math.round((weight / total) * 100)}% to ${name}`)
    .join(', ');
}

function conditions({ matches = [] }: RouteRule): string[] {
  const headers = matches.flatMap(({ headers: wanted = [] }) => wanted.map(({ name, value }) => `${name}: ${value}`));
  return headers.length > 0 ? [`for ${headers.join(', ')}`] : [];
}
