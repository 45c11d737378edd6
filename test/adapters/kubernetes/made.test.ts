/** What becomes of objects whose making got no answer, when what comes next gets none either. */
import { beforeEach, expect, it } from 'vitest';
import type { Cluster } from '../../../src/adapters/kubernetes/cluster.ts';
import { type Held, type Kind, type Ref, read } from '../../../src/adapters/kubernetes/kinds.ts';
import { createMaker } from '../../../src/adapters/kubernetes/made.ts';
import { birthMarks, MANAGED_LABEL } from '../../../src/adapters/kubernetes/marks.ts';
import { Services } from '../../../src/adapters/kubernetes/objects.ts';
import { only } from '../../app/support.ts';
import { aPlan } from '../../core/support.ts';

const { target } = aPlan();
const fence = { rollout: 'world-1', epoch: 1, seq: 2 };
const metadata = (name: string, phase = 'active') => ({
  ...{ name, namespace: target.namespace, uid: 'u', resourceVersion: '7', labels: MANAGED_LABEL },
  annotations: { ...birthMarks(fence), 'sluice.dev/phase': phase },
});
const made = (name: string) => ({ kind: Services, ref: { namespace: target.namespace, name } });
const NAMES = ['world-canary', 'world-stable'];

let removed: string[];
let looks = 0;
beforeEach(() => {
  removed = [];
  looks = 0;
});

const noAnswer = (what: string) => new Error(`${what}: no answer`);
/** Everything as the API server has it after the end, but for what is not answered. */
function making({ lostLooks = 0, lostDelete = '' }): Promise<unknown> {
  const cluster = only<Cluster>({
    peek: () => null,
    get: async <T extends Held>(kind: Kind<T>, { name }: Ref) => {
      const isStable = name === target.deployment;
      if (isStable && ++looks <= lostLooks) throw noAnswer('GET');
      const spec = isStable ? { selector: { matchLabels: { app: name } }, template: { spec: { containers: [] } } } : {};
      return read(kind, { metadata: metadata(name, isStable ? 'done' : 'active'), spec });
    },
    remove: async (_, { metadata: { name } }) => {
      if (name === lostDelete) throw noAnswer('DELETE');
      removed.push(name);
      return { ok: true, object: null };
    },
  });
  const makings = NAMES.map((name) => ({ made: made(name), result: Promise.reject(noAnswer(`POST ${name}`)) }));
  return createMaker(cluster).makeAll(target, fence, makings);
}

it('are taken away when the looks after it get no answer at first', async () => {
  expect(await making({ lostLooks: 2 })).toMatchObject({ kind: 'fenced', by: { phase: 'done' } });
  expect(removed).toEqual(NAMES);
});

it('are told by the failed making when no look gets an answer', async () => {
  await expect(making({ lostLooks: 9 })).rejects.toThrow('POST world-canary: no answer');
  expect([looks, removed]).toEqual([3, []]);
});

it('are taken away but for the one whose deletion gets no answer', async () => {
  await expect(making({ lostDelete: 'world-canary' })).rejects.toThrow('DELETE: no answer');
  expect(removed).toEqual(['world-stable']);
});
