/**
 * The objects of the simulated cluster, with the rules of a Kubernetes store: one growing resourceVersion, uid, generation,
 * optimistic concurrency, deletion with preconditions, and a history for watches. In-process controllers use it directly;
 * clients come through the HTTP server, which uses it too.
 */
import { randomUUID } from 'node:crypto';
import { admit, cleanLabels } from './admission.ts';
import { alreadyExists, conflict, expired, invalid, notFound, preconditionFailed } from './errors.ts';
import { isEqual, type JsonObject, without } from './json.ts';
import { apiVersionOf, type Kind, kinds } from './kinds.ts';
import type { KubeObject, Meta, NewMeta, NewObject } from './objects.ts';

export type StoreEvent = {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly kind: Kind;
  readonly object: KubeObject;
  readonly previous: KubeObject | undefined;
  readonly version: number;
};

/** What an update writes: everything but the status, or the status alone. */
export type Part = 'main' | 'status';

export type DeleteOptions = {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  /** 0 removes a pod at once; otherwise it is marked, and its kubelet removes it. */
  readonly gracePeriodSeconds?: number | undefined;
};

export type Store = ReturnType<typeof createStore>;

/** Looks at an object after the server's own checks and throws to refuse it, as an admission webhook does. */
export type Guard = (store: Store, kind: Kind, object: NewObject) => void;

/** Changes an object before the server's own checks, as a mutating admission webhook does; idempotent, as these have to be. */
export type Mutator = (kind: Kind, object: NewObject) => NewObject;

const FIRST_VERSION = 1000;
const HISTORY = 5000;

