/** Linkerd 1 as a traffic system: the independent namerd, whose namer follows the API server as `io.l5d.k8s` does. */
import { dtabMarks } from '../../cluster/namerd-world.ts';
import type { Kube, Meta } from './kube.ts';
import type { startNamerd } from './namerd.ts';
import { type Outside, type Routed, SELECTOR, type System } from './systems.ts';

type Namerd = Awaited<ReturnType<typeof startNamerd>>;
type EndpointSlice = {
  readonly metadata: Meta;
  readonly endpoints:
    | readonly { readonly addresses: readonly string[]; readonly conditions: { readonly ready?: boolean } }[]
    | null;
  readonly ports: readonly { readonly port: number }[] | null;
};

const NAMESPACES = ['internal', 'external'];
/** The port of the world's Kubernetes Service: a part of the names. */
const PORT = 80;

/** The published example: what is asked for inside goes by name, and from outside everything goes to the world. */
const dtabs = (name: string, own: string, namespace: string): Readonly<Record<string, string>> => {
  const srv = `/srv=>/#/io.l5d.k8s/${namespace}/${PORT}`;
  return {
    internal: `${srv};/host=>/srv;/svc=>/host;/host/${name}=>/srv/${own}`,
    external: `${srv};/host/${name}=>/srv/${own};/svc/*=>/host/${name}`,
  };
};

/** `workload`: with `versioned` the world is called after its version, and its dentry says so. */
export function linkerd1(namerd: Namerd, workload: 'twin' | 'versioned'): System {
  const version = workload === 'versioned' ? 'v1' : undefined;
  const canary = version === undefined ? 'world-canary' : 'world-v2';
  return {
    ...SELECTOR,
    traffic: (name) => ({
      router: 'namerd',
      url: namerd.url,
      namespaces: NAMESPACES,
      path: `/host/${name}`,
      names: `/srv/${name}-{version}`,
    }),
    ...(version !== undefined && { version, labels: { version } }),
    entry: new URL(namerd.proxy ?? ''),
    host: (name) => name,
    shares: ({ spec }) => sharesOf(String(spec), canary),
    strategies: ['pipeline', 'gray'],
    service: { workload },
    outside: async ({ kube, name, own, namespace }) => {
      const close = await followEndpoints(namerd, kube, namespace);
      for (const [at, text] of Object.entries(dtabs(name, own, namespace))) await namerd.dtabs.put(at, text);
      return { ...observe(namerd), close };
    },
  };
}

/** Each revision of the dtab that the proxy follows, as namerd streams them. */
function observe(namerd: Namerd): Pick<Outside, 'get' | 'watch'> {
  let revisions = 0;
  let last: Readonly<Record<string, string>> = {};
  const routed = (spec: unknown, text: string): Routed => {
    const found = annotationsOf(text);
    // A dtab keeps no mark of a rollout that ended: the one that was there last is over then.
    const isOver = Object.keys(found).length === 0 && Object.keys(last).length > 0;
    last = isOver ? { ...last, 'sluice.dev/phase': 'done' } : found;
    const metadata = { name: 'internal', namespace: '', resourceVersion: `${++revisions}`, annotations: last };
    return { metadata, spec };
  };
  return {
    async get() {
      const texts = await Promise.all(NAMESPACES.map((at) => namerd.dtabs.get(at)));
      return {
        metadata: { name: 'dtabs', namespace: '', resourceVersion: '', annotations: annotationsOf(texts.join(';')) },
        spec: Object.fromEntries(NAMESPACES.map((at, n) => [at, texts[n]])),
      };
    },
    watch(on) {
      const stop = new AbortController();
      const { promise: started, resolve, reject } = Promise.withResolvers<void>();
      const ended = namerd
        .follow('internal', stop.signal, (text) => {
          on(routed(text, text));
          resolve();
        })
        .catch((error: unknown) => {
          if (!stop.signal.aborted) reject(error);
        });
      return {
        started,
        stop: async () => {
          stop.abort();
          await ended;
        },
      };
    },
  };
}

const annotationsOf = (dtab: string) =>
  Object.fromEntries(Object.entries(dtabMarks(dtab.split(';'))).map(([mark, value]) => [`sluice.dev/${mark}`, value]));

/** One name alone gets everything: the canary at 100%, or what serves when no rollout holds the dtab. */
function sharesOf(dtab: string, canary: string) {
  const dst = /\/host\/world=>([^;]+)/.exec(dtab)?.[1] ?? '';
  const isHeld = dtab.includes('/sluice/world=>') && !dtab.includes('/sluice/world/settled=>');
  const [, parts] = new RegExp(`([\\d.]+)\\*/srv/${canary} &`).exec(dst) ?? [];
  const all = isHeld && dst === `/srv/${canary}` ? 100 : 0;
  const share = parts === undefined ? all : Number(parts);
  // A request asks for a preview by itself: no dentry says so.
  return { canary: share, stable: 100 - share, preview: false };
}

/** What the Kubernetes Services of the namespace stand before: as namerd's own namer learns it. */
async function followEndpoints(namerd: Namerd, kube: Kube, namespace: string) {
  const slices = new Map<string, EndpointSlice>();
  let written = Promise.resolve();
  const write = async () => {
    const found = [...slices.values()].map(({ metadata, endpoints, ports }) => {
      const service = metadata.labels?.['kubernetes.io/service-name'];
      const ready = (endpoints ?? [])
        .filter(({ conditions }) => conditions.ready)
        .flatMap(({ addresses }) => addresses);
      const at = ready.flatMap((address) => (ports ?? []).map(({ port }) => `${address}:${port}`));
      return [`/#/io.l5d.k8s/${namespace}/${PORT}/${service}`, at] as const;
    });
    const served = found.filter(([, at]) => at.length > 0);
    await namerd.setBackends(Object.fromEntries(served.map(([id, at]) => [id, at.map((one) => `http://${one}`)])));
    await namerd.setServices(Object.fromEntries(found));
  };
  const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
  const watching = kube.watch<EndpointSlice>(path, ({ type, object }) => {
    if (type === 'DELETED') slices.delete(object.metadata.name);
    else slices.set(object.metadata.name, object);
    // The next change writes all of them again.
    written = written.then(write).catch((error: unknown) => console.error('endpoints for namerd not written', error));
  });
  await watching.started;
  return async () => {
    await watching.stop();
    await written;
  };
}
