/**
 * The containers of pods, listening for real: each pod on its own loopback address (127.x.y.z) and its container ports.
 * Where a machine has only 127.0.0.1 (macOS), they listen there on free ports, and `reach` says which.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { Pod } from '../api-server/objects.ts';
import type { Running } from '../controllers/pods.ts';
import type { Registry } from '../prometheus/registry.ts';
import { type Answer, behave, behaviourOf } from './behaviour.ts';
import { attachSidecar } from './sidecar.ts';

export type Containers = ReturnType<typeof createContainers>;

const DEFAULT_PORT = 8080;
const ATTEMPTS = 50;

export function createContainers(registry: Registry) {
  /** By `address:port` as the cluster knows it. */
  const serving = new Map<string, { readonly serve: (path: string) => Promise<Answer>; readonly origin: string }>();

  async function run(pod: Pod): Promise<Running> {
    const sidecar = attachSidecar(registry, pod);
    const behaviour = behaviourOf(pod.spec.containers[0]?.image ?? '');
    const serve = async (path: string) => {
      const began = performance.now();
      const answer = await behave(behaviour, pod.metadata.name, path);
      sidecar.record(answer.status, performance.now() - began);
      return answer;
    };
    const ports = pod.spec.containers.flatMap((container) => (container.ports ?? []).map((port) => port.containerPort));
    const { ip, servers } = await listen(ports.length > 0 ? ports : [DEFAULT_PORT], serve);
    for (const { port, origin } of servers) serving.set(`${ip}:${port}`, { serve, origin });
    return {
      ip,
      stop() {
        sidecar.end();
        for (const { server, port } of servers) {
          serving.delete(`${ip}:${port}`);
          server.close();
          server.closeAllConnections();
        }
      },
    };
  }

  return {
    run,

    /** Asks a container without the network between; null: nothing listens there. */
    ask: (address: string, port: number, path: string) => serving.get(`${address}:${port}`)?.serve(path) ?? null,

    /** The URL that this machine reaches for a URL of a pod: the same, except where there is only 127.0.0.1. */
    reach(url: string): string {
      const { hostname, port, pathname, search } = new URL(url);
      const origin = serving.get(`${hostname}:${port || 80}`)?.origin;
      return origin ? `${origin}${pathname}${search}` : url;
    },
  };
}

type Listening = { readonly server: Server; readonly port: number; readonly origin: string };

async function listen(ports: readonly number[], serve: (path: string) => Promise<Answer>) {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const ip = randomLoopback();
    const servers: Listening[] = [];
    try {
      for (const port of ports) servers.push(await open(ip, port, serve));
      return { ip, servers };
    } catch (cause) {
      for (const { server } of servers) server.close();
      if (codeOf(cause) === 'EADDRNOTAVAIL') return { ip, servers: await openElsewhere(ports, serve) };
      if (codeOf(cause) !== 'EADDRINUSE') throw cause;
    }
  }
  throw new Error(`no free loopback address for ports ${ports.join(', ')} after ${ATTEMPTS} attempts`);
}

/** 127.64.0.0/10 is unlikely to be used by anything else. */
function randomLoopback(): string {
  const part = (size: number) => Math.floor(Math.random() * size);
  return `127.${64 + part(64)}.${part(256)}.${1 + part(254)}`;
}

async function open(host: string, port: number, serve: (path: string) => Promise<Answer>): Promise<Listening> {
  const server = createServer((request, response) => {
    serve(request.url ?? '/').then(
      ({ status, headers, body }) => response.writeHead(status, headers).end(body),
      () => response.destroy(),
    );
  });
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  const actual = typeof address === 'object' && address ? address.port : port;
  return { server, port, origin: `http://${host}:${actual}` };
}

/** The pod keeps the address that the cluster knows; it listens on free ports of 127.0.0.1. */
async function openElsewhere(ports: readonly number[], serve: (path: string) => Promise<Answer>): Promise<Listening[]> {
  return Promise.all(ports.map(async (port) => ({ ...(await open('127.0.0.1', 0, serve)), port })));
}

function codeOf(cause: unknown): unknown {
  return cause instanceof Error && 'code' in cause ? cause.code : null;
}
