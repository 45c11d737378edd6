/** The engine of every controller: changes of the store name keys, and each key is looked at again, one at a time. */
import { ApiError } from '../api-server/errors.ts';
import type { Store, StoreEvent } from '../api-server/store.ts';

export type Loop = {
  /** Looks at the key again, now or later. */
  again(key: string, afterMs?: number): void;
  stop(): void;
};

type Controller = {
  /** Keys to look at after this change. */
  readonly wakes: (event: StoreEvent) => readonly string[];
  /** Compares the wish with what is there and takes the next step; must do nothing when they agree. */
  readonly reconcile: (key: string, loop: Loop) => void;
};

const RETRY_MS = 20;

export function startLoop(store: Store, { wakes, reconcile }: Controller): Loop {
  const waiting = new Map<string, ReturnType<typeof setTimeout>>();
  let stopped = false;

  const loop: Loop = {
    again(key, afterMs = 0) {
      const id = `${afterMs > 0 ? 'later' : 'now'} ${key}`;
      if (stopped || (afterMs === 0 && waiting.has(id))) return;
      clearTimeout(waiting.get(id));
      waiting.set(
        id,
        setTimeout(() => {
          waiting.delete(id);
          look(key);
        }, afterMs),
      );
    },
    stop() {
      stopped = true;
      unsubscribe();
      for (const timer of waiting.values()) clearTimeout(timer);
    },
  };

  /** Refusals of the store (a race, a namespace that goes away) are tried again; anything else is a bug and shows. */
  function look(key: string): void {
    try {
      reconcile(key, loop);
    } catch (cause) {
      if (!(cause instanceof ApiError)) throw cause;
      if (cause.code !== 404) loop.again(key, RETRY_MS);
    }
  }

  const unsubscribe = store.subscribe((event) => {
    for (const key of wakes(event)) loop.again(key);
  });
  return loop;
}

/** `namespace/name` */
export function keyOf({ metadata }: StoreEvent['object']): string {
  return `${metadata.namespace}/${metadata.name}`;
}

export function splitKey(key: string): readonly [namespace: string, name: string] {
  const [namespace = '', name = ''] = key.split('/');
  return [namespace, name];
}
