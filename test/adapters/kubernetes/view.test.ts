import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiFault } from '../../../src/adapters/kubernetes/errors.ts';
import type { Held } from '../../../src/adapters/kubernetes/kinds.ts';
import { createView, type View, type WatchEvent } from '../../../src/adapters/kubernetes/view.ts';
import { silent } from '../../cluster/world.ts';

const object = (name: string, version: number, labels: Record<string, string> = {}): Held => ({
  metadata: { name, namespace: 'hello', uid: `uid-${name}`, resourceVersion: String(version), labels },
});
const bookmark = (version: number, end = false): WatchEvent => ({
  type: 'BOOKMARK',
  object: {
    metadata: {
      resourceVersion: String(version),
      ...(end && { annotations: { 'k8s.io/initial-events-end': 'true' } }),
    },
  },
});
const event = (type: string, of: Held): WatchEvent => ({ type, object: of });
/** Of a shape that this kind does not have. */
const broken = (name: string, version: number): Held => ({ ...object(name, version), spec: 'broken' });
function parseHeld(one: unknown): Held {
  const held = one as Held & { spec?: string };
  if (held.spec) throw new Error(`Thing ${held.metadata.name} cannot be read`);
  return held;
}

/** One watch as the API server would serve it: what is pushed arrives, until it ends or breaks. */
function pipe(signal: AbortSignal) {
  const stream = new TransformStream<WatchEvent, WatchEvent>();
  const writer = stream.writable.getWriter();
  writer.closed.catch(() => undefined);
  signal.addEventListener('abort', () => void writer.abort(signal.reason).catch(() => undefined));
  return {
    events: stream.readable,
    push: (...events: WatchEvent[]) => {
      for (const one of events) void writer.write(one).catch(() => undefined);
    },
    end: () => void writer.close().catch(() => undefined),
  };
}

