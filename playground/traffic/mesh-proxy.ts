/**
 * Sends each request where the sidecar of a meshed client would: the Host names a Kubernetes Service, `world.hello`.
 * `GET /_picks` counts requests and copies by Host and destination (`world`, `world/canary`, `mirror world-canary`), and
 * DELETE counts from zero again. Nothing that a mirror does changes an answer.
 */
import type { Answer } from './behaviour.ts';
import type { Containers } from './containers.ts';
import { type Listening, listen } from './http.ts';
import { followMesh } from './mesh.ts';
import { createSender } from './sender.ts';
import type { TableSource } from './table.ts';

/** Requests by Host, then by destination. */
type Picks = Readonly<Record<string, Readonly<Record<string, number>>>>;

export type MeshProxy = Listening & { picks(): Picks; forgetPicks(): void };

const PICKS = '/_picks';

export async function startMeshProxy(source: TableSource, containers: Containers): Promise<MeshProxy> {
  const send = createSender(containers, { missing: 503, attempts: 3, mirrorsMatter: false });
  let counts: Record<string, Record<string, number>> = {};

  const listening = await listen(async (request) => {
    if (request.path === PICKS) return showPicks(request.method);
    const table = source.current();
    const host = request.host.replace(/:\d+$/, '');
    const { answer } = await send(table, followMesh(table, request), request.path, ({ label }, as) => {
      const destination = as === 'mirror' ? `mirror ${label}` : label;
      counts[host] ??= {};
      counts[host][destination] = (counts[host][destination] ?? 0) + 1;
    });
    return answer;
  });

  function showPicks(method: string): Answer {
    if (method === 'DELETE') counts = {};
    return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(counts) };
  }

  return {
    ...listening,
    picks: () => structuredClone(counts),
    forgetPicks() {
      counts = {};
    },
  };
}
