/**
 * Writes that only the newest holder of an object can make: one JSON Patch tests the marks and the values it replaces as
 * they were read, so a late writer and a foreign edit are met, never overwritten (design section 8).
 */
import type { Fence, Marks, Written } from '../../app/ports/cluster.ts';
import type { Drift } from '../../core/rollout.ts';
import type { Cluster } from './cluster.ts';
import { type Held, type Kind, nameOf, type Ref } from './kinds.ts';
import { type MarkChanges, type Op, readMarks, setMarks, test, testMarks } from './marks.ts';

/** What to do about an object as it was read: write, or say why not. */
export type Intent = { readonly ops: readonly Op[] } | Written;
/** `object`: as the write left it, or as it was found; absent when it is gone. */
export type Result<T> = Written & { readonly object?: T };

export const DONE: Written = { kind: 'done' };
export const refused = (message: string): Written => ({ kind: 'refused', message });
export const drifted = (drift: Drift): Written => ({ kind: 'drifted', drift });

const READS = 5;

/**
 * Patches until the server takes it or the object as read forbids it. What a cached copy forbids is looked at afresh
 * before it is believed. A 422 is ambiguous: when nothing changed since the read, it is the write itself that is refused.
 */
export async function write<T extends Held>(
  cluster: Cluster,
  kind: Kind<T>,
  ref: Ref,
  intend: (object: T) => Intent,
  gone: Written = refused(`${nameOf(kind, ref)} is gone`),
): Promise<Result<T>> {
  let known = cluster.peek(kind, ref);
  let fresh = known === null;
  known ??= await cluster.get(kind, ref);
  for (let reads = 0; reads < READS; reads++) {
    if (!known) return gone;
    const intent = intend(known);
    if ('ops' in intent) {
      const outcome = await cluster.patch(kind, ref, intent.ops);
      if (outcome.ok) return { ...DONE, object: outcome.object };
      if (outcome.error.kind === 'not found') return gone;
      if (outcome.error.kind === 'refused') return refused(outcome.error.message);
      const before: T = known;
      known = await cluster.get(kind, ref);
      const unchanged = known?.metadata.resourceVersion === before.metadata.resourceVersion;
      if (unchanged && outcome.error.kind === 'untrue') return refused(outcome.error.message);
    } else {
      if (fresh || intent.kind === 'done') return { ...intent, object: known };
      known = await cluster.get(kind, ref);
    }
    fresh = true;
  }
  throw new Error(`${nameOf(kind, ref)} changed during each of ${READS} attempts to write it`);
}

/** Why an object is not to be written by this fence any more; null: it may be. */
export function barrier(marks: Marks | null, fence: Fence): Written | null {
  if (!marks) return null;
  const ours = marks.rollout === fence.rollout;
  if (marks.epoch > fence.epoch || (!ours && marks.epoch === fence.epoch)) return { kind: 'fenced', by: marks };
  return ours || marks.phase === 'done' ? null : { kind: 'fenced', by: marks };
}

/** Like `barrier`, and late is also whom the own rollout has left behind in the same epoch: by a later write, or by its end. */
export function behind(marks: Marks | null, fence: Fence): Written | null {
  const stopped = barrier(marks, fence);
  if (stopped || marks?.rollout !== fence.rollout || marks.epoch < fence.epoch) return stopped;
  return marks.seq > fence.seq || marks.phase === 'done' ? { kind: 'fenced', by: marks } : null;
}

/**
 * What an ordinary write meets before it looks at content. `repeat`: the object carries exactly this write already; a later
 * one of the same epoch fences, since its writer knows more (this one is slow, or its Redis went back in time).
 * Without our marks, or with an older epoch, somebody took them off or put an old copy back: that is a foreign edit.
 */
export const meet = (object: Held, fence: Fence) => meetMarks(readMarks(object), fence);

export function meetMarks(marks: Marks | null, fence: Fence): 'write' | 'repeat' | 'unmarked' | Written {
  if (!marks) return 'unmarked';
  const { rollout, epoch, seq, phase } = marks;
  if (rollout !== fence.rollout || epoch > fence.epoch || phase === 'done') return { kind: 'fenced', by: marks };
  if (epoch < fence.epoch) return 'unmarked';
  if (seq > fence.seq) return { kind: 'fenced', by: marks };
  return seq === fence.seq ? 'repeat' : 'write';
}

/** Tests that nobody else took the object since it was read, and leaves this write's marks. */
export function underFence(
  object: Held,
  fence: Fence,
  changes: MarkChanges = {},
  tested: readonly ('rollout' | 'epoch' | 'seq' | 'phase')[] = ['rollout', 'epoch', 'seq'],
): Op[] {
  const tests = readMarks(object) ? testMarks(object, tested) : asRead(object);
  return [...tests, ...setMarks(object, { ...active(fence), ...changes })];
}

const active = ({ rollout, epoch, seq }: Fence): MarkChanges => ({ rollout, epoch, seq, phase: 'active' });

/** What a claim meets before it looks at content; null: nothing speaks against it. */
export function beforeClaim(object: Held, subject: string, by: Fence, service: string): Written | null {
  const marks = readMarks(object);
  const ours = marks?.rollout === by.rollout;
  if (marks && !ours && marks.phase === 'active') return refused(heldMessage(subject, marks, service));
  return behind(marks, by) ?? (ours && marks.epoch === by.epoch ? DONE : null);
}

/** Takes an object for a rollout: exactly the one that was read, unchanged in any way. */
export function claimOps(object: Held, fence: Fence, restore: string, other: MarkChanges = {}): Op[] {
  return [...asRead(object), ...setMarks(object, { abort: null, ...other, ...active(fence), restore })];
}

const asRead = ({ metadata }: Held): Op[] => [
  test('/metadata/uid', metadata.uid),
  test('/metadata/resourceVersion', metadata.resourceVersion),
];

/** Why an object that another rollout holds is not taken, with the way out. */
export function heldMessage(subject: string, { rollout, epoch }: Marks, service: string): string {
  return `${subject} is held by rollout ${rollout} (epoch ${epoch}): end it with /deploy abort ${service}`;
}

export const marksLost = (subject: string): Drift => ({
  object: subject,
  difference: "Sluice's marks are gone or older than its last write",
  weight: null,
});

/** All parts at once, as `summed`; a fault speaks for the rest. */
export async function all(parts: readonly Promise<Written>[]): Promise<Written> {
  const settled = await Promise.allSettled(parts);
  const failed = settled.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
  return summed(settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])));
}

/** The first that is not done speaks for all; of what is refused all is said, or people would mend one after the other. */
export function summed(results: readonly Written[]): Written {
  const first = results.find(({ kind }) => kind !== 'done') ?? DONE;
  if (first.kind !== 'refused') return first;
  const messages = results.flatMap((one) => (one.kind === 'refused' ? [one.message] : []));
  return refused([...new Set(messages)].join('; '));
}