describe('a view', () => {
  let pipes: (ReturnType<typeof pipe> & { query: Record<string, string> })[];
  let refuse: Error | null;
  let changed: string[];
  let lists: number;
  let view: View<Held>;
  let said: string[];
  const opened = (count: number) => vi.waitFor(() => expect(pipes).toHaveLength(count), { timeout: 5_000 });
  const names = async () =>
    (await view.all()).map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`).sort();

  beforeEach(() => {
    [pipes, refuse, changed, lists] = [[], null, [], 0];
    said = [];
    view = createView<Held>(
      {
        async open(query, signal) {
          if (refuse) throw refuse;
          const made = { ...pipe(signal), query };
          pipes.push(made);
          return made.events;
        },
        async list() {
          lists++;
          return { items: [], resourceVersion: '50' };
        },
        parse: parseHeld,
        changed: ({ metadata }) => changed.push(metadata.name),
      },
      ({ metadata }) => metadata.labels?.held === 'yes',
      { ...silent, warn: ({ name }, message) => said.push(`${name}: ${message}`) },
    );
  });
  afterEach(() => view.close());

  const start = async () => {
    await opened(1);
    pipes[0]?.push(event('ADDED', object('a', 10)), event('ADDED', object('b', 11)), bookmark(20, true));
    expect(await names()).toEqual(['a@10', 'b@11']);
  };

  it('loads what exists with the watch itself', async () => {
    await start();
    expect(pipes[0]?.query).toMatchObject({ watch: 'true', sendInitialEvents: 'true' });
    expect(lists).toBe(0);
  });

  it('follows every change and tells', async () => {
    await start();
    changed = [];
    pipes[0]?.push(
      event('MODIFIED', object('a', 21)),
      event('DELETED', object('b', 22)),
      event('ADDED', object('c', 23)),
    );
    await vi.waitFor(() => expect(changed).toEqual(['a', 'b', 'c']));
    expect(await names()).toEqual(['a@21', 'c@23']);
  });

  it('takes what we wrote at once, and nothing that is older than what it has', async () => {
    await start();
    view.put(object('a', 30));
    view.put(object('b', 5));
    pipes[0]?.push(event('MODIFIED', object('a', 25)), event('ADDED', object('c', 26)));
    await vi.waitFor(async () => expect(await names()).toEqual(['a@30', 'b@11', 'c@26']));
  });

  it('does not bring back what is known to be deleted', async () => {
    await start();
    pipes[0]?.push(event('DELETED', object('b', 40)));
    await vi.waitFor(async () => expect(await names()).toEqual(['a@10']));
    view.put(object('b', 39));
    view.forget(object('a', 10));
    expect(await names()).toEqual([]);
  });

  describe('an object that cannot be read', () => {
    it('keeps nobody from the others, and is named in the log and to those who ask for it', async () => {
      await opened(1);
      pipes[0]?.push(event('ADDED', broken('x', 9)), event('ADDED', object('a', 10)), bookmark(20, true));
      expect(await names()).toEqual(['a@10']);
      pipes[0]?.push(event('MODIFIED', broken('x', 21)), event('MODIFIED', object('a', 22)));
      await vi.waitFor(async () => expect(await names()).toEqual(['a@22']));
      await expect(view.get('x')).rejects.toThrow('Thing x cannot be read');
      expect(said).toEqual(['x: an object is left out']);
      expect(pipes).toHaveLength(1);
    });

    it('is not known as it was before, and whoever held it is told', async () => {
      await start();
      changed = [];
      pipes[0]?.push(event('MODIFIED', broken('b', 21)));
      await vi.waitFor(() => expect(changed).toEqual(['b']));
      expect(view.peek('b')).toBeNull();
      await expect(view.get('b')).rejects.toThrow('Thing b cannot be read');
    });

    it.each([
      ['it is put right', event('MODIFIED', object('x', 30)), ['a@10', 'b@11', 'x@30']],
      ['it is deleted', event('DELETED', broken('x', 30)), ['a@10', 'b@11']],
    ])('is forgotten when %s', async (_, then, wanted) => {
      await start();
      pipes[0]?.push(event('ADDED', broken('x', 21)));
      await vi.waitFor(() => expect(said).toHaveLength(1));
      pipes[0]?.push(then);
      await vi.waitFor(() => view.get('x'));
      expect(await names()).toEqual(wanted);
    });

    it('goes on behind it when the watch ends', async () => {
      await start();
      pipes[0]?.push(event('ADDED', broken('x', 21)));
      await vi.waitFor(() => expect(said).toHaveLength(1));
      pipes[0]?.end();
      await opened(2);
      expect(pipes[1]?.query).toMatchObject({ resourceVersion: '21' });
    });
  });

  it('goes on where it was when the watch ends', async () => {
    await start();
    pipes[0]?.push(bookmark(33));
    pipes[0]?.end();
    await opened(2);
    expect(pipes[1]?.query).toMatchObject({ resourceVersion: '33' });
    pipes[1]?.push(event('MODIFIED', object('a', 34)));
    await vi.waitFor(async () => expect(await names()).toEqual(['a@34', 'b@11']));
  });

  it('loads everything again when the server has forgotten where it was', async () => {
    await start();
    pipes[0]?.push({ type: 'ERROR', object: { code: 410 } });
    await opened(2);
    pipes[1]?.push(event('ADDED', object('a', 60)), bookmark(61, true));
    await vi.waitFor(async () => expect(await names()).toEqual(['a@60']));
    expect(changed).toContain('b');
  });

  it('lists first where the server cannot stream what exists', async () => {
    const queries: Record<string, string>[] = [];
    const old = createView<Held>(
      {
        async open(query, signal) {
          if (query.sendInitialEvents) throw new ApiFault('sendInitialEvents is forbidden', 422);
          queries.push(query);
          return pipe(signal).events;
        },
        list: async () => ({ items: [object('a', 50)], resourceVersion: '50' }),
        parse: (one) => one as Held,
        changed: () => undefined,
      },
      () => false,
      silent,
    );
    expect(await old.all()).toMatchObject([{ metadata: { name: 'a' } }]);
    await vi.waitFor(() => expect(queries).toMatchObject([{ resourceVersion: '50' }]));
    old.close();
  });

  it('says so at once while the server cannot be reached, and keeps what it knew for those who ask for that', async () => {
    await start();
    refuse = new Error('connection refused');
    pipes[0]?.end();
    await vi.waitFor(() => expect(view.live()).toBeNull());
    await expect(view.all()).rejects.toThrow('connection refused');
    expect(view.peek('a')?.metadata.resourceVersion).toBe('10');
    refuse = null;
    await opened(2);
    await vi.waitFor(() => expect(view.live()).toHaveLength(2));
  });

  it('is idle a minute after its last use, unless it holds something of a rollout', async () => {
    await start();
    expect(view.idle(performance.now() + 59_000)).toBe(false);
    expect(view.idle(performance.now() + 61_000)).toBe(true);
    view.put(object('c', 70, { held: 'yes' }));
    expect(view.idle(performance.now() + 61_000)).toBe(false);
  });
});
