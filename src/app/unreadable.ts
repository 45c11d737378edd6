/** A rollout of which Redis holds something that this Sluice cannot read: another version wrote it, or it is spoilt. */
import type { Answer } from './answers.ts';

export class Unreadable extends Error {
  /** `problem`: a sentence with the id and the remedy. */
  constructor(problem: string, options?: ErrorOptions) {
    super(problem, options);
    this.name = 'Unreadable';
  }
}

/** Trying again changes nothing: who asked is told what would. */
export async function orUnreadable<T>(
  work: () => Promise<T> | T,
): Promise<T | Extract<Answer, { kind: 'unreadable' }>> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Unreadable) return { kind: 'unreadable', problem: error.message };
    throw error;
  }
}
