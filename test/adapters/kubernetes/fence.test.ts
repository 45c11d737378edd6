/** What a fenced write makes of the API server's answers. */
import { describe, expect, it } from 'vitest';
import { barrier, DONE, drifted, meet, refused, underFence, write } from '../../../src/adapters/kubernetes/fence.ts';
import type { Held, Kind } from '../../../src/adapters/kubernetes/kinds.ts';
import type { Op } from '../../../src/adapters/kubernetes/marks.ts';
import { readMarks } from '../../../src/adapters/kubernetes/marks.ts';
import { Deployments } from '../../../src/adapters/kubernetes/objects.ts';
import type { Fence, Marks } from '../../../src/app/ports/cluster.ts';
import { applyPatch } from '../../cluster/json-patch.ts';
import { deadCluster } from '../../cluster/world.ts';

const kind: Kind = { ...Deployments };
const ref = { namespace: 'hello', name: 'world' };
const fence: Fence = { rollout: 'world-1', epoch: 2, seq: 5 };
const marked = (rollout: string, epoch: number, seq: number, phase = 'active') => ({
  'sluice.dev/rollout': rollout,
  'sluice.dev/epoch': String(epoch),
  'sluice.dev/seq': String(seq),
  'sluice.dev/phase': phase,
});

/** A server that holds one object; `meanwhile` runs before the next patch arrives. */
function server(annotations: Record<string, string>) {
  let version = 1;
  let stored: Held | null = { metadata: { ...ref, uid: 'u', resourceVersion: '1', annotations } };
  let meanwhile: (() => void) | null = null;
  let refusing = false;
  const change = (next: Held) => {
    stored = { ...next, metadata: { ...next.metadata, resourceVersion: String(++version) } };
    return stored;
  };
  const state = {
    patches: 0,
    gets: 0,
    cached: stored as Held | null,
    stored: () => stored,
    edit: (edited: Record<string, string>) =>
      stored && change({ metadata: { ...stored.metadata, annotations: edited } }),
    remove: () => {
      stored = null;
    },
    meanwhile: (then: () => void) => {
      meanwhile = then;
    },
    refuse: () => {
      refusing = true;
    },
  };
  const cluster = {
    ...deadCluster,
    peek: () => state.cached as never,
    async get() {
      state.gets++;
      return stored as never;
    },
    async patch(_: unknown, __: unknown, ops: readonly Op[]) {
      state.patches++;
      meanwhile?.();
      meanwhile = null;
      if (!stored) return { ok: false, error: { kind: 'not found', message: 'gone' } } as const;
      if (refusing) return { ok: false, error: { kind: 'untrue', message: 'no reason given' } } as const;
      try {
        return { ok: true, object: change(applyPatch(stored, ops)) as never } as const;
      } catch (error) {
        return { ok: false, error: { kind: 'untrue', message: String(error) } } as const;
      }
    },
  };
  return { state, cluster };
}

const intend = (object: Held) => {
  const met = meet(object, fence);
  if (met === 'repeat') return DONE;
  if (met === 'unmarked') return drifted({ object: 'it', difference: 'unmarked', weight: null });
  return met === 'write' ? { ops: underFence(object, fence) } : met;
};

describe('a fenced write', () => {
  it('is one patch when the known copy is right', async () => {
    const { state, cluster } = server(marked('world-1', 2, 4));
    expect(await write(cluster, kind, ref, intend)).toMatchObject({ kind: 'done' });
    expect([state.gets, state.patches]).toEqual([0, 1]);
    expect(state.stored() && readMarks(state.stored() as Held)).toMatchObject({ epoch: 2, seq: 5 });
  });

  it('whose answer was lost is done when it is repeated', async () => {
    const { state, cluster } = server(marked('world-1', 2, 4));
    state.edit(marked('world-1', 2, 5));
    expect(await write(cluster, kind, ref, intend)).toMatchObject({ kind: 'done' });
    expect([state.gets, state.patches]).toEqual([1, 1]);
  });

  it('looks again when something else changed meanwhile, and writes', async () => {
    const { state, cluster } = server(marked('world-1', 2, 3));
    state.edit(marked('world-1', 2, 4));
    expect(await write(cluster, kind, ref, intend)).toMatchObject({ kind: 'done' });
    expect([state.gets, state.patches]).toEqual([1, 2]);
  });

  it.each<[string, Record<string, string>, string]>([
    ['a newer epoch', marked('world-1', 3, 1), 'fenced'],
    ['another rollout', marked('world-2', 2, 1), 'fenced'],
    ['an ended rollout', marked('world-1', 2, 9, 'done'), 'fenced'],
    ['a later write of its own epoch', marked('world-1', 2, 6), 'fenced'],
    ['itself, from a try whose answer was lost', marked('world-1', 2, 5), 'done'],
    ['an older epoch put back', marked('world-1', 1, 1), 'drifted'],
    ['no marks', {}, 'drifted'],
  ])('that meets %s meanwhile stops', async (_, annotations, outcome) => {
    const { state, cluster } = server(marked('world-1', 2, 4));
    state.meanwhile(() => state.edit(annotations));
    expect(await write(cluster, kind, ref, intend)).toMatchObject({ kind: outcome });
    expect(state.patches).toBe(1);
  });

  it('does not believe an old copy that forbids it', async () => {
    const { state, cluster } = server({});
    state.edit(marked('world-1', 2, 4));
    expect(await write(cluster, kind, ref, intend)).toMatchObject({ kind: 'done' });
    expect([state.gets, state.patches]).toEqual([1, 1]);
  });

  it('is refused when nothing changed and the server still says no', async () => {
    const { state, cluster } = server(marked('world-1', 2, 4));
    state.refuse();
    expect(await write(cluster, kind, ref, intend)).toEqual(refused('no reason given'));
    expect(state.patches).toBe(1);
  });

  it('says that the object is gone, or what the caller makes of that', async () => {
    const { state, cluster } = server(marked('world-1', 2, 4));
    state.remove();
    expect(await write(cluster, kind, ref, intend)).toEqual(refused('Deployment hello/world is gone'));
    state.cached = null;
    expect(await write(cluster, kind, ref, intend, DONE)).toEqual(DONE);
  });

  it('gives up as a fault, to be tried again later, when the object never rests', async () => {
    const { state, cluster } = server(marked('world-1', 2, 1));
    let seq = 1;
    const restless = {
      ...cluster,
      async patch(...args: Parameters<typeof cluster.patch>) {
        state.edit({ ...marked('world-1', 2, 4), n: String(seq++) });
        return cluster.patch(...args);
      },
    };
    const whole = (object: Held) => ({
      ops: [{ op: 'test', path: '/metadata/annotations', value: object.metadata.annotations } as const],
    });
    await expect(write(restless, kind, ref, whole)).rejects.toThrow(/changed during each of 5/);
  });
});

it.each<[string, Marks | null, boolean]>([
  ['nobody', null, true],
  ['its own rollout', marks('world-1', 1), true],
  ['its own rollout at this epoch', marks('world-1', 2), true],
  ['its own rollout, newer', marks('world-1', 3), false],
  ['an ended rollout', marks('world-0', 1, 'done'), true],
  ['an ended rollout of this epoch', marks('world-0', 2, 'done'), false],
  ['another active rollout', marks('world-0', 1), false],
])('an object held by %s may be taken: %#', (_, found, free) => {
  expect(barrier(found, fence) === null).toBe(free);
});

function marks(rollout: string, epoch: number, phase: Marks['phase'] = 'active'): Marks {
  return { rollout, epoch, seq: 1, phase, abort: null, restore: null };
}
