/** Whom a change in the cluster wakes: the rollouts that this process has looked at and that have not ended. */
import { serviceOf } from '../core/id.ts';
import type { Rollout } from '../core/rollout.ts';
import { routePlaces, subsetRule } from '../core/traffic.ts';
import type { Queue } from './ports/queue.ts';

const CHANGE_BURST_MS = 20;

/** `awaits`: something of the cluster, not people or time alone. */
type Followed = { readonly id: string; readonly namespaces: readonly string[]; readonly awaits: boolean };

export function createFollowing(queue: Pick<Queue, 'wake'>) {
  /** By service: one rollout of it is active at most. */
  const followed = new Map<string, Followed>();
  const woken = new Set<string>();

  function follow({ id, plan: { target } }: Rollout, awaits: boolean): void {
    const namespaces = [target.namespace, ...routePlaces(target), ...(subsetRule(target)?.split('/', 1) ?? [])];
    followed.set(target.service, { id, namespaces, awaits });
  }

  function unfollow(id: string): void {
    const service = serviceOf(id) ?? '';
    if (followed.get(service)?.id === id) followed.delete(service);
  }

  /**
   * Something changed in a namespace; `rollout`: the one whose marks it carries. Whom it may concern of those that this process
   * follows looks again, once for a burst: with marks that is the rollout of the same service, else whoever waits for the
   * cluster there. Those at a gate wait for people, in their thousands: what they look at in the cluster carries their marks.
   */
  function changed(namespace: string, rollout: string | null): void {
    const marked = rollout === null ? null : (serviceOf(rollout) ?? '');
    const concerned = marked === null ? followed.values() : [followed.get(marked)];
    for (const one of concerned) {
      if (!one?.namespaces.includes(namespace) || woken.has(one.id)) continue;
      if (marked === null && !one.awaits) continue;
      const { id } = one;
      woken.add(id);
      setTimeout(() => {
        woken.delete(id);
        void queue.wake(id);
      }, CHANGE_BURST_MS);
    }
  }

  return { follow, unfollow, changed };
}
