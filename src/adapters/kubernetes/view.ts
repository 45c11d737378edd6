/**
 * The objects of one kind in one namespace as the API server streams them: one WATCH that first sends what exists, then
 * every change. Nothing is polled, and whatever Sluice itself reads or writes is put in at once.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '../../app/ports.ts';
import { bookmarkSchema, type Held } from './objects.ts';

export type WatchEvent = { readonly type: string; readonly object: unknown };

/** How a view reaches the API server; `open` resolves when the server has accepted the watch. */
export type Source<T extends Held> = {
  open(query: Record<string, string>, signal: AbortSignal): Promise<AsyncIterable<WatchEvent>>;
  list(): Promise<{ readonly items: readonly T[]; readonly resourceVersion: string }>;
  parse(object: unknown): T;
  /** Told for each change after the first load; `before`: as it was known; null: not at all. */
  changed(object: T, before: T | null): void;
};

export type View<T extends Held> = {
  /** All objects, from a copy that is being kept up to date; throws when the API server does not answer in time. */
  all(): Promise<readonly T[]>;
  get(name: string): Promise<T | null>;
  /** All objects without waiting; null while the copy is not being kept up to date. */
  live(): readonly T[] | null;
  /** Last known copy without waiting, however old; null: not known. */
  peek(name: string): T | null;
  put(object: T): void;
  /** The object was deleted by a request of our own. */
  forget(object: Held): void;
  idle(now: number): boolean;
  close(): void;
};

export const CALL_TIMEOUT_MS = 3_000;
/** A view that nobody used for so long, and that holds nothing of a running rollout, is closed. */
const LINGER_MS = 60_000;
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;
const INITIAL_END = 'k8s.io/initial-events-end';

/** The watch cannot go on from where it was, or not in this way: it is tried again in another. */
class Restart extends Error {}

export function createView<T extends Held>(source: Source<T>, isHeld: (object: T) => boolean, log: Log): View<T> {
  const objects = new Map<string, T>();
  const closing = new AbortController();
  let waiters: ((error?: unknown) => void)[] = [];
  /** Position of the stream; null: everything is to be loaded. */
  let position: string | null = null;
  let live = false;
  /** Why the last watch ended, while there is none. */
  let trouble: unknown;
  let streamsInitial = true;
  let usedAt = Date.now();

  const settle = (error?: unknown) => {
    const all = waiters;
    waiters = [];
    for (const waiter of all) waiter(error);
  };

  function current(): Promise<void> {
    usedAt = Date.now();
    if (live) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error(`no watch within ${CALL_TIMEOUT_MS} ms`, { cause: trouble }));
      const timer = setTimeout(late, CALL_TIMEOUT_MS);
      waiters.push((error) => {
        clearTimeout(timer);
        if (error === undefined) resolve();
        else reject(error);
      });
    });
  }

  function put(object: T): boolean {
    const known = objects.get(object.metadata.name);
    if (known && !isNewer(object, known.metadata.resourceVersion)) return false;
    objects.set(object.metadata.name, object);
    return true;
  }

  function arrived(object: T): void {
    const before = objects.get(object.metadata.name) ?? null;
    if (put(object)) source.changed(object, before);
  }

  function replaceAll(loaded: ReadonlyMap<string, T>, at: string): void {
    for (const [name, object] of objects) {
      if (loaded.has(name) || isNewer(object, at)) continue;
      objects.delete(name);
      source.changed(object, object);
    }
    for (const object of loaded.values()) arrived(object);
    position = at;
    up();
  }

  function up(): void {
    live = true;
    trouble = undefined;
    settle();
  }

  async function load(): Promise<void> {
    const { items, resourceVersion } = await source.list();
    replaceAll(new Map(items.map((item) => [item.metadata.name, item])), resourceVersion);
  }

  async function follow(): Promise<void> {
    const stop = new AbortController();
    const initial = new Map<string, T>();
    const late = () => stop.abort(new Restart('no end of the initial events'));
    const limit = position === null ? setTimeout(late, CALL_TIMEOUT_MS) : undefined;
    try {
      const events = await source.open(queryFrom(position), AbortSignal.any([stop.signal, closing.signal]));
      if (position !== null) up();
      for await (const { type, object } of events) {
        if (type === 'ERROR') throw new Restart(JSON.stringify(object));
        if (type === 'BOOKMARK') {
          const { resourceVersion, annotations } = bookmarkSchema.parse(object).metadata;
          if (position !== null) position = resourceVersion;
          else if (annotations?.[INITIAL_END] === 'true') replaceAll(initial, resourceVersion);
          if (position !== null) clearTimeout(limit);
        } else {
          const parsed = source.parse(object);
          if (position === null) initial.set(parsed.metadata.name, parsed);
          else take(type, parsed);
        }
      }
    } finally {
      clearTimeout(limit);
      stop.abort();
    }
  }

  function take(type: string, object: T): void {
    position = object.metadata.resourceVersion;
    const known = objects.get(object.metadata.name);
    if (type === 'DELETED') {
      if (known && !isNewer(object, known.metadata.resourceVersion)) return;
      objects.delete(object.metadata.name);
      source.changed(object, known ?? null);
    } else arrived(object);
  }

  function queryFrom(resourceVersion: string | null): Record<string, string> {
    const query = { watch: 'true', allowWatchBookmarks: 'true' };
    return resourceVersion === null
      ? { ...query, sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' }
      : { ...query, resourceVersion };
  }

  async function run(): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    while (!closing.signal.aborted) {
      const startedAt = Date.now();
      try {
        // API servers before 1.32 do not stream what exists: they are asked for a list first.
        if (position === null && !streamsInitial) await load();
        await follow();
      } catch (error) {
        if (closing.signal.aborted) break;
        trouble = error;
        if (position === null && isUnsupported(error)) streamsInitial = false;
        else if (isGone(error)) position = null;
        else settle(error);
        log.debug({ error: String(error) }, 'watch ended');
      }
      live = false;
      retryMs = Date.now() - startedAt > LAST_RETRY_MS ? FIRST_RETRY_MS : Math.min(retryMs * 2, LAST_RETRY_MS);
      const options = { ref: false, signal: closing.signal };
      await pause(retryMs * (0.5 + Math.random() / 2), undefined, options).catch(() => undefined);
    }
    settle(new Error('the watch was closed'));
  }

  void run();

  return {
    async all() {
      await current();
      return [...objects.values()];
    },
    async get(name) {
      await current();
      return objects.get(name) ?? null;
    },
    live: () => (live ? [...objects.values()] : null),
    peek: (name) => objects.get(name) ?? null,
    put(object) {
      // What the stream has passed already is known, a deletion included.
      if (position === null || isNewer(object, position)) put(object);
    },
    forget({ metadata }) {
      if (objects.get(metadata.name)?.metadata.uid === metadata.uid) objects.delete(metadata.name);
    },
    idle: (now) => now - usedAt > LINGER_MS && ![...objects.values()].some(isHeld),
    close: () => closing.abort(),
  };
}

/** Versions of a watched kind count up; where a server's do not, the later arrival counts. */
function isNewer(object: Held, than: string): boolean {
  const { resourceVersion } = object.metadata;
  if (!/^\d+$/.test(resourceVersion) || !/^\d+$/.test(than)) return true;
  return BigInt(resourceVersion) > BigInt(than);
}

const status = (error: unknown) => (error instanceof Error && 'status' in error ? error.status : null);
const isGone = (error: unknown) => error instanceof Restart || status(error) === 410;
const isUnsupported = (error: unknown) => error instanceof Restart || status(error) === 400 || status(error) === 422;
