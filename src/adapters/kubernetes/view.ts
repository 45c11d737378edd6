/**
 * The objects of one kind in one namespace as the API server streams them: one WATCH that first sends what exists, then
 * every change. Nothing is polled, and whatever Sluice itself reads or writes is put in at once.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '../../app/ports/log.ts';
import { bookmarkSchema, type Held, headOf } from './kinds.ts';
import { createLeftOut } from './left-out.ts';

export type WatchEvent = { readonly type: string; readonly object: unknown };

/** How a view reaches the API server; `open` resolves when the server has accepted the watch. */
export type Source<T extends Held> = {
  open(query: Record<string, string>, signal: AbortSignal): Promise<AsyncIterable<WatchEvent>>;
  list(): Promise<{ readonly items: readonly unknown[]; readonly resourceVersion: string }>;
  /** Throws, with its name, for an object that cannot be read. */
  parse(object: unknown): T;
  /** Told for each change after the first load; `before`: as it was known; null: not at all. */
  changed(object: T, before: T | null): void;
};

export type View<T extends Held> = {
  /**
   * All objects that can be read, from a copy that is being kept up to date; throws when the API server does not answer in time.
   */
  all(): Promise<readonly T[]>;
  /** Throws for one that cannot be read. */
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
  /** Why an object cannot be read, by its name: nobody's but theirs who ask for it. */
  const leftOut = createLeftOut(log);
  const closing = new AbortController();
  let waiters: ((error?: unknown) => void)[] = [];
  /** Position of the stream; null: everything is to be loaded. */
  let position: string | null = null;
  let live = false;
  /** Why the last watch ended, while there is none. */
  let trouble: unknown;
  let streamsInitial = true;
  let usedAt = performance.now();

  const settle = (error?: unknown) => {
    const all = waiters;
    waiters = [];
    for (const waiter of all) waiter(error);
  };

  function current(): Promise<void> {
    usedAt = performance.now();
    if (live) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const late = () =>
        reject(isForbidden(trouble) ? trouble : new Error(`no watch within ${CALL_TIMEOUT_MS} ms`, { cause: trouble }));
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
    if (known && !isNewer(object.metadata, known.metadata.resourceVersion)) return false;
    objects.set(object.metadata.name, object);
    leftOut.forget(object.metadata.name);
    return true;
  }

  function arrived(object: T): void {
    const before = objects.get(object.metadata.name) ?? null;
    if (put(object)) source.changed(object, before);
  }

  function replaceAll(loaded: ReadonlyMap<string, T>, at: string): void {
    for (const [name, object] of objects) {
      if (loaded.has(name) || isNewer(object.metadata, at)) continue;
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

  const read = (given: unknown) => leftOut.read(headOf(given)?.name ?? '', given, source.parse);

  async function load(): Promise<void> {
    const { items, resourceVersion } = await source.list();
    leftOut.forgetAll();
    const readable = items.map(read).filter((item) => item !== null);
    replaceAll(new Map(readable.map((item) => [item.metadata.name, item])), resourceVersion);
  }

  async function follow(): Promise<void> {
    const stop = new AbortController();
    const initial = new Map<string, T>();
    const late = () => stop.abort(new Restart('no end of the initial events'));
    const limit = position === null ? setTimeout(late, CALL_TIMEOUT_MS) : undefined;
    try {
      const events = await source.open(queryFrom(position), AbortSignal.any([stop.signal, closing.signal]));
      if (position === null) leftOut.forgetAll();
      else up();
      for await (const { type, object } of events) {
        if (type === 'ERROR') throw new Restart(JSON.stringify(object));
        if (type === 'BOOKMARK') {
          const { resourceVersion, annotations } = bookmarkSchema.parse(object).metadata;
          if (position !== null) position = resourceVersion;
          else if (annotations?.[INITIAL_END] === 'true') replaceAll(initial, resourceVersion);
          if (position !== null) clearTimeout(limit);
        } else if (position === null) {
          const parsed = read(object);
          if (parsed) initial.set(parsed.metadata.name, parsed);
        } else take(type, object);
      }
    } finally {
      clearTimeout(limit);
      stop.abort();
    }
  }

  function take(type: string, given: unknown): void {
    const object = read(given);
    const metadata = object?.metadata ?? headOf(given);
    if (!metadata) return;
    position = metadata.resourceVersion;
    if (object && type !== 'DELETED') {
      arrived(object);
      return;
    }
    if (type === 'DELETED') leftOut.forget(metadata.name);
    // Gone, or not what it was any more.
    const known = objects.get(metadata.name);
    if (known && !isNewer(metadata, known.metadata.resourceVersion)) return;
    objects.delete(metadata.name);
    const last = object ?? known;
    if (last) source.changed(last, known ?? null);
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
      const startedAt = performance.now();
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
      retryMs = performance.now() - startedAt > LAST_RETRY_MS ? FIRST_RETRY_MS : Math.min(retryMs * 2, LAST_RETRY_MS);
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
      const found = objects.get(name) ?? null;
      if (!found && leftOut.has(name)) throw leftOut.errorOf(name);
      return found;
    },
    live: () => (live ? [...objects.values()] : null),
    peek: (name) => objects.get(name) ?? null,
    put(object) {
      // What the stream has passed already is known, a deletion included.
      if (position === null || isNewer(object.metadata, position)) put(object);
    },
    forget({ metadata }) {
      if (objects.get(metadata.name)?.metadata.uid === metadata.uid) objects.delete(metadata.name);
    },
    idle: (now) => now - usedAt > LINGER_MS && ![...objects.values()].some(isHeld),
    close: () => closing.abort(),
  };
}

/** Versions of a watched kind count up; where a server's do not, the later arrival counts. */
function isNewer({ resourceVersion }: Pick<Held['metadata'], 'resourceVersion'>, than: string): boolean {
  if (!/^\d+$/.test(resourceVersion) || !/^\d+$/.test(than)) return true;
  return BigInt(resourceVersion) > BigInt(than);
}

const status = (error: unknown) => (error instanceof Error && 'status' in error ? error.status : null);
const isForbidden = (error: unknown) => status(error) === 403;
const isGone = (error: unknown) => error instanceof Restart || status(error) === 410;
const isUnsupported = (error: unknown) => error instanceof Restart || status(error) === 400 || status(error) === 422;
