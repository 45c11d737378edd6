/** Where a service of the playground is routed, and how an observer that shares no code with Sluice reads it. */
import type { Kind } from '../../../playground/api-server/kinds.ts';
import type { KubeObject } from '../../../playground/api-server/objects.ts';
import { NAMESPACE, type WorldOptions } from '../../../playground/world.ts';
import type { Traffic } from '../../../src/core/plan.ts';
import { dtabMarks, namerdTarget } from '../../cluster/namerd-world.ts';
import type { Revision } from '../../e2e/support/history.ts';
import type { System as Cluster, Shares } from '../../e2e/support/systems.ts';
import { startFakeNamerd } from '../../support/fake-namerd.ts';
import type { Options, Stage } from './stage.ts';

export type Router = Traffic['router'];
type Tell = (object: string, revision: Revision) => void;

/** Objects by kind and name, without Sluice's marks; dtabs as text. */
export type Owned = Readonly<Record<string, unknown>>;

/** A service on one stage. */
export type Ground = {
  readonly options: Required<Pick<Options, 'world' | 'service'>>;
  /** Tells each revision of the objects that route; returns how to stop. */
  follow(stage: Stage, tell: Tell): () => void;
  /** What routes besides the objects of the cluster. */
  readonly more: () => Readonly<Record<string, string>>;
  /** Sluice leaves it behind on purpose, at rest. */
  readonly isAtRest: (object: KubeObject) => boolean;
  stop(): Promise<void>;
};

/** A way to be routed. */
export type Placed = {
  readonly router: Router;
  /** Of the service in `sluice.yaml`. */
  readonly service: object;
  readonly open: () => Promise<Ground>;
};

export const REPLICAS = 2;
const MARK = 'sluice.dev/';

/** The types of the playground's kinds say more than those of an observer. */
export type Readable = Parameters<Cluster['shares']>[0];

type OnObject = {
  readonly router: Exclude<Router, 'namerd'>;
  /** Of the service in `sluice.yaml`. */
  readonly service: object;
  readonly kind: Kind;
  readonly name: string;
  readonly shares: (object: Readable) => Shares;
  /** Sluice makes it, and leaves it at rest. */
  readonly isMade?: boolean;
  readonly world?: WorldOptions;
};

/** What routes is an object of the cluster. */
export function onObject({ router, service, kind, name, shares, isMade = false, world = {} }: OnObject): Placed {
  const isIt = (object: KubeObject) => object.kind === kind.kind && object.metadata.name === name;
  return {
    router,
    service,
    open: async () => ({
      options: { world: { replicas: REPLICAS, traffic: router, ...world }, service },
      follow: ({ playground }, tell) =>
        playground.store.subscribe(({ type, object }) => {
          if (type !== 'DELETED' && isIt(object)) tell(`${kind.kind} ${name}`, revisionOf(object, shares));
        }),
      more: () => ({}),
      isAtRest(object) {
        if (!isMade || !isIt(object)) return false;
        const { canary, stable, preview } = shares(readable(object));
        return canary === 0 && stable === 100 && !preview;
      },
      stop: async () => undefined,
    }),
  };
}

const readable = ({ metadata, spec }: KubeObject): Readable => ({
  metadata: { ...metadata, namespace: NAMESPACE },
  spec,
});

function revisionOf(object: KubeObject, shares: OnObject['shares']): Revision {
  const { resourceVersion: version, annotations = {} } = object.metadata;
  return {
    at: Date.now(),
    version,
    ...shares(readable(object)),
    marks: Object.fromEntries(
      Object.entries(annotations)
        .filter(([key]) => key.startsWith(MARK) && !key.endsWith('restore'))
        .map(([key, value]) => [key.slice(MARK.length), value]),
    ),
  };
}

const NAMESPACES = ['internal', 'external'];

const throughNamerd = (url: string) => ({ traffic: namerdTarget(url, NAMESPACES).traffic });

type OnNamerd = {
  /** Names of the two sides: in the dtab behind `/srv/`, and of their Kubernetes Services. */
  readonly stable: string;
  readonly canary: string;
  /** More of the service in `sluice.yaml`, and of the world. */
  readonly service?: object;
  readonly world?: WorldOptions;
};

/** What routes are two dtabs. */
export function onNamerd({ stable, canary, service = {}, world = {} }: OnNamerd): Placed {
  const dtab = `/srv=>/#/io.l5d.k8s/hello/http;/host=>/srv;/svc=>/host;/host/world=>/srv/${stable}`;
  const id = (name: string) => `/#/io.l5d.k8s/hello/http/${name}`;
  return {
    router: 'namerd',
    service: { ...throughNamerd('http://namerd'), ...service },
    async open() {
      const namerd = await startFakeNamerd();
      for (const name of [stable, canary]) namerd.services.set(id(name), REPLICAS);
      for (const namespace of NAMESPACES) namerd.put(namespace, dtab);
      return {
        // As with `smi`, nothing is there that routes.
        options: {
          world: { replicas: REPLICAS, traffic: 'smi', ...world },
          service: { ...throughNamerd(namerd.url), ...service },
        },
        follow: (_, tell) =>
          namerd.onWrite((namespace) => {
            const text = namerd.get(namespace);
            const version = `${namerd.version(namespace)}`;
            const marks = dtabMarks(text.split(';'));
            tell(`dtab ${namespace}`, { at: Date.now(), version, ...dtabShares(text, canary), marks });
          }),
        more: () => Object.fromEntries(NAMESPACES.map((namespace) => [`dtab ${namespace}`, namerd.get(namespace)])),
        isAtRest: () => false,
        stop: () => namerd.stop(),
      };
    },
  };
}

/** Weighted branches, joined by `&`; one branch alone gets everything. */
function dtabShares(text: string, canaryName: string): Shares {
  const dst = /(?:^|;)\/host\/world=>([^;]*)/.exec(text)?.[1] ?? '';
  const branches = dst.split(' & ').map((branch) => {
    const [, weight = '100', name] = /^(?:([\d.]+)\*)?(.*)$/.exec(branch) ?? [];
    return { weight: Number(weight), isCanary: name === `/srv/${canaryName}` };
  });
  const sum = (some: typeof branches) => some.reduce((total, { weight }) => total + weight, 0);
  const canary = sum(branches.filter(({ isCanary }) => isCanary));
  return { canary, stable: sum(branches) - canary, preview: false };
}
