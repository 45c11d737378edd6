/** `rollout`: whose marks the changed object carries; null: not known, it may be any of the namespace. */
export type Listener = (namespace: string, rollout: string | null) => void;

/** Changes come in bursts; one call for each rollout and burst is enough. */
const GATHER_MS = 50;

/** Tells listeners whose objects changed. */
export function createChanges() {
  const listeners = new Set<Listener>();
  const pending = new Map<string, Set<string | null>>();

  function tell(namespace: string): void {
    const rollouts = pending.get(namespace) ?? [];
    pending.delete(namespace);
    for (const rollout of rollouts) for (const listener of listeners) listener(namespace, rollout);
  }

  return {
    listen(listener: Listener): () => void {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    changed(namespace: string, rollout: string | null): void {
      const gathered = pending.get(namespace);
      if (gathered) {
        gathered.add(rollout);
        return;
      }
      pending.set(namespace, new Set([rollout]));
      setTimeout(tell, GATHER_MS, namespace).unref();
    },
  };
}
