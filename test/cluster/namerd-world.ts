/** A world for the router contract in a namerd: whoever has one says how somebody else reads and writes its dtabs. */
import { randomBytes } from 'node:crypto';
import { createNamerdClient, type NamerdClient } from '../../src/adapters/traffic/namerd/client.ts';
import { createNamerdRouter } from '../../src/adapters/traffic/namerd/router.ts';
import type { Target } from '../../src/core/plan.ts';
import { routeObjects } from '../../src/core/traffic.ts';
import type { RouterWorld } from '../contracts/router.ts';
import { silent } from './world.ts';

export type Dtabs = {
  readonly url: string;
  /** As namerd prints it: `/a=>/b;/c=>/d`. */
  get(namespace: string): Promise<string>;
  put(namespace: string, text: string): Promise<void>;
  remove(namespace: string): Promise<void>;
};

/** As in the published example, with more that is not Sluice's. */
const DTAB = [
  '/srv=>/#/io.l5d.k8s/hello/http',
  '/host=>/srv',
  '/tmp=>/srv',
  '/svc=>/host',
  '/host/other=>3.00*/srv/other-v2 & 7.00*(/srv/other-v1 | /srv/other)',
  '/host/world=>/srv/world',
  '/http/*/*/*=>/host',
];

export const CANARY_ID = '/#/io.l5d.k8s/hello/http/world-canary';
export const STABLE_ID = '/#/io.l5d.k8s/hello/http/world';

export const namerdTarget = (url: string, namespaces: readonly string[]): Target => ({
  service: 'world',
  namespace: 'hello',
  deployment: 'world',
  container: 'world',
  workload: 'twin',
  traffic: { router: 'namerd', url, namespaces, path: '/host/world', names: '/srv/world-{version}' },
});

/** Two dtab namespaces, moved together. `reads` as in `RouterWorld`. */
export async function namerdWorld(dtabs: Dtabs, reads = 2): Promise<RouterWorld> {
  const id = randomBytes(4).toString('hex');
  const namespaces = [`internal-${id}`, `external-${id}`];
  for (const namespace of namespaces) await dtabs.put(namespace, DTAB.join(';'));
  const isOwn = (dentry: string) => dentry.startsWith('/sluice/');
  const dentriesOf = async (namespace: string) => (await dtabs.get(namespace)).split(';').filter((one) => one !== '');
  const all = () => Promise.all(namespaces.map(dentriesOf));
  const edit = async (change: (dentry: string) => string | null) => {
    for (const namespace of namespaces) {
      const changed = (await dentriesOf(namespace)).map(change).filter((dentry) => dentry !== null);
      await dtabs.put(namespace, changed.join(';'));
    }
  };
  const setOwn = (dst: string) =>
    edit((dentry) => (dentry.startsWith('/host/world=>') ? `/host/world=>${dst}` : dentry));
  const sent: string[] = [];
  const target = namerdTarget(dtabs.url, namespaces);
  return {
    router: createNamerdRouter({ log: silent, client: counted(createNamerdClient(), sent) }),
    other: createNamerdRouter({ log: silent }),
    target,
    subject: id,
    forgets: true,
    reads,
    sent: () => sent,
    read: async () => (await all()).map((dentries) => dentries.filter((dentry) => !isOwn(dentry))),
    async fields() {
      const dtabs = await all();
      return Object.fromEntries(
        routeObjects(target).map((name, index) => {
          const dentries = dtabs[index]?.filter((dentry) => !isOwn(dentry)) ?? [];
          return [name, Object.fromEntries(dentries.map((dentry) => dentry.split('=>')))];
        }),
      );
    },
    changes(before, after) {
      const [was, is] = [Object(before), Object(after)];
      const changed = Object.keys({ ...was, ...is }).filter((prefix) => was[prefix] !== is[prefix]);
      // namerd prints each weight with two decimals.
      const text = (dst: unknown) => String(dst).replaceAll('.00*', '*');
      return changed.map((prefix) => `${prefix}: ${text(was[prefix])} → ${text(is[prefix])}`);
    },
    async marks() {
      const [dentries = []] = await all();
      return dtabMarks(dentries);
    },
    revision: async () => JSON.stringify(await all()),
    setWeight: (weight) => setOwn(`${weight}*/srv/world-canary & ${100 - weight}*/srv/world`),
    editOther: () => edit((dentry) => (dentry.startsWith('/host/other=>') ? '/host/other=>/srv/other-v3 | !' : dentry)),
    unmark: () => edit((dentry) => (isOwn(dentry) ? null : dentry)),
    giveAway: () => setOwn('/tmp/world'),
    remove: async () => {
      for (const namespace of namespaces) await dtabs.remove(namespace);
    },
    end: async () => undefined,
  };
}

/** Sluice's marks in the dentries of a dtab, by the short names that annotations have. */
export function dtabMarks(dentries: readonly string[]): Readonly<Record<string, string>> {
  const at = (mark: string) => dentries.find((one) => one.startsWith(`/sluice/world${mark}=>`))?.split('=>')[1];
  const [, rollout, epoch, seq] = at('')?.split('/') ?? [];
  if (rollout === undefined || epoch === undefined || seq === undefined) return {};
  const by = at('/abort')?.slice(1).replaceAll('\\x', '');
  const abort = by === undefined ? {} : { abort: Buffer.from(by, 'hex').toString() };
  return { rollout, epoch, seq, phase: 'active', ...abort };
}

/** Each call of the client is one request. */
function counted(client: NamerdClient, sent: string[]): NamerdClient {
  return {
    read(...given) {
      sent.push('get');
      return client.read(...given);
    },
    write(...given) {
      sent.push('update');
      return client.write(...given);
    },
    delegate(...given) {
      sent.push('get');
      return client.delegate(...given);
    },
  };
}