export function createStore() {
  let version = FIRST_VERSION;
  let history: StoreEvent[] = [];
  let oldest = version;
  const objects = new Map<string, KubeObject>();
  const listeners = new Set<(event: StoreEvent) => void>();
  const guards = new Set<Guard>();
  const mutators = new Set<Mutator>();

  const keyOf = (kind: Kind, namespace: string | undefined, name: string) =>
    [kind.group, kind.plural, kind.namespaced ? namespace : '', name].join('/');

  function commit(type: StoreEvent['type'], kind: Kind, object: KubeObject, previous?: KubeObject) {
    const { namespace, name } = object.metadata;
    version += 1;
    const stamped = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    const key = keyOf(kind, namespace, name);
    if (type === 'DELETED') objects.delete(key);
    else objects.set(key, stamped);
    const event: StoreEvent = { type, kind, object: stamped, previous, version };
    history.push(event);
    if (history.length > HISTORY) oldest = history.shift()?.version ?? oldest;
    for (const listener of listeners) listener(event);
    return stamped;
  }

  function get<T extends KubeObject>(kind: Kind<T>, namespace: string | undefined, name: string): T | undefined {
    // What is stored under a kind was admitted as that kind.
    return objects.get(keyOf(kind, namespace, name)) as T | undefined;
  }

  function demand<T extends KubeObject>(kind: Kind<T>, namespace: string | undefined, name: string): T {
    const found = get(kind, namespace, name);
    if (!found) throw notFound(kind, name);
    return found;
  }

  /** By namespace and name, as the real server lists. */
  function list<T extends KubeObject>(kind: Kind<T>, namespace?: string): readonly T[] {
    const prefix = `${kind.group}/${kind.plural}/${namespace === undefined ? '' : `${namespace}/`}`;
    const keys = [...objects.keys()].filter((key) => key.startsWith(prefix)).sort();
    return keys.map((key) => objects.get(key) as T);
  }

  function create<T extends KubeObject>(kind: Kind<T>, object: NewObject): T {
    const { name, namespace } = object.metadata;
    if (kind.namespaced && !get(kinds.namespaces, undefined, namespace ?? '')) {
      throw notFound(kinds.namespaces, namespace ?? '');
    }
    const admitted = admitGuarded(kind, object);
    if (get(kind, namespace, name)) throw alreadyExists(kind, name);
    const born = new Date().toISOString().replace(/\.\d+/, '');
    const metadata: Meta = {
      ...ownedMeta(object.metadata),
      name,
      ...(kind.namespaced && namespace !== undefined && { namespace }),
      uid: randomUUID(),
      resourceVersion: '',
      creationTimestamp: born,
      ...(kind.generation && { generation: 1 }),
    };
    const body = kind.subresources.includes('status') ? without(admitted as JsonObject, ['status']) : admitted;
    return commit('ADDED', kind, { ...body, apiVersion: apiVersionOf(kind), kind: kind.kind, metadata }) as T;
  }

  /** `metadata.resourceVersion`, when given, must be the stored one (409). A change of nothing keeps the version. */
  function update<T extends KubeObject>(kind: Kind<T>, object: NewObject, part: Part, dryRun = false): T {
    const { name, namespace, uid, resourceVersion } = object.metadata;
    const old = demand(kind, namespace, name);
    if (resourceVersion && resourceVersion !== old.metadata.resourceVersion) throw conflict(kind, name);
    if (uid && uid !== old.metadata.uid) {
      const cause = {
        field: 'metadata.uid',
        reason: 'FieldValueInvalid',
        message: `Invalid value: "${uid}": field is immutable`,
      };
      throw invalid(kind, name, [cause]);
    }
    const next =
      part === 'status' ? { ...old, ...statusOf(object) } : mainOf(kind, old, admitGuarded(kind, object, old));
    if (isEqual(next, old)) return old;
    return (dryRun ? next : commit('MODIFIED', kind, next, old)) as T;
  }

  function admitGuarded<T extends NewObject>(kind: Kind, object: T, old?: KubeObject): T {
    const mutated = [...mutators].reduce((before, mutate) => mutate(kind, before) as T, object);
    const admitted = admit(kind, mutated, old);
    for (const guard of guards) guard(store, kind, admitted);
    return admitted;
  }

  function remove<T extends KubeObject>(
    kind: Kind<T>,
    namespace: string | undefined,
    name: string,
    options: DeleteOptions = {},
  ): T {
    const old = demand(kind, namespace, name);
    checkPreconditions(kind, old, options);
    const grace = options.gracePeriodSeconds ?? graceOf(old);
    if (kind.plural !== kinds.pods.plural || grace === 0) return commit('DELETED', kind, old, old) as T;
    if (old.metadata.deletionTimestamp) return old;
    const deletionTimestamp = new Date(Date.now() + grace * 1000).toISOString().replace(/\.\d+/, '');
    const metadata = { ...old.metadata, deletionTimestamp, deletionGracePeriodSeconds: grace };
    return commit('MODIFIED', kind, { ...old, metadata }, old) as T;
  }

  const store = {
    version: () => version,
    get,
    demand,
    list,
    create,
    update,
    remove,

    /** Calls back after each change, in order; returns how to stop. */
    subscribe(listener: (event: StoreEvent) => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    /** Changes after a version; 410 when they are no longer remembered. */
    since(from: number): readonly StoreEvent[] {
      if (from < oldest) throw expired(from, oldest);
      return history.filter((event) => event.version > from);
    },

    /** Forgets the past, as compaction does: a watch that starts from an older version gets a 410. */
    compact(): void {
      history = [];
      oldest = version;
    },

    /** Asks the guard about each object that is created or changed; returns how to stop. */
    guard(guard: Guard): () => void {
      guards.add(guard);
      return () => guards.delete(guard);
    },

    /** Lets it change each object that is created or changed; returns how to stop. */
    mutate(mutator: Mutator): () => void {
      mutators.add(mutator);
      return () => mutators.delete(mutator);
    },
  };
  return store;
}

/** Metadata that a writer owns; the rest is the server's. */
function ownedMeta(given: NewMeta): Pick<NewMeta, 'labels' | 'annotations' | 'ownerReferences' | 'generateName'> {
  const labels = cleanLabels(given.labels);
  const annotations = cleanLabels(given.annotations);
  return {
    ...(given.generateName !== undefined && { generateName: given.generateName }),
    ...(labels && { labels }),
    ...(annotations && { annotations }),
    ...(given.ownerReferences && { ownerReferences: given.ownerReferences }),
  };
}

function mainOf(kind: Kind, old: KubeObject, given: NewObject): KubeObject {
  const body = kind.subresources.includes('status') ? ['metadata', 'status'] : ['metadata'];
  const wish = without(given as JsonObject, body);
  const changed = !isEqual(wish, without(old as JsonObject, body));
  const { labels: _l, annotations: _a, ownerReferences: _o, ...kept } = old.metadata;
  const generation = kind.generation && { generation: (old.metadata.generation ?? 1) + (changed ? 1 : 0) };
  return {
    ...wish,
    apiVersion: old.apiVersion,
    kind: old.kind,
    metadata: { ...kept, ...generation, ...ownedMeta(given.metadata) },
    ...(kind.subresources.includes('status') && old.status !== undefined && { status: old.status }),
  };
}

function statusOf({ status }: NewObject): Pick<KubeObject, 'status'> {
  return status === undefined ? {} : { status };
}

function graceOf({ spec }: KubeObject): number {
  const seconds = spec?.terminationGracePeriodSeconds;
  return typeof seconds === 'number' ? seconds : 30;
}

function checkPreconditions(kind: Kind, { metadata }: KubeObject, { uid, resourceVersion }: DeleteOptions): void {
  if (uid && uid !== metadata.uid) {
    const why = `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`;
    throw preconditionFailed(kind, metadata.name, why);
  }
  if (resourceVersion && resourceVersion !== metadata.resourceVersion) {
    const why = `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`;
    throw preconditionFailed(kind, metadata.name, why);
  }
}
