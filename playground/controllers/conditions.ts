import type { Condition, Pod } from '../api-server/objects.ts';

/** `2026-11-20T09:00:00Z` */
export function timestamp(): string {
  return new Date().toISOString().replace(/\.\d+/, '');
}

type NewCondition = Omit<Condition, 'lastTransitionTime'>;

/** Puts the condition in place of the one of its type; the transition time moves only with the status. */
export function setCondition(all: readonly Condition[] | undefined, condition: NewCondition): readonly Condition[] {
  const old = all?.find(({ type }) => type === condition.type);
  const lastTransitionTime = old?.status === condition.status ? old.lastTransitionTime : timestamp();
  return [...withoutCondition(all, condition.type), { ...condition, lastTransitionTime }];
}

export function withoutCondition(all: readonly Condition[] | undefined, type: string): readonly Condition[] {
  return (all ?? []).filter((condition) => condition.type !== type);
}

export function isReady({ status }: Pod): boolean {
  return readyCondition(status)?.status === 'True';
}

/** Since when the pod is Ready, ms since 1970; null when it is not. */
export function readySince({ status }: Pod): number | null {
  const condition = readyCondition(status);
  return condition?.status === 'True' ? Date.parse(condition.lastTransitionTime) : null;
}

function readyCondition(status: Pod['status']): Condition | undefined {
  return status?.conditions?.find(({ type }) => type === 'Ready');
}
