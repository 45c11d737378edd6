/** Plays the node: runs the containers of pods, makes them Ready or not by their image's tag, and ends them gracefully. */
import { kinds } from '../api-server/kinds.ts';
import type { Condition, Pod } from '../api-server/objects.ts';
import type { Store } from '../api-server/store.ts';
import { timestamp } from './conditions.ts';

/** Where a pod's containers answer, and how to end them. */
export type Running = { readonly ip: string; stop(): void };

export type NodeOptions = {
  /** From the pod's creation to Ready. */
  readonly readyAfterMs: number;
  /** How long containers go on answering after the pod's deletion. */
  readonly drainMs: number;
  /** Asked again and again while it has not: then new pods wait for a node. */
  readonly hasRoom?: () => boolean;
  /** Starts the containers. */
  run(pod: Pod): Promise<Running>;
};

export type Node = { stop(): void };

const LOOK_FOR_ROOM_MS = 50;
const unscheduled = (): NonNullable<Pod['status']> => ({
  phase: 'Pending',
  conditions: [
    {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message: '0/1 nodes are available: 1 node(s) were unschedulable.',
      lastTransitionTime: timestamp(),
    },
  ],
});

export function playNode(store: Store, { readyAfterMs, drainMs, hasRoom = () => true, run }: NodeOptions): Node {
  const running = new Map<string, Running>();
  const timers = new Set<ReturnType<typeof setTimeout>>();
  const ending = new Set<string>();
  let stopped = false;

  const later = (ms: number, act: () => void) => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      act();
    }, ms);
    timers.add(timer);
  };

  async function start({ metadata }: Pod): Promise<void> {
    const pod = current(metadata);
    if (!pod || pod.metadata.deletionTimestamp) return;
    if (!hasRoom()) {
      if (pod.status === undefined) write(pod, unscheduled());
      return later(LOOK_FOR_ROOM_MS, () => void start(pod));
    }
    const complaint = complaintOf(pod);
    if (complaint) return report(pod, null, complaint);
    const containers = await run(pod);
    if (stopped) return containers.stop();
    running.set(metadata.uid, containers);
    const still = current(metadata);
    if (still && !still.metadata.deletionTimestamp) report(still, containers.ip, null);
    else halt(metadata.uid);
  }

  function current({ namespace, name, uid }: Pod['metadata']): Pod | null {
    const pod = store.get(kinds.pods, namespace, name);
    return pod?.metadata.uid === uid ? pod : null;
  }

  const report = (pod: Pod, ip: string | null, complaint: Complaint | null) =>
    write(pod, podStatus(pod.spec, ip, complaint));

  function write({ metadata, ...pod }: Pod, status: NonNullable<Pod['status']>): void {
    const { name, namespace } = metadata;
    store.update(
      kinds.pods,
      { ...pod, metadata: { name, ...(namespace !== undefined && { namespace }) }, status },
      'status',
    );
  }

  function halt(uid: string): void {
    running.get(uid)?.stop();
    running.delete(uid);
  }

  function end({ metadata }: Pod): void {
    if (ending.has(metadata.uid)) return;
    ending.add(metadata.uid);
    later(running.has(metadata.uid) ? drainMs : 0, () => {
      if (current(metadata)) store.remove(kinds.pods, metadata.namespace, metadata.name, { gracePeriodSeconds: 0 });
    });
  }

  const unsubscribe = store.subscribe(({ kind, type, object }) => {
    if (kind !== kinds.pods) return;
    const pod = store.get(kinds.pods, object.metadata.namespace, object.metadata.name);
    if (type === 'DELETED') halt(object.metadata.uid);
    else if (!pod) return;
    else if (pod.metadata.deletionTimestamp) end(pod);
    else if (type === 'ADDED') later(readyAfterMs, () => void start(pod));
  });

  return {
    stop() {
      stopped = true;
      unsubscribe();
      for (const timer of timers) clearTimeout(timer);
      for (const uid of [...running.keys()]) halt(uid);
    },
  };
}

type Complaint = { readonly reason: string; readonly message: string };

/** What the tag of a container's image says about why it never starts. */
function complaintOf({ spec }: Pod): Complaint | null {
  for (const { image } of spec.containers) {
    if (image.endsWith('-missing')) return { reason: 'ImagePullBackOff', message: `Back-off pulling image "${image}"` };
    if (image.endsWith('-crash')) {
      return { reason: 'CrashLoopBackOff', message: 'back-off 40s restarting failed container' };
    }
  }
  return null;
}

function podStatus(
  { containers }: Pod['spec'],
  ip: string | null,
  complaint: Complaint | null,
): NonNullable<Pod['status']> {
  const now = timestamp();
  const ready: Omit<Condition, 'type'> = complaint
    ? { status: 'False', reason: 'ContainersNotReady', lastTransitionTime: now }
    : { status: 'True', lastTransitionTime: now };
  return {
    phase: complaint ? 'Pending' : 'Running',
    conditions: [
      { type: 'PodScheduled', status: 'True', lastTransitionTime: now },
      { type: 'Initialized', status: 'True', lastTransitionTime: now },
      { type: 'ContainersReady', ...ready },
      { type: 'Ready', ...ready },
    ],
    ...(ip !== null && { podIP: ip, podIPs: [{ ip }] }),
    containerStatuses: containers.map(({ name, image }) => ({
      name,
      image,
      ready: complaint === null,
      started: complaint === null,
      restartCount: complaint === null ? 0 : 3,
      state: complaint ? { waiting: complaint } : { running: { startedAt: now } },
    })),
  };
}
