import type { Cluster } from '../../src/adapters/kubernetes/cluster.ts';
import { type Held, type Kind, nameOf, type Ref } from '../../src/adapters/kubernetes/kinds.ts';
import { Deployments, EndpointSlices, Services } from '../../src/adapters/kubernetes/objects.ts';

/**
 * A replica whose watches say nothing more from now on: it knows what is there now, and what it reads or writes itself.
 * `deaf`: it hears of no creation that it has come about, as one that was frozen for longer than it waits, nor of its next looks.
 */
export async function lagging(cluster: Cluster, namespace: string, deaf = false): Promise<Cluster> {
  const copies = new Map<string, Held>();
  const keep = <T extends Held>(kind: Kind<T>, object: T): T => {
    copies.set(nameOf(kind, object.metadata), object);
    return object;
  };
  // Each name says its kind, so what is found under it is of that kind.
  const copy = <T extends Held>(kind: Kind<T>, ref: Ref) => (copies.get(nameOf(kind, ref)) as T | undefined) ?? null;
  const known = async <T extends Held>(kind: Kind<T>) =>
    (await cluster.view(kind, namespace).all()).map((object) => keep(kind, object).metadata.name);
  const names = new Map<string, readonly string[]>();
  for (const kind of [Deployments, Services, EndpointSlices] as readonly Kind[])
    names.set(kind.kind, await known(kind));

  let unanswered = 0;
  return {
    ...cluster,
    peek: copy,
    async get(kind, ref) {
      if (unanswered-- > 0) throw new Error(`GET ${nameOf(kind, ref)}: no answer`);
      const object = await cluster.get(kind, ref);
      return object && keep(kind, object);
    },
    async create(...args) {
      const outcome = await cluster.create(...args);
      if (deaf) {
        unanswered = 2;
        throw new Error(`POST ${nameOf(args[0], args[1])}: no answer`);
      }
      if (outcome.ok) keep(args[0], outcome.object);
      return outcome;
    },
    async patch(...args) {
      const outcome = await cluster.patch(...args);
      if (outcome.ok) keep(args[0], outcome.object);
      return outcome;
    },
    view: (kind, at, labels) => ({
      ...cluster.view(kind, at, labels),
      get: async (name) => copy(kind, { namespace: at, name }),
      all: async () => (names.get(kind.kind) ?? []).flatMap((name) => copy(kind, { namespace: at, name }) ?? []),
      peek: (name) => copy(kind, { namespace: at, name }),
    }),
  };
}
